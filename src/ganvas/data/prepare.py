"""From images as a data set has them to one array of the shape that a run trains on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ganvas.config import Preprocess
from ganvas.errors import UsageError
from ganvas.pixels import ImageSet, Pixels, resize, to_channels
from ganvas.protocols import Dataset, RawImages, Split

PART: Final = 1024
"""Images that one thread works on at a time."""


def load_images(
    dataset: Dataset, preprocess: Preprocess, split: Split = "train", root: Path | None = None
) -> ImageSet:
    """A split of a data set as uint8 (N, C, H, W), preprocessed.

    Raises:
        NoSplit: there is no test split.
        UsageError: a file is corrupt, fewer than two images, or images that
            differ in size or channels where `preprocess` does not say what they should become.
        RunError: a file is nowhere to be found and cannot be downloaded.
    """
    return prepared(dataset.load(split, root), preprocess)


def prepared(raw: RawImages, preprocess: Preprocess) -> ImageSet:
    """Images that are loaded already, as `load_images` gives them; UsageError as there."""
    raw = apply(raw, preprocess)
    assert isinstance(raw.images, np.ndarray)
    return ImageSet(
        raw.images,
        raw.labels,
        raw.classes,
        raw.remarks,
        held_out=raw.held_out,
        about=raw.about,
    )


def apply(raw: RawImages, preprocess: Preprocess) -> RawImages:
    """The first so many images in the wanted channels and size, as one (N, C, H, W) array."""
    images = raw.images[: preprocess.first]
    labels = None if raw.labels is None else raw.labels[: preprocess.first]
    if len(images) < 2:
        of = "" if len(images) == len(raw.images) else " (preprocess.first leaves no more)"
        raise UsageError(
            f"--data: too little data: found {len(images)} images{of}; at least 2 are needed"
        )
    size = preprocess.image_size
    _check_alike(images, size, preprocess.channels)
    channels = preprocess.channels or images[0].shape[0]
    resample = Image.Resampling[preprocess.filter.upper()]

    height, width = size or images[0].shape[1:]
    prepared = np.empty((len(images), channels, height, width), np.uint8)

    def prepare_part(start: int) -> None:
        part = images[start : start + PART]
        whole = part if isinstance(part, np.ndarray) else None
        if whole is not None and whole.shape[2:] == (height, width):
            prepared[start : start + PART] = to_channels(whole, channels)
            return
        for i, image in enumerate(part, start):
            resized = resize(to_channels(image[None], channels)[0], height, width, resample)
            prepared[i] = resized

    if isinstance(images, np.ndarray) and images.shape == prepared.shape:
        writable = np.require(images, requirements=["C", "W"])
        return replace(raw, images=writable, labels=labels)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(prepare_part, range(0, len(images), PART)))
    return replace(raw, images=prepared, labels=labels)


def _check_alike(
    images: Pixels | Sequence[Pixels], size: tuple[int, int] | None, channels: int | None
) -> None:
    """UsageError if images differ in what they are not converted to."""
    if isinstance(images, np.ndarray):
        return
    sizes = Counter(image.shape[1:] for image in images)
    if size is None and len(sizes) > 1:
        common = ", ".join(f"{h}x{w} ({count:,})" for (h, w), count in sizes.most_common(3))
        more = f" and {len(sizes) - 3} more" if len(sizes) > 3 else ""
        height, width = sizes.most_common(1)[0][0]
        suggested = f"{min(height, width, 64)}"
        raise UsageError(
            f"images differ in size (height x width): {common}{more}; give one size to resize all "
            f"to, such as --image-size {suggested}"
        )
    kinds = Counter(len(image) for image in images)
    if channels is None and len(kinds) > 1:
        common = ", ".join(f"{kind} ({count:,})" for kind, count in kinds.most_common())
        raise UsageError(
            f"images differ in channels: {common}; convert all of them with "
            "--set preprocess.channels=1, 3 or 4"
        )
