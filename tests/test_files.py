"""Files written whole, folders replaced and removed so that a kill does no harm, locks."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganvas import files
from ganvas.errors import RunError
from ganvas.files import (
    Holder,
    Locked,
    append_lines,
    aside_of,
    holder,
    locked,
    remove_folder,
    replace_folder,
    write_file,
)


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


def kill_at(count: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, but its call number `count` does nothing and is the last thing that happens."""
    calls = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= count:
            raise Killed
        return function(*arguments, **options)

    return counted


# Files


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_written_whole_with_its_folders(durable: bool, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.json"
    write_file(path, b"one", durable=durable)
    write_file(path, b"two", durable=durable)
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write '.*x'") as error:
        write_file(tmp_path / "file" / "x", b"")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b"new\n"),
        (b"", b"new\n"),
        (b"old\n", b"old\nnew\n"),
        (b'{"step": 1', b'{"step": 1\nnew\n'),
        (b"old\n\xff", b"old\n\xff\nnew\n"),
    ],
)
def test_a_line_is_added_on_a_line_of_its_own(
    before: bytes | None, after: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    if before is not None:
        path.write_bytes(before)
    append_lines(path, b"new\n", durable=True)
    assert path.read_bytes() == after


def test_where_a_folder_cannot_be_flushed_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    write_file(tmp_path / "x", b"1")
    assert (tmp_path / "x").read_bytes() == b"1"


def test_on_windows_no_folder_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, mode, dir_fd=dir_fd)

    opened = os.open
    monkeypatch.setattr(os, "open", open_)
    with pytest.raises(RunError):
        write_file(tmp_path / "x", b"1")
    monkeypatch.setattr(sys, "platform", "win32")
    write_file(tmp_path / "x", b"2")
    replace_folder(made(tmp_path / "new", "2"), made(tmp_path / "old", "1"))
    assert (tmp_path / "x").read_bytes() == b"2" and content(tmp_path / "old") == "2"


def test_on_windows_a_file_that_somebody_reads_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [PermissionError(errno.EACCES, "Access is denied")] * 3

    def replace(old: Any, new: Any) -> None:
        if refusals:
            raise refusals.pop()
        os.rename(old, new)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(RunError, match="not writable"):
        write_file(tmp_path / "x", b"1")
    monkeypatch.setattr(sys, "platform", "win32")
    write_file(tmp_path / "x", b"2")
    assert (tmp_path / "x").read_bytes() == b"2" and refusals == []


# Folders


def made(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "content").write_text(text)
    return folder


def content(folder: Path) -> str | None:
    return (folder / "content").read_text() if folder.exists() else None


def test_a_folder_is_put_in_the_place_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    replace_folder(made(tmp_path / ".new", "1"), folder)
    assert content(folder) == "1"
    replace_folder(made(tmp_path / ".new", "2"), folder)
    assert content(folder) == "2"
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("call", [1, 2])
def test_a_kill_while_a_folder_is_replaced_leaves_the_old_one_or_the_new_one(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, new = made(tmp_path / "folder", "1"), made(tmp_path / ".new", "2")
    with monkeypatch.context() as patch:
        patch.setattr(files, "_rename", kill_at(call, files._rename))
        with pytest.raises(Killed):
            replace_folder(new, folder)
    assert (content(folder) or content(aside_of(folder))) == "1" and content(new) == "2"
    replace_folder(new, folder)  # and it can be done again
    assert content(folder) == "2"
    assert [entry.name for entry in tmp_path.iterdir() if entry != aside_of(folder)] == ["folder"]


def test_a_folder_whose_replacement_fails_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path / "folder", "1")
    with pytest.raises(RunError, match="cannot write"):
        replace_folder(tmp_path / "nowhere", folder)
    assert content(folder) == "1" and not aside_of(folder).exists()


def test_a_folder_loses_its_name_before_it_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path / "folder", "1")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", kill_at(1, print))
        with pytest.raises(Killed):
            remove_folder(folder)
    assert not folder.exists() and content(tmp_path / f".folder.{os.getpid()}") == "1"
    remove_folder(made(tmp_path / "other", "1"))
    assert not list(tmp_path.glob("*other*"))


# Locks


@pytest.fixture(params=["kernel", "by name"])
def lock(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file, on a file system with and without locks of the kernel."""
    if request.param == "by name":

        def flock(file: Any, operation: int) -> None:
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr("fcntl.flock", flock)
    return tmp_path / ".lock"


def test_a_lock_is_held_by_one(lock: Path) -> None:
    me = Holder(os.getpid(), socket.gethostname())
    assert holder(lock) is None
    with locked(lock):
        assert holder(lock) == me
        with pytest.raises(Locked, match=f"held by process {os.getpid()} on ") as error:
            with locked(lock):
                pass
        assert error.value.holder == me
        assert holder(lock) == me  # a refusal lets nothing go
    assert holder(lock) is None
    assert list(lock.parent.iterdir()) == []
    with locked(lock):
        pass


def test_a_lock_is_let_go_of_when_the_work_fails(lock: Path) -> None:
    with pytest.raises(Killed):
        with locked(lock):
            raise Killed
    assert holder(lock) is None


def test_a_lock_file_with_nobody_behind_it_is_free(lock: Path) -> None:
    for name in (lock.name, f"{lock.name}.held"):
        gone = {"pid": 2**22 + 1, "host": socket.gethostname()}  # above Linux's largest pid
        (lock.parent / name).write_text(json.dumps(gone))
    assert holder(lock) is None
    with locked(lock):
        assert holder(lock) == (os.getpid(), socket.gethostname())


def test_without_locks_of_the_kernel_another_machine_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: Any, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    (tmp_path / ".lock.held").write_text('{"pid": 1, "host": "elsewhere"}')
    assert holder(tmp_path / ".lock") == (1, "elsewhere")
    with pytest.raises(Locked, match="process 1 on elsewhere"):
        with locked(tmp_path / ".lock"):
            pass
    (tmp_path / ".lock.held").write_text("")  # half written
    with pytest.raises(Locked, match="another process"):
        with locked(tmp_path / ".lock"):
            pass


HOLD = """
import sys
from pathlib import Path
from ganvas.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
COUNT = """
import sys
from pathlib import Path
from ganvas.files import locked
counter = Path(sys.argv[1])
for _ in range(40):
    with locked(counter.with_name(".lock"), wait=60):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def started(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_kernel_lets_go_after_a_kill(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with started(HOLD, lock) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        assert holder(lock) == (other.pid, socket.gethostname())
        with pytest.raises(Locked, match=f"process {other.pid} on"):
            with locked(lock):
                pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert lock.exists() and holder(lock) is None
    with locked(lock):
        assert holder(lock) == (os.getpid(), socket.gethostname())


def test_many_processes_take_turns(tmp_path: Path) -> None:
    """Each adds to a number in a file, which loses counts when two do it at once."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    others = [started(COUNT, counter) for _ in range(4)]
    for other in others:
        other.communicate(timeout=60)
        assert other.returncode == 0
    assert counter.read_text() == "160"
    assert [entry.name for entry in tmp_path.iterdir()] == ["counter"]
