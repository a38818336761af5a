"""Folders of pictures as uint8 arrays: which files count, in what order, in what channels."""

from __future__ import annotations

import itertools
import os
import re
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ganvas.errors import UsageError, printable
from ganvas.pixels import over_black

Array = NDArray[np.uint8]

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})
MAX_PIXELS: Final = 64_000_000
"""The largest picture that is decoded."""
DENSEST: Final = 10_000
"""Pixels that a byte of a picture file stands for at most: in a PNG of one colour 8,256. More can
only be meant to fill the memory."""
HARMLESS: Final = 1 << 20
"""Pixels up to which nobody counts: WebP has any size of one colour in forty bytes."""
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
    remarks: tuple[str, ...] = ()
    """What a user should know of, a sentence each: pictures that are passed over."""


class Room:
    """Memory that the pictures of a folder may take, in all; threads share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, num_bytes: int) -> None:
        """UsageError if there is none left; a negative number gives back."""
        with self._lock:
            self._taken += num_bytes
            if self._taken > MAX_BYTES:
                raise UsageError(
                    f"picture folder '{self._folder}' takes more than {MAX_BYTES >> 30} GiB in "
                    "memory; scale the pictures down first"
                )


def natural(name: str) -> tuple[list[str | int], str]:
    """Sort key in which "2.jpg" comes before "10.jpg"."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def class_folders(folder: Path) -> list[str]:
    """Names of the subfolders that hold pictures."""
    return sorted((entry.name for entry in _folders(folder) if _files(entry)), key=natural)


def read_pictures(folder: Path, classes: Sequence[str] | None = None) -> Pictures:
    """Every picture of a folder, or of its class folders if it has any; broken ones are listed.

    With class folders the pictures beside them are not loaded, nor are those in deeper folders;
    `remarks` say so. Hidden files and files that are no pictures by their suffix do not count.
    `classes` fixes the class folders and their order.

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
    remarks = passed_over(folder, groups)
    if not paths:
        looked = "; ".join([f"looked for {' '.join(sorted(SUFFIXES))}", *remarks])
        raise UsageError(f"picture folder '{folder}' holds no pictures; {looked}")

    decoded = _decode_all(folder, [path for path, _ in paths])
    files = [printable(str(path.relative_to(folder))) for path, _ in paths]
    whole = [i for i, pixels in enumerate(decoded) if not isinstance(pixels, str)]
    arrays = [pixels for pixels in decoded if not isinstance(pixels, str)]
    return Pictures(
        images=_unify(arrays),
        files=[files[i] for i in whole],
        channels=[pixels.shape[2] for pixels in arrays],
        labels=np.array([paths[i][1] for i in whole], np.int64) if names else None,
        classes=tuple(map(printable, names)),
        broken=[Broken(files[i], why) for i, why in enumerate(decoded) if isinstance(why, str)],
        remarks=remarks,
    )


def passed_over(folder: Path, used: Sequence[Path], *, whole: bool = False) -> tuple[str, ...]:
    """A sentence on pictures below `folder` that are in none of the folders `used`, and one on
    folders with none in them. What lies below a used one counts as used if they are taken `whole`.
    """
    known = set(used)
    count, example, empty = 0, "", []
    for place, folders, _ in os.walk(folder):
        here = Path(place)
        below = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(
            (name for name in below if not (whole and here / name in known)), key=natural
        )
        found = _files(here)
        if here.parent == folder and not found and not folders:
            empty.append(f"'{printable(here.name)}'")
        if found and here not in known:
            example = example or printable(str(found[0].relative_to(folder)))
            count += len(found)
    remarks = []
    if count:
        where = "directly in its class folders"
        if whole:
            where = " and ".join(f"in '{path.name}'" for path in used)
        elif list(used) == [folder]:
            where = "directly in it"
        remarks.append(
            f"{count:,} picture{'s' * (count > 1)} below '{folder}' passed over, such as "
            f"'{example}': only those {where} count"
        )
    if empty:
        more = ", ..." if len(empty) > 5 else ""
        remarks.append(f"no pictures in {', '.join(empty[:5])}{more} of '{folder}'")
    return tuple(remarks)


def _decode_all(folder: Path, paths: list[Path]) -> list[Array | str]:
    decoded: list[Array | str] = []
    room = Room(folder)
    # threads take turns at Python's own work, so they only help with larger pictures
    large = sum(path.stat().st_size for path in paths) > SMALL * len(paths)
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        decode_all = pool.map if large else map
        for start in range(0, len(paths), 256):  # in parts, so that a refusal ends it soon
            part = paths[start : start + 256]
            decoded += decode_all(_decode, part, itertools.repeat(room))
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


def _decode(path: Path, room: Room) -> Array | str:
    """(H, W, C) with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; or what is wrong with it.

    What its header claims is looked at before anything is decoded.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            return "empty file"
        with Image.open(path, formats=FORMATS) as picture:
            num = picture.width * picture.height
            if num > MAX_PIXELS:
                return f"{picture.width}x{picture.height}, over {MAX_PIXELS:,} pixels"
            if num > max(HARMLESS, DENSEST * size):
                return f"{picture.width}x{picture.height} pixels in {size:,} bytes"
            claimed = num * _channels(picture)
            room.take(claimed)
            try:
                pixels = _pixels(picture)
            except BaseException:
                room.take(-claimed)
                raise
            room.take(pixels.nbytes - claimed)
            return pixels
    except UsageError:
        raise
    except UnidentifiedImageError:
        return "not a picture"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"over {MAX_PIXELS:,} pixels"
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them raise
        reason = printable(str(error).partition("\n")[0]) or type(error).__name__
        return "truncated" if "truncated" in reason else reason


def _channels(picture: Image.Image) -> int:
    """At most so many channels will the decoded picture have."""
    if picture.mode in ("1", "L") or picture.mode.startswith("I"):
        return 2 if "transparency" in picture.info else 1
    if picture.mode in ("LA", "La"):
        return 2
    return 4 if picture.has_transparency_data else 3


def _pixels(picture: Image.Image) -> Array:
    """The first frame, upright by its EXIF orientation."""
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I"):  # 16-bit grey
        values = np.asarray(picture).astype(np.uint32)
        np.minimum(values, 65535, out=values)
        values += 128
        values //= 257
        return values.astype(np.uint8)[:, :, None]
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
