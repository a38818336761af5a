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
        (gzip.compress(idx(IMAGES))[:-10], "gzip data that is truncated"),
        (gzip.compress(idx(IMAGES))[:20] + b"garbage" * 3, "gzip data that is truncated"),
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
