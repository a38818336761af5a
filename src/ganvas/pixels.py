"""uint8 images as arrays: their channels, their size, their fingerprint. Without torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.classes import Classes, numbered

Pixels = NDArray[np.uint8]
Shape = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True)
class ImageSet:
    """Images of one shape, with labels if they have any."""

    images: Pixels
    """uint8, (N, C, H, W); C is 1 (grey), 3 (RGB) or 4 (RGBA)."""
    labels: NDArray[np.int64] | None = None
    """Class index of each image, from 0."""
    classes: tuple[str, ...] = ()
    """Class names in index order."""
    remarks: tuple[str, ...] = ()
    """What a user should know of the data set, a sentence each."""
    held_out: int = 0
    """Images that training leaves out to be the test split, of a set that has none; 0 of others."""
    about: str = ""
    """How it was split, if not as it was found."""

    @property
    def shape(self) -> Shape:
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """Classes that labels may name; 0 without labels."""
        if self.labels is None:
            return 0
        return max(len(self.classes), int(self.labels.max(initial=-1)) + 1)

    @property
    def named_classes(self) -> Classes:
        """The classes that labels may name, with a number where one has no name."""
        if self.labels is None:
            return Classes()
        num = self.num_classes
        counts = np.bincount(self.labels, minlength=num)
        return Classes(numbered(self.classes, num), tuple(counts.tolist()))

    def __len__(self) -> int:
        return len(self.images)


MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's name for images of so many channels."""


def resize(image: Pixels, height: int, width: int, resample: Image.Resampling) -> Pixels:
    """(C, H, W) -> (C, height, width) with one of Pillow's filters."""
    if image.shape[1:] == (height, width):
        return image
    mode = MODES[len(image)]
    pixels = image[0] if mode == "L" else np.ascontiguousarray(np.moveaxis(image, 0, 2))
    resized = np.asarray(Image.fromarray(pixels).resize((width, height), resample))
    return resized[None] if mode == "L" else np.moveaxis(resized, 2, 0)


def to_channels(images: Pixels, channels: int) -> Pixels:
    """(N, C, H, W) with C = 1 grey, 3 RGB or 4 RGBA -> the same in `channels` channels.

    Alpha is laid over black when it is dropped; grey is the luma of ITU-R 601-2.
    """
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 4:
        images = over_black(images[:, :3], images[:, 3:])
    if images.shape[1] == 3 and channels == 1:
        red, green, blue = (images[:, i : i + 1].astype(np.uint32) for i in range(3))
        luma = 19595 * red + 38470 * green + 7471 * blue + 0x8000  # weights of 65536, as in Pillow
        return (luma >> 16).astype(np.uint8)
    if images.shape[1] == 1 and channels > 1:
        images = np.repeat(images, 3, axis=1)
    if channels == 4:
        opaque = np.full_like(images[:, :1], 255)
        images = np.concatenate([images, opaque], axis=1)
    return images


def fingerprint(images: Pixels) -> str:
    """SHA-256 of the images' shape and pixels."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def over_black(colour: Pixels, alpha: Pixels) -> Pixels:
    """Colours as they look over a black ground: colour * alpha / 255, rounded to nearest."""
    product = colour.astype(np.uint16) * alpha + 128
    pixels: Pixels = ((product + (product >> 8)) >> 8).astype(np.uint8)
    return pixels
