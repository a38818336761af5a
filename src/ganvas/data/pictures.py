"""Folders of pictures as uint8 arrays: which files count, in what order, in what channels."""

from __future__ import annotations

import os
import re
import struct
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ganvas.errors import UsageError
from ganvas.pixels import over_black

Array = NDArray[np.uint8]

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})
MAX_PIXELS: Final = 64_000_000
"""The largest picture that is decoded."""
SMALL: Final = 20_000
"""Mean size of files, in bytes, up to which one thread is as fast as several."""
MAX_BYTES: Final = 8 << 30
"""The most that a folder's pictures may take in memory."""


@dataclass(frozen=True)
class Broken:
    """A picture that cannot be read."""

    file: str
    """Path inside the folder."""
    reason: str


@dataclass(frozen=True)
class Pictures:
    """The pictures of a folder, in the order of classes and then of file names."""

    images: list[Array]
    """uint8 (C, H, W) each; C is the same for all: 1, 3 or 4."""
    files: list[str]
    """Path of each image inside the folder."""
    channels: list[int]
    """Channels of each file as it is: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA."""
    labels: NDArray[np.int64] | None
    """Class index of each image, from 0; None in a folder without class folders."""
    classes: tuple[str, ...]
    broken: list[Broken]


def natural(name: str) -> tuple[list[str | int], str]:
    """Sort key in which "2.jpg" comes before "10.jpg"."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def class_folders(folder: Path) -> list[str]:
    """Names of the subfolders that hold pictures."""
    return sorted((entry.name for entry in _folders(folder) if _files(entry)), key=natural)


def read_pictures(folder: Path, classes: Sequence[str] | None = None) -> Pictures:
    """Every picture of a folder, or of its class folders if it has any; broken ones are listed.

    With class folders the pictures beside them are not loaded. Hidden files and files that are
    no pictures by their suffix do not count. `classes` fixes the class folders and their order.

    A picture keeps its alpha channel only if every picture has one; otherwise it is laid over
    black. The result is grey if all pictures are grey, else RGB.

    Raises:
        UsageError: no such folder, nothing in it, or more pictures than memory is allowed for.
    """
    if not folder.is_dir():
        raise UsageError(f"picture folder '{folder}' does not exist")
    names = class_folders(folder) if classes is None else list(classes)
    groups = [folder / name for name in names] or [folder]
    paths = [(path, label) for label, group in enumerate(groups) for path in _files(group)]
    if not paths:
        suffixes = " ".join(sorted(SUFFIXES))
        raise UsageError(f"picture folder '{folder}' holds no pictures; looked for {suffixes}")

    decoded = _decode_all(folder, [path for path, _ in paths])
    files = [str(path.relative_to(folder)) for path, _ in paths]
    whole = [i for i, pixels in enumerate(decoded) if not isinstance(pixels, str)]
    arrays = [pixels for pixels in decoded if not isinstance(pixels, str)]
    return Pictures(
        images=_unify(arrays),
        files=[files[i] for i in whole],
        channels=[pixels.shape[2] for pixels in arrays],
        labels=np.array([paths[i][1] for i in whole], np.int64) if names else None,
        classes=tuple(names),
        broken=[Broken(files[i], why) for i, why in enumerate(decoded) if isinstance(why, str)],
    )


def _decode_all(folder: Path, paths: list[Path]) -> list[Array | str]:
    decoded: list[Array | str] = []
    total = 0
    # threads take turns at Python's own work, so they only help with larger pictures
    large = sum(path.stat().st_size for path in paths) > SMALL * len(paths)
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(paths), 256):  # in parts, so that the limit stops it in time
            part = list((pool.map if large else map)(_decode, paths[start : start + 256]))
            decoded += part
            total += sum(pixels.nbytes for pixels in part if not isinstance(pixels, str))
            if total > MAX_BYTES:
                raise UsageError(
                    f"picture folder '{folder}' takes more than {MAX_BYTES >> 30} GiB in memory; "
                    "scale the pictures down first"
                )
    return decoded


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.is_dir()]


def _files(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by suffix, in natural order."""
    named = (entry for entry in _entries(folder) if entry.suffix.lower() in SUFFIXES)
    return sorted((path for path in named if path.is_file()), key=lambda path: natural(path.name))


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []  # a class that one of two splits lacks
    except OSError as error:
        raise UsageError(f"picture folder '{folder}' cannot be read: {error.strerror}") from None


def _decode(path: Path) -> Array | str:
    """(H, W, C) with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; or what is wrong with it."""
    try:
        if path.stat().st_size == 0:
            return "empty file"
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return f"{picture.width}x{picture.height}, over {MAX_PIXELS:,} pixels"
            return _pixels(picture)
    except UnidentifiedImageError:
        return "not a picture"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"over {MAX_PIXELS:,} pixels"
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError) as error:
        return "truncated" if "truncated" in str(error) else (str(error) or type(error).__name__)


def _pixels(picture: Image.Image) -> Array:
    """The first frame, upright by its EXIF orientation."""
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I"):  # 16-bit grey
        values = np.asarray(picture).astype(np.uint32)
        return ((np.minimum(values, 65535) + 128) // 257).astype(np.uint8)[:, :, None]
    if picture.mode in ("1", "L") and "transparency" not in picture.info:
        return np.asarray(picture.convert("L"))[:, :, None]
    if picture.mode in ("LA", "La") or picture.mode in ("1", "L"):
        return np.asarray(picture.convert("LA"))
    if picture.has_transparency_data:
        return np.asarray(picture.convert("RGBA"))
    palette, pixels = picture.mode == "P", np.asarray(picture.convert("RGB"))
    if palette and (pixels == pixels[:, :, :1]).all():  # how GIF stores grey
        return pixels[:, :, :1]
    return pixels


def _unify(arrays: list[Array]) -> list[Array]:
    """(H, W, C) arrays of 1 to 4 channels -> (C, H, W) arrays with the channels they can share."""
    keep_alpha = all(pixels.shape[2] in (2, 4) for pixels in arrays)
    colour = any(pixels.shape[2] >= 3 for pixels in arrays)
    unified = []
    for pixels in arrays:
        if pixels.shape[2] in (2, 4):
            alpha = pixels[:, :, -1:]
            pixels = pixels[:, :, :-1] if keep_alpha else over_black(pixels[:, :, :-1], alpha)
        if (colour or keep_alpha) and pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        if keep_alpha:
            pixels = np.concatenate([pixels, alpha], axis=2)
        unified.append(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)))
    return unified
