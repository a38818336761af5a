"""Writing files so that a reader, a crash or a second writer never meets half of one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from ganvas.errors import RunError

if sys.platform != "win32":
    import fcntl

UNSUPPORTED: Final = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
"""What a file system answers to a request that it does not know."""
PATIENCE: Final = 2.0
"""Seconds in which Windows may be persuaded to replace a file that a reader has open."""


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn the file system's refusals into one line each: no room, not allowed, not a folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = "the disk is full; free some space"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = "it is not writable; choose another folder or change its permissions"
        else:
            reason = error.strerror or str(error)
        raise RunError(f"cannot write '{target}': {reason}") from error


@contextmanager
def best_effort(consequence: str) -> Iterator[None]:
    """Where something cannot be written, warn of the consequence, and of nothing worse."""
    try:
        yield
    except RunError as error:
        warnings.warn(f"{consequence}: {error}", stacklevel=3)


def write_file(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a whole file under a temporary name and rename it into place.

    A `durable` one is on disk when this returns, so that it survives a power cut.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            _rename(Path(temporary), path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def append_lines(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Add whole lines to a file; after half a line, which a crash left, on a line of their own."""
    with writing(path), path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                content = b"\n" + content
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def replace_folder(new: Path, folder: Path) -> None:
    """Put the folder `new` in the place of `folder`, whole.

    What is there is moved aside first, as `aside_of(folder)`, and removed last: a kill leaves the
    old folder or the new one, under its name or there.
    """
    old = aside_of(folder)
    with writing(folder):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            _rename(folder, old)
        try:
            _rename(new, folder)
        except OSError:
            if old.exists():
                _rename(old, folder)
            raise
        sync_folder(folder.parent)
        shutil.rmtree(old, ignore_errors=True)


def set_aside(folder: Path, new: Path) -> None:
    """Give a folder another name, over a folder that has it already."""
    with writing(folder):
        shutil.rmtree(new, ignore_errors=True)
        _rename(folder, new)
        sync_folder(folder.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder that nobody ever meets half removed: it loses its name first."""
    with writing(folder):
        gone = folder.with_name(f".{folder.name}.{os.getpid()}")
        _rename(folder, gone)
        shutil.rmtree(gone)


def is_utf8(path: str | Path) -> bool:
    """Whether a name is text; a file system may hold any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def missing(folder: Path) -> list[Path]:
    """The folder and those above it that are not there, the deepest first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, in their order, as far as there is nothing in them."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def aside_of(folder: Path) -> Path:
    """Where a folder's old content lies while it is being replaced."""
    return folder.with_name(f".{folder.name}.old")


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names, so that a rename in it survives a power cut.

    Windows cannot, and some file systems refuse; there the rename is as durable as they make it.
    """
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(handle)


def _rename(old: Path, new: Path) -> None:
    """Rename, over a file if there is one; Windows refuses while somebody reads it."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(old, new)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() >= until:
                raise
            time.sleep(0.02)


# Locks


class Holder(NamedTuple):
    """The process that holds a lock."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Locked(RunError):
    """Somebody else holds the lock."""

    def __init__(self, path: Path, by: Holder | None) -> None:
        super().__init__(f"'{path}' is held by {by or 'another process'}")
        self.holder = by


@contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`: it exists while it is held, and says by whom.

    The kernel lets go of it when the process ends, however it ends. On Windows, and on a file
    system without such locks, the existence of the file is the lock, and one that a process left
    which is gone is taken over.

    Raises:
        Locked: somebody else holds it, still after `wait` seconds.
        RunError: it cannot be written.
    """
    until = time.monotonic() + wait
    with writing(path):
        while (taken := _take(path)) is None:
            if time.monotonic() >= until:
                raise Locked(path, holder(path))
            time.sleep(0.01)
    try:
        yield
    finally:
        handle, file = taken
        if sys.platform == "win32":
            os.close(handle)  # Windows removes no open file
            _forget(file)
        else:
            for name in {path, file}:  # names first: who opens them now opens other files
                _forget(name)
            os.close(handle)


def holder(path: Path) -> Holder | None:
    """Who holds a lock file; None if nobody does, as after a kill."""
    held = _by_name(path)
    if sys.platform != "win32":
        try:
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _named_in(path)
                except OSError:
                    pass  # no locks here: see the other file
        except OSError:
            pass
    return _named_in(held) if held.exists() and not _left_behind(held) else None


def _take(path: Path) -> tuple[int, Path] | None:
    """The open file that holds the lock, and its path; None if somebody else does."""
    if sys.platform == "win32":
        return _take_by_name(path)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                os.truncate(handle, 0)
                os.write(handle, _myself())
                return handle, path
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:
            pass  # its holder let go of it, and removed it, between the two lines
        except OSError as error:
            os.close(handle)
            if error.errno not in UNSUPPORTED:
                raise
            return _take_by_name(path)
        os.close(handle)


def _take_by_name(path: Path) -> tuple[int, Path] | None:
    held = _by_name(path)
    if held.exists() and _left_behind(held):
        _forget(held)
    try:
        handle = os.open(held, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return None
    os.write(handle, _myself())
    return handle, held


def _left_behind(held: Path) -> bool:
    """Whether the process that made a lock by name is gone: this can be told on its host only."""
    if sys.platform == "win32":
        return _forget(held)  # a file that a process has open cannot be removed
    by = _named_in(held)
    if by is None or by.host != socket.gethostname():
        return False
    try:
        os.kill(by.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is there, and somebody else's
    return False


def _by_name(path: Path) -> Path:
    """The file whose existence is the lock where the kernel has none."""
    return path.with_name(f"{path.name}.held")


def _forget(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _myself() -> bytes:
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()


def _named_in(path: Path) -> Holder | None:
    try:
        found: Any = json.loads(path.read_bytes())
        return Holder(int(found["pid"]), str(found["host"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None  # half written, or not ours
