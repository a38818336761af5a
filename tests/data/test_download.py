from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import UNREACHABLE, small_idx_files

from ganvas.data import download
from ganvas.data.sources import SOURCES, DataFile
from ganvas.errors import RunError, UsageError

LABELS = "t10k-labels-idx1-ubyte.gz"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An address, and the folder that is served there."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", folder
        running.shutdown()
        thread.join()


def test_places_in_order(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, small_mnist: Path
) -> None:
    environment = tmp_path / "environment"
    environment.mkdir()
    monkeypatch.setenv("GANVAS_DATA", str(environment))
    assert download.places("mnist", small_mnist) == [
        *(small_mnist / "mnist", small_mnist),
        *(environment / "mnist", environment),
        *(cache / "mnist", cache),
    ]
    content = (small_mnist / "mnist" / LABELS).read_bytes()
    for folder in (cache, cache / "mnist", environment, environment / "mnist"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LABELS).write_bytes(content)
        assert download.read("mnist", LABELS, None) == (folder / LABELS, content)
    for folder in (small_mnist / "mnist", small_mnist):
        (folder / LABELS).write_bytes(content)
    assert download.read("mnist", LABELS, small_mnist)[0] == small_mnist / "mnist" / LABELS


def test_unpacked_file(small_mnist: Path) -> None:
    packed = small_mnist / "mnist" / LABELS
    unpacked = packed.with_suffix("")
    unpacked.write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert download.read("mnist", LABELS, small_mnist)[0] == unpacked
    unpacked.write_bytes(b"something else")
    with pytest.raises(UsageError, match="not the published file"):
        download.read("mnist", LABELS, small_mnist)


def test_root_that_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--data-root: '.*missing' is not a folder"):
        download.places("mnist", tmp_path / "missing")
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="GANVAS_DATA: '.*missing' is not a folder"):
        download.places("mnist", None)


def test_wrong_hash(small_mnist: Path) -> None:
    path = small_mnist / "mnist" / LABELS
    path.write_bytes(b"wrong")
    with pytest.raises(UsageError) as error:
        download.read("mnist", LABELS, small_mnist)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    assert hashlib.sha256(b"wrong").hexdigest() in message
    assert str(SOURCES["mnist"].file(LABELS).sha256) in message
    assert "delete it and run `ganvas data fetch mnist`" in message


def test_file_of_another_data_set_is_named(
    small_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small_idx_files("fashion-mnist", monkeypatch, num_images=30)
    (small_mnist / "mnist" / LABELS).write_bytes(files[LABELS])
    with pytest.raises(UsageError, match=r"\(that is fashion-mnist's\)"):
        download.read("mnist", LABELS, small_mnist)


def test_missing_and_no_network(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    start = time.monotonic()
    with pytest.raises(RunError) as error:
        download.read("mnist", LABELS, root)
    assert time.monotonic() - start < 5
    message = str(error.value)
    assert "\n" not in message and f"'{LABELS}' is not in '{root / 'mnist'}', '{root}'" in message
    assert str(cache / "mnist") in message and "127.0.0.1:9: no connection" in message
    assert "`ganvas data fetch mnist`" in message
    assert "--data-root" in message and "GANVAS_DATA" in message
    with pytest.raises(RunError, match="cifar10: 'test_batch.bin' is not in"):
        download.read("cifar10", "test_batch.bin", root)


def test_fetch_from_the_first_mirror_that_is_right(
    server: tuple[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    files = small_idx_files("mnist", monkeypatch)
    mirrors = (UNREACHABLE, f"{address}missing/", f"{address}wrong/")
    monkeypatch.setitem(SOURCES, "mnist", replace(SOURCES["mnist"], mirrors=mirrors))
    (folder / "wrong").mkdir()
    (folder / "wrong" / LABELS).write_bytes(b"another file")
    with pytest.raises(RunError, match="no connection; .*HTTP 404; .*wrong checksum"):
        download.read("mnist", LABELS, None)
    assert list((cache / "mnist").iterdir()) == []

    mirrors = (*mirrors, address)
    monkeypatch.setitem(SOURCES, "mnist", replace(SOURCES["mnist"], mirrors=mirrors))
    (folder / LABELS).write_bytes(files[LABELS])
    assert download.read("mnist", LABELS, None) == (cache / "mnist" / LABELS, files[LABELS])
    (folder / LABELS).unlink()
    assert download.read("mnist", LABELS, None)[1] == files[LABELS]


def test_cache_that_cannot_be_written(
    server: tuple[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_idx_files("mnist", monkeypatch)
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.raises(RunError, match="cannot write"):
        download.read("mnist", LABELS, None)


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def small_cifar(monkeypatch: pytest.MonkeyPatch, address: str, archive: bytes, content: bytes):
    digest = hashlib.sha256(content).hexdigest()
    source = SOURCES["cifar10"]
    files = tuple(DataFile(f.name, digest, None, f.split, 1) for f in source.files)
    checksum = f"sha256:{hashlib.sha256(archive).hexdigest()}"
    packed = replace(source.archive, url=address + source.archive.name, checksum=checksum)
    monkeypatch.setitem(SOURCES, "cifar10", replace(source, files=files, archive=packed))


def test_tar_archive(
    server: tuple[str, Path], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    content = b"\1" * 3073
    wanted = {f"cifar-10-batches-bin/{f.name}": content for f in SOURCES["cifar10"].files}
    absolute = tmp_path / "absolute"
    hostile = {"../../escaped": b"x", str(absolute): b"x", "cifar-10-batches-bin/other": b""}
    archive = tar_of(wanted | hostile)
    small_cifar(monkeypatch, address, archive, content)
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive)
    path, read = download.read("cifar10", "test_batch.bin", None)
    assert path == cache / "cifar-10-batches-bin" / "test_batch.bin" and read == content
    unpacked = sorted(entry.name for entry in path.parent.iterdir())
    assert unpacked == sorted(f.name for f in SOURCES["cifar10"].files)
    assert not list(tmp_path.rglob("escaped")) and not absolute.exists()


def test_archive_that_the_user_has(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"\1" * 3073
    members = {f"cifar-10-batches-bin/{f.name}": content for f in SOURCES["cifar10"].files}
    archive = tar_of(members)
    small_cifar(monkeypatch, UNREACHABLE, archive, content)
    own = tmp_path / "cifar-10-binary.tar.gz"
    own.write_bytes(archive)
    assert download.read("cifar10", "data_batch_3.bin", tmp_path)[1] == content
    assert own.exists() and (cache / "cifar-10-batches-bin" / "data_batch_3.bin").exists()


@pytest.mark.parametrize("fault", ["wrong", "member", "lacking", "truncated"])
def test_bad_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    content = b"\1" * 3073
    members = {f"cifar-10-batches-bin/{f.name}": content for f in SOURCES["cifar10"].files}
    if fault == "member":
        members["cifar-10-batches-bin/data_batch_1.bin"] = b"\2" * 3073
    if fault == "lacking":
        members.pop("cifar-10-batches-bin/data_batch_2.bin")
    archive = tar_of(members)
    if fault == "truncated":
        archive = archive[: len(archive) // 2]
    small_cifar(monkeypatch, UNREACHABLE, archive, content)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"x" if fault == "wrong" else archive)
    expected = {
        "wrong": "not the published file",
        "member": "not the published file",
        "lacking": "lacks data_batch_2.bin",
        "truncated": "is corrupt",
    }
    with pytest.raises(UsageError, match=expected[fault]):
        download.read("cifar10", "test_batch.bin", tmp_path)


def test_zip_archive(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small_idx_files("emnist-letters", monkeypatch)
    path = tmp_path / "gzip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"gzip/{name}", content)
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    source = SOURCES["emnist-letters"]
    known = replace(source, archive=replace(source.archive, checksum=f"md5:{digest}"))
    monkeypatch.setitem(SOURCES, "emnist-letters", known)
    name = "emnist-letters-train-labels-idx1-ubyte.gz"
    path, content = download.read("emnist-letters", name, tmp_path)
    assert path == cache / "emnist-letters" / name and content == files[name]


def test_states(small_mnist: Path) -> None:
    file = SOURCES["mnist"].file(LABELS)
    path = small_mnist / "mnist" / LABELS
    assert download.state(path, file) == "verified"
    assert download.state(path, DataFile(LABELS)) == "unverified"
    path.write_bytes(b"wrong")
    assert download.state(path, file) == "corrupt"


# Damage in the cache


def test_a_damaged_file_of_the_cache_is_fetched_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path]
) -> None:
    address, folder = server
    content = small_idx_files("mnist", monkeypatch)[LABELS]
    (folder / LABELS).write_bytes(content)
    monkeypatch.setitem(SOURCES, "mnist", replace(SOURCES["mnist"], mirrors=(address,)))
    kept = cache / "mnist" / LABELS
    kept.parent.mkdir(parents=True)
    for damaged in (b"", content[:-3], b"\x00" + content[1:]):
        kept.write_bytes(damaged)
        assert download.read("mnist", LABELS, None) == (kept, content)
        assert kept.read_bytes() == content


def test_a_damaged_file_of_the_users_own_is_left_alone(
    small_mnist: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path]
) -> None:
    address, folder = server
    own = small_mnist / "mnist" / LABELS
    (folder / LABELS).write_bytes(own.read_bytes())
    monkeypatch.setitem(SOURCES, "mnist", replace(SOURCES["mnist"], mirrors=(address,)))
    own.write_bytes(b"mine")
    with pytest.raises(UsageError, match="not the published file"):
        download.read("mnist", LABELS, small_mnist)
    assert own.read_bytes() == b"mine"


def test_a_damaged_file_of_the_cache_without_a_network_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_idx_files("mnist", monkeypatch)
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / LABELS).write_bytes(b"damaged")
    with pytest.raises(UsageError, match="not the published file"):
        download.read("mnist", LABELS, None)


def test_a_file_without_a_published_checksum_is_compared_with_its_record(
    cache: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path]
) -> None:
    """As EMNIST's: the archive's checksum is known, that of its members is not."""
    address, folder = server
    contents = small_idx_files("emnist-letters", monkeypatch, first_label=1)
    source = SOURCES["emnist-letters"]
    assert source.archive is not None
    name = next(file.name for file in source.files if file.sha256 is None)
    with zipfile.ZipFile(folder / source.archive.name, "w") as archive:
        for member, content in contents.items():
            archive.writestr(f"{source.archive.folder}/{member}", content)
    digest = hashlib.md5((folder / source.archive.name).read_bytes()).hexdigest()
    served = replace(source.archive, url=address + source.archive.name, checksum=f"md5:{digest}")
    monkeypatch.setitem(SOURCES, "emnist-letters", replace(source, archive=served))
    path, content = download.read("emnist-letters", name, None)
    assert content == contents[name]
    path.write_bytes(content[:-1] + b"x")
    assert download.state(path, source.file(name)) == "corrupt"
    assert download.read("emnist-letters", name, None) == (path, content)


def test_cleaning_empties_the_cache(cache: Path, cli) -> None:
    assert download.clean() == 0
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / LABELS).write_bytes(bytes(3 << 20))
    (cache.parent / "other").mkdir()
    result = cli("data", "clean")
    assert (result.code, result.out) == (0, "freed 3.0 MiB\n")
    assert not cache.exists() and (cache.parent / "other").exists()
    assert cli("data", "clean", "--json").out.split() == ["{", '"freed":', "0", "}"]
