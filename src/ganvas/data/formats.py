"""Data files as checked uint8 arrays, or one clear error: IDX, CIFAR-10's binary layout, NPZ.

Sizes that a file claims are checked before memory is taken, and nothing is ever unpickled.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import UsageError, printable
from ganvas.protocols import RawImages, Split

Array = NDArray[np.uint8]

MAX_BYTES: Final = 4 << 30
"""The most bytes that one array in a file may claim."""

DEFLATED: Final = 1032
"""The most bytes that one byte of deflated data, as in gzip and zip, can stand for."""

IDX_MAGIC: Final = {3: 2051, 1: 2049}
"""Dimensions -> the first four bytes of an IDX file of uint8 values, big-endian."""

CIFAR_RECORD: Final = 1 + 3 * 32 * 32

_BROKEN: Final = (zipfile.BadZipFile, zlib.error, struct.error, OverflowError, MemoryError)
"""What zipfile raises on a broken archive, besides errors of files and of values."""

NPZ_KEYS: Final[dict[Split, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "train": (("images", "x", "x_train", "arr_0"), ("labels", "y", "y_train", "arr_1")),
    "test": (("x_test",), ("y_test",)),
}
"""Split -> names under which images and labels are looked for, the first found is taken."""


def read_idx(content: bytes, path: Path, dimensions: int) -> Array:
    """An IDX file's content, gzipped or not, as an array of 3 (images) or 1 (labels) dimensions.

    Raises:
        UsageError: truncated, too long, not IDX, or of another kind.
    """
    kind = "images" if dimensions == 3 else "labels"
    packed = content[:2] == b"\x1f\x8b"
    file = gzip.open(io.BytesIO(content)) if packed else io.BytesIO(content)
    header_bytes = 4 + 4 * dimensions
    try:
        header = file.read(header_bytes)
        if len(header) < header_bytes:
            _wrong(path, f"{len(header)} bytes", f"an IDX file of {kind}")
        magic, *shape = struct.unpack(f">{1 + dimensions}I", header)
        if magic != IDX_MAGIC[dimensions]:
            _wrong(path, f"magic number {magic}", f"{IDX_MAGIC[dimensions]}, an IDX file of {kind}")
        size = math.prod(shape)
        if size > min(MAX_BYTES, DEFLATED * len(content) if packed else math.inf):
            claimed = f"a header that claims {size:,} bytes in a file of {len(content):,}"
            _wrong(path, claimed, f"at most {MAX_BYTES:,}, and no more than the file can hold")
        values = file.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        _wrong(path, "gzip data that is truncated or corrupt", f"an IDX file of {kind}")
    if len(values) != size:
        found = f"only {len(values):,}" if len(values) < size else f"more than {size:,}"
        _wrong(path, f"{found} bytes after the header", f"{size:,} for {'x'.join(map(str, shape))}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def read_cifar(content: bytes, path: Path) -> tuple[Array, NDArray[np.int64]]:
    """A CIFAR-10 binary batch as (N, 3, 32, 32) images and (N,) labels from 0 to 9.

    Raises:
        UsageError: not a whole number of records, or a label above 9.
    """
    if not content or len(content) % CIFAR_RECORD:
        _wrong(path, f"{len(content):,} bytes", f"a whole number of {CIFAR_RECORD}-byte records")
    records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR_RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        _wrong(path, f"label {labels.max()}", "labels 0 to 9, as in CIFAR-10's binary batches")
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


def has_split(path: Path, split: Split) -> bool:
    """Whether an NPZ file has images of a split; no where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(f"{key}.npy" in archive.namelist() for key in NPZ_KEYS[split][0])
    except (OSError, ValueError, *_BROKEN):
        return False


def read_npz(path: Path, split: Split) -> RawImages:
    """Images, and labels if it has any, of an NPZ file.

    Images are uint8, or floats in [0, 1]; laid out as (N, H, W), (N, H, W, C) or (N, C, H, W), the
    former where both would fit. Label values become class names, in ascending order.

    Raises:
        UsageError: no such file or array, Python objects, another type, range, layout or size.
    """
    image_keys, label_keys = NPZ_KEYS[split]
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            image_key = next((key for key in image_keys if key in names), None)
            label_key = next((key for key in label_keys if key in names), None)
            if image_key is None:
                found = printable(", ".join(names[:8])) or "nothing"
                _wrong(
                    path,
                    f"arrays {printable(found)}",
                    f"{split} images named {' or '.join(image_keys)}",
                )
            images = _as_images(_read_member(archive, image_key, path), image_key, path)
            if label_key is None:
                return RawImages(images)
            values = _read_member(archive, label_key, path)
    except FileNotFoundError:
        raise UsageError(f"NPZ file '{path}' does not exist") from None
    except UsageError:
        raise
    except (OSError, EOFError, RuntimeError, ValueError, *_BROKEN) as error:
        reason = printable(str(error).partition("\n")[0])
        _wrong(path, f"a broken archive ({reason})", "an NPZ file as numpy.savez writes it")
    if values.dtype.kind not in "iu" or values.shape not in ((len(images),), (len(images), 1)):
        _wrong(
            path,
            f"array '{label_key}' of {values.dtype} {values.shape}",
            f"one whole number for each of {len(images):,} images",
        )
    known, labels = np.unique(values.reshape(-1), return_inverse=True)
    return RawImages(images, labels.astype(np.int64), tuple(str(value) for value in known))


def _read_member(archive: zipfile.ZipFile, key: str, path: Path) -> NDArray[np.generic]:
    """One array; its header is compared with the archive's directory before it is unpacked."""
    try:
        info = archive.getinfo(f"{key}.npy")
    except KeyError:
        _wrong(path, f"'{key}' that is no array", "arrays as numpy.savez writes them")
    if info.flag_bits & 1:
        _wrong(path, "an encrypted archive", "an NPZ file as numpy.savez writes it")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        _wrong(path, "another compression", "an NPZ file as numpy.savez writes it")
    if info.file_size > DEFLATED * info.compress_size:
        claimed = f"'{key}' that claims {info.file_size:,} bytes in {info.compress_size:,}"
        _wrong(path, claimed, "no more than they can hold")
    with archive.open(info) as file:
        try:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
            if not all(type(length) is int and length >= 0 for length in shape):
                raise ValueError(shape)
        except Exception:  # numpy reads it as Python's text, and raises whatever that raises
            _wrong(path, f"array '{key}' with a header that cannot be read", "a .npy header")
        if dtype.hasobject:
            _wrong(path, f"array '{key}' of Python objects", "numbers; objects are never unpickled")
        if dtype.kind not in "uif":
            _wrong(path, f"array '{key}' of {dtype}", "uint8, floats in [0, 1], integer labels")
        size = math.prod(shape) * dtype.itemsize
        stored = info.file_size - file.tell()
        if size > MAX_BYTES or size != stored:
            _wrong(
                path,
                f"array '{key}' that claims {size:,} bytes and holds {stored:,}",
                f"as many as it claims, and at most {MAX_BYTES:,}",
            )
        content = file.read(size + 1)  # past the end, so that the archive's checksum is compared
    order = shape[::-1] if fortran else shape
    array = np.frombuffer(content, dtype).reshape(order)
    return array.T if fortran else array


def _as_images(array: NDArray[np.generic], key: str, path: Path) -> Array:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) -> uint8 (N, C, H, W)."""
    shape = array.shape
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and shape[3] in (1, 3, 4):
        array = np.moveaxis(array, 3, 1)
    elif array.ndim != 4 or shape[1] not in (1, 3, 4):
        allowed = "(N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1, 3 or 4"
        _wrong(path, f"array '{key}' of shape {shape}", allowed)
    if array.size == 0:
        _wrong(path, f"array '{key}' of shape {shape}, which is empty", "at least one image")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array, np.uint8)
    if array.dtype.kind != "f":
        _wrong(path, f"array '{key}' of {array.dtype}", "uint8, or floats in [0, 1]")

    pixels = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), 1024):  # in parts, so that no second float array is made
        part = array[start : start + 1024].astype(np.float32)
        if not np.isfinite(part).all():
            _wrong(path, f"array '{key}' with NaN or infinite values", "floats in [0, 1]")
        if part.min() < 0 or part.max() > 1:
            found = f"array '{key}' with floats from {part.min():.4g} to {part.max():.4g}"
            _wrong(path, found, "floats in [0, 1], or uint8")
        pixels[start : start + 1024] = np.rint(part * 255)
    return pixels


def _wrong(path: Path, found: str, expected: str) -> NoReturn:
    raise UsageError(f"data file '{path}' is not usable: found {found}; expected {expected}")
