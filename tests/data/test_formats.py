from __future__ import annotations

import gzip
import io
import re
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import idx

from ganvas.data import formats
from ganvas.errors import UsageError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
PATH = Path("some-file")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx(pack) -> None:
    assert (formats.read_idx(pack(idx(IMAGES)), PATH, 3) == IMAGES).all()
    assert formats.read_idx(pack(idx(np.array([3, 1], np.uint8))), PATH, 1).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "0 bytes"),
        (b"\0\0\x08", "3 bytes"),
        (b"PK\3\4" + b"\0" * 20, "magic number"),
        (idx(np.zeros(30, np.uint8)), "magic number 2049"),
        (idx(IMAGES)[:-1], "only 23 bytes"),
        (idx(IMAGES) + b"x", "more than 24 bytes"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-10], "gzip data that is truncated"),
        (gzip.compress(idx(IMAGES), mtime=0)[:20] + b"garbage" * 3, "gzip data that is truncated"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "claims"),
    ],
)
def test_bad_idx(content: bytes, found: str) -> None:
    with pytest.raises(UsageError, match=f"'some-file' is not usable: found .*{found}.*expected"):
        formats.read_idx(content, PATH, 3)


def test_cifar() -> None:
    records = np.zeros((3, 3073), np.uint8)
    records[:, 0] = [7, 0, 9]
    records[1, 1 + 1024] = 50  # the first green byte
    images, labels = formats.read_cifar(records.tobytes(), PATH)
    assert images.shape == (3, 3, 32, 32) and images[1, 1, 0, 0] == 50 and images.sum() == 50
    assert labels.tolist() == [7, 0, 9]


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", "0 bytes"), (b"\0" * 3072, "3,072 bytes"), (b"\x0a" + b"\0" * 3072, "label 10")],
)
def test_bad_cifar(content: bytes, found: str) -> None:
    with pytest.raises(UsageError, match=f"some-file.*found {found}"):
        formats.read_cifar(content, PATH)


@pytest.mark.parametrize("key", ["images", "x", "x_train", "arr_0"])
@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_npz_keys(tmp_path: Path, key: str, write) -> None:
    write(tmp_path / "a.npz", **{key: IMAGES})
    raw = formats.read_npz(tmp_path / "a.npz", "train")
    assert (raw.images[:, 0] == IMAGES).all() and raw.labels is None and raw.classes == ()


def test_npz_layouts_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    last = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    np.savez(path, images=last, labels=np.array([[9], [2], [9], [5]], np.uint8))
    raw = formats.read_npz(path, "train")
    assert (raw.images == last.transpose(0, 3, 1, 2)).all()
    assert raw.labels.tolist() == [2, 0, 2, 1] and raw.classes == ("2", "5", "9")

    np.savez(path, x=last.transpose(0, 3, 1, 2), x_test=last[:1], y_test=np.array([4]))
    assert (formats.read_npz(path, "train").images == raw.images).all()
    test = formats.read_npz(path, "test")
    assert len(test.images) == 1 and test.classes == ("4",)

    np.savez(path, np.asfortranarray(last))
    assert (formats.read_npz(path, "train").images == raw.images).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", "float16"])
def test_npz_floats(tmp_path: Path, dtype: str) -> None:
    np.savez(tmp_path / "a.npz", np.array([[[0, 0.2], [0.5, 1]]], dtype))
    assert formats.read_npz(tmp_path / "a.npz", "train").images.tolist() == [
        [[[0, 51], [128, 255]]]
    ]


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"pictures": IMAGES}, "arrays pictures; expected train images named images or x"),
        ({"x": np.array([[[0.0, np.nan]]])}, "'x' with NaN"),
        ({"x": np.array([[[0.0, 255.0]]])}, "floats from 0 to 255"),
        ({"x": IMAGES.astype(np.int64)}, "'x' of int64"),
        ({"x": IMAGES > 2}, "'x' of bool"),
        ({"x": IMAGES[0]}, re.escape("'x' of shape (3, 4)")),
        ({"x": np.zeros((2, 5, 5, 2), np.uint8)}, re.escape("of shape (2, 5, 5, 2)")),
        ({"x": IMAGES[:0]}, "which is empty"),
        ({"x": IMAGES, "y": np.array([1])}, "'y' of int64"),
        ({"x": IMAGES, "y": np.array([1.0, 2.0])}, "'y' of float64"),
        ({"x": IMAGES, "y": np.array(3)}, "'y' of int64"),
        ({"x": np.array([None, IMAGES], object)}, "Python objects"),
        ({"x": IMAGES, "y": np.array(["a", "b"], object)}, "Python objects"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, np.ndarray], found: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UsageError, match=f"bad.npz' is not usable: found .*{found}") as error:
        formats.read_npz(tmp_path / "bad.npz", "train")
    assert "\n" not in str(error.value)


def test_npz_that_claims_a_huge_array_takes_no_memory(tmp_path: Path) -> None:
    member = io.BytesIO()
    shape = (10**9, 28, 28)
    np.lib.format.write_array_header_1_0(
        member, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", member.getvalue() + b"\0" * 100)
    tracemalloc.start()
    with pytest.raises(
        UsageError, match="'images' that claims 784,000,000,000 bytes and holds 100"
    ):
        formats.read_npz(path, "train")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_broken_npz(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    with pytest.raises(UsageError, match="does not exist"):
        formats.read_npz(path, "train")
    for content in (b"", b"not a zip file"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="broken archive"):
            formats.read_npz(path, "train")
    np.savez(path, images=np.zeros((10, 28, 28), np.uint8))
    content = bytearray(path.read_bytes())
    content[500] ^= 1  # a pixel, so that the archive's checksum fails
    path.write_bytes(content)
    with pytest.raises(UsageError, match="broken archive"):
        formats.read_npz(path, "train")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"no header at all")
    with pytest.raises(UsageError, match="header that cannot be read"):
        formats.read_npz(path, "train")


# Files that are meant to do harm


def npz(path: Path, header: bytes, data: bytes = b"", method: int = zipfile.ZIP_STORED) -> Path:
    """An NPZ whose one array `images` has this header and this content."""
    magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("images.npy", magic + header + data)
    return path


def header(shape: str, descr: str = "|u1") -> bytes:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"(" * 9_000 + b"\n", "header that cannot be read"),
        (b"[" * 9_000 + b"]" * 900 + b"\n", "header that cannot be read"),
        (header("(True, 8, 8)"), "header that cannot be read"),
        (header("(1, 8.0, 8)"), "header that cannot be read"),
        (header("(-1, 8, -8)"), "header that cannot be read"),
        (header("(2, 8, 8, " + "1, " * 70 + ")"), "broken archive|cannot be read|of shape"),
        (header("(1, 8, 8)", "|O"), "Python objects"),
        (header("(1, 8, 8)", "<M8[ns]"), "of datetime64"),
        (header("(1, 8, 8)", "nonsense"), "header that cannot be read"),
        (b"{'shape': (1, 8, 8)}\n", "header that cannot be read"),
        (b"\xff\xfe\n", "header that cannot be read"),
        (b"\x00" * 50, "header that cannot be read"),
        (b"__import__('os').abort()\n", "header that cannot be read"),
    ],
)
def test_a_hostile_npy_header_is_one_line(content: bytes, found: str, tmp_path: Path) -> None:
    path = npz(tmp_path / "bad.npz", content, bytes(128))
    with pytest.raises(UsageError, match=found) as error:
        formats.read_npz(path, "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_npz_compressed_otherwise_is_refused(method: int, tmp_path: Path) -> None:
    path = npz(tmp_path / "bad.npz", header("(2, 8, 8)"), bytes(128), method)
    with pytest.raises(UsageError, match="another compression"):
        formats.read_npz(path, "train")
    content = bytearray(path.read_bytes())
    content[80] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UsageError, match="another compression"):
        formats.read_npz(path, "train")


def test_npz_with_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = npz(tmp_path / "bad.npz", header("(2, 8, 8)"), bytes(128))
    content = path.read_bytes().replace(b"images.npy", b"\xff\x1bages.npy")
    directory = content.index(b"PK\1\2")
    content = content[: directory + 9] + b"\x08" + content[directory + 10 :]  # "names are UTF-8"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="broken archive|arrays") as error:
        formats.read_npz(path, "train")
    assert str(error.value).isprintable()


def test_npz_names_move_no_cursor(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("\x1b[2Jx.npy", b"")
    with pytest.raises(UsageError, match=r"arrays \\x1b\[2Jx") as error:
        formats.read_npz(tmp_path / "bad.npz", "train")
    assert str(error.value).isprintable()


def test_deflated_npz_that_claims_more_than_it_can_hold(tmp_path: Path) -> None:
    size = 1 << 30
    path = npz(tmp_path / "bad.npz", header(f"({size}, 1, 1)"), b"", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as archive:
        (info,) = archive.infolist()
    real, claimed = (n.to_bytes(4, "little") for n in (info.file_size, info.file_size + size))
    path.write_bytes(path.read_bytes().replace(real, claimed))
    tracemalloc.start()
    with pytest.raises(UsageError, match="'images' that claims 1,073,"):
        formats.read_npz(path, "train")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_that_claims_four_gibibytes_takes_no_memory(pack) -> None:
    content = pack(b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (1 << 20, 64, 64)))
    tracemalloc.start()
    with pytest.raises(UsageError, match="claims 4,294,967,296 bytes|only 0 bytes"):
        formats.read_idx(content, PATH, 3)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["stored", "deflated", "idx", "idx.gz"])
def test_random_damage_is_one_line_or_none(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8), np.uint8)
    if kind in ("stored", "deflated"):
        with path.open("wb") as file:
            save = np.savez if kind == "stored" else np.savez_compressed
            save(file, images=images, labels=np.arange(4))
    else:
        path.write_bytes(gzip.compress(idx(images), mtime=0) if kind == "idx.gz" else idx(images))
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(400):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            content[place] = rng.integers(256)
        path.write_bytes(content[: rng.integers(len(content) // 2, len(content) + 1)])
        try:
            if kind in ("stored", "deflated"):
                formats.read_npz(path, "train")
            else:
                formats.read_idx(path.read_bytes(), path, 3)
        except UsageError as error:
            assert str(error).isprintable()
