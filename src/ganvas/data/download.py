"""Where data files are looked for, what they must contain, and how they are fetched.

A file is looked for in the folder that the user gave (--data-root), in GANVAS_DATA and in the
user's cache, each both as FOLDER/<data set's folder>/<file> and FOLDER/<file>, as published or
unpacked. What is found nowhere is fetched into the cache from the first mirror that answers.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import platformdirs

from ganvas.data.sources import SOURCES, DataFile, Source
from ganvas.errors import RunError, UsageError
from ganvas.files import write_file, writing

TIMEOUT: Final = (4.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""
MAX_MEMBER: Final = 200 << 20
"""The most bytes that a file in an archive may claim."""

FileState = Literal["verified", "unverified", "corrupt"]


def user_cache() -> Path:
    """The user's folder for data that is fetched or drawn."""
    return Path(platformdirs.user_cache_dir("ganvas")) / "data"


def clean() -> int:
    """Empty the user's folder for data; how many bytes that freed.

    Raises:
        RunError: it cannot be removed.
    """
    cache = user_cache()
    freed = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    if cache.exists():
        with writing(cache):
            shutil.rmtree(cache)
    return freed


def places(folder: str, root: Path | None) -> list[Path]:
    """The folders in which a data set's files are looked for, in order.

    Raises:
        UsageError: `root` or GANVAS_DATA is given and is no folder.
    """
    given = {"--data-root": root and str(root), "GANVAS_DATA": os.environ.get("GANVAS_DATA")}
    bases = []
    for option, value in given.items():
        if value:
            if not Path(value).is_dir():
                raise UsageError(f"{option}: '{value}' is not a folder; give one that exists")
            bases.append(Path(value))
    return [place for base in (*bases, user_cache()) for place in (base / folder, base)]


def find(source: Source, file: DataFile, root: Path | None) -> Path | None:
    """The first place where a file is, as published or unpacked."""
    names = [file.name, file.name.removesuffix(".gz")]
    candidates = (place / name for place in places(source.folder, root) for name in names)
    return next((path for path in candidates if path.is_file()), None)


def state(path: Path, file: DataFile) -> FileState:
    """Whether a file that was found is the published one, by its SHA-256."""
    expected = _expected(path, file)
    if expected is None:
        return "unverified"
    return "verified" if _digest(path) == expected else "corrupt"


def read(dataset: str, name: str, root: Path | None) -> tuple[Path, bytes]:
    """The content of a data set's file `name`, as it is on disk, and where that was.

    Raises:
        UsageError: a file that was found, or fetched, is not the published one.
        RunError: the file is nowhere, and no mirror answers.
    """
    path = obtain(dataset, name, root)
    content = _content(path)
    expected = _expected(path, SOURCES[dataset].file(name))
    if _is_kept(path) and expected not in (None, hashlib.sha256(content).hexdigest()):
        fetched = _download(dataset, name, root)  # over the damaged one, if it is to be had
        if isinstance(fetched, Path):
            path, content = fetched, _content(fetched)
    _verify(dataset, path, content, _expected(path, SOURCES[dataset].file(name)))
    return path, content


def obtain(dataset: str, name: str, root: Path | None) -> Path:
    """Where a data set's file is; it is fetched if it is nowhere. Raises as `read` does."""
    source = SOURCES[dataset]
    file = source.file(name)
    if path := find(source, file, root):
        return path
    fetched = _download(dataset, name, root)
    if isinstance(fetched, Path):
        return fetched
    looked = ", ".join(f"'{place}'" for place in places(source.folder, root))
    raise RunError(
        f"{dataset}: '{name}' is not in {looked}, and could not be downloaded ({fetched}); run "
        f"`ganvas data fetch {dataset}` where there is a network, or put {source.address(file)} "
        "into a folder and give it with --data-root or GANVAS_DATA"
    )


def _download(dataset: str, name: str, root: Path | None) -> Path | str:
    """Fetch a data set's file into the cache; where it is now, or why it is not to be had."""
    source = SOURCES[dataset]
    target = user_cache() / source.folder
    if source.archive is None:
        checksum = f"sha256:{source.file(name).sha256}"
        fetched = _fetch([base + name for base in source.mirrors], checksum, target)
    else:
        fetched = _from_archive(dataset, source, target, root)
    return target / name if isinstance(fetched, Path) else fetched


def _from_archive(dataset: str, source: Source, target: Path, root: Path | None) -> Path | str:
    """Unpack the wanted files of the data set's archive into `target`; or why it is not to be had.

    An archive that the user put in place is used and left there; a fetched one is removed.
    """
    assert source.archive is not None
    checksum = source.archive.checksum
    found = find(source, DataFile(source.archive.name), root)
    algorithm, _, expected = checksum.partition(":")
    digest = found and _digest(found, algorithm)
    if found and _is_kept(found) and digest != expected:
        found = None  # it is fetched over the damaged one
    if found is None:
        fetched = _fetch([source.archive.url], checksum, target)
        if isinstance(fetched, str):
            return fetched
    elif digest != expected:
        raise UsageError(_not_as_published(dataset, found, str(digest), expected))
    archive = found or target / source.archive.name
    unpacked = set()
    try:
        for name, content in _members(archive, source):
            _verify(dataset, archive, content, source.file(name).sha256)
            write_file(target / name, content)
            if source.file(name).sha256 is None:  # the archive's checksum is all that is known
                digest = hashlib.sha256(content).hexdigest()
                write_file(_record(target / name), digest.encode())
            unpacked.add(name)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UsageError(f"{dataset}: archive '{archive}' is corrupt: {error}; delete it") from None
    if missing := [file.name for file in source.files if file.name not in unpacked]:
        raise UsageError(f"{dataset}: archive '{archive}' lacks {', '.join(missing)}")
    if found is None:
        archive.unlink()
    return target


def _members(path: Path, source: Source) -> Iterator[tuple[str, bytes]]:
    """The wanted files in an archive, by name; its own paths are never written to."""
    assert source.archive is not None
    wanted = {f"{source.archive.folder}/{file.name}": file.name for file in source.files}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename in wanted and info.file_size <= MAX_MEMBER:
                    yield wanted[info.filename], archive.read(info)
        return
    with tarfile.open(path, "r:gz") as tar:
        for member in tar:
            if member.name in wanted and member.isfile() and member.size <= MAX_MEMBER:
                file = tar.extractfile(member)
                assert file is not None
                yield wanted[member.name], file.read()


def _fetch(urls: list[str], checksum: str, folder: Path) -> Path | str:
    """Fetch one file into `folder` from the first of `urls` that gives it; or why none does."""
    import pooch

    pooch.get_logger().setLevel("WARNING")  # its remarks on each URL would break the one line
    fetcher = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)
    reasons = []
    for url in urls:
        name = url.rpartition("/")[2]
        try:
            with writing(folder / name):
                folder.mkdir(parents=True, exist_ok=True)
            return Path(pooch.retrieve(url, checksum, name, folder, downloader=fetcher))
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk, not the network
                with writing(folder / name):
                    raise
            reasons.append(f"{urlsplit(url).netloc}: {_reason(error)}")
    return "; ".join(reasons)


def _reason(error: Exception) -> str:
    """A network failure in a word or two; the libraries' own texts run over many lines."""
    if isinstance(error, ValueError) and "hash" in str(error):
        return "wrong checksum"
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    return "timed out" if "Timeout" in type(error).__name__ else "no connection"


def _verify(dataset: str, path: Path, content: bytes, expected: str | None) -> None:
    found = hashlib.sha256(content).hexdigest()
    if expected is not None and found != expected:
        raise UsageError(_not_as_published(dataset, path, found, expected))


def _not_as_published(dataset: str, path: Path, found: str, expected: str) -> str:
    owner = next(
        (name for name, source in SOURCES.items() for file in source.files
         if found in (file.sha256, file.unpacked_sha256)),
        None,
    )  # fmt: skip
    is_of = f" (that is {owner}'s)" if owner else ""
    return (
        f"{dataset}: '{path}' is not the published file: found checksum {found}{is_of}, expected "
        f"{expected}; delete it and run `ganvas data fetch {dataset}`, or give another --data-root"
    )


def _expected(path: Path, file: DataFile) -> str | None:
    unpacked = file.name.endswith(".gz") and path.suffix != ".gz"
    published = file.unpacked_sha256 if unpacked else file.sha256
    if published is None and _record(path).is_file():
        return _content(_record(path)).decode(errors="replace")
    return published


def _record(path: Path) -> Path:
    """Where the SHA-256 of a file of the cache is kept that its authors say none of."""
    return path.with_name(f"{path.name}.sha256")


def _is_kept(path: Path) -> bool:
    """Whether a file lies in the cache, so that it is ours and not the user's."""
    return path.is_relative_to(user_cache())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"data file '{path}' cannot be read: {error.strerror}") from None


def _digest(path: Path, algorithm: str = "sha256") -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
