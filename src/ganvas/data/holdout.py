"""Images of a set without a test split that are kept out of training, to measure with.

Which ones follows from the pixels alone: of each class those with the least hashes. So all seeds
share them, as they must if their numbers are to compare, and neither names nor the order of files
matter. Where images are added later, hardly any that was trained on comes to be held out. Equal
images have one hash and stay on one side.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainValidator

from ganvas.errors import NoSplit, UsageError
from ganvas.pixels import Pixels
from ganvas.protocols import Dataset, RawImages, Split

AUTO: Final = "auto"
LEAST: Final = 200
"""Images below which auto holds none out: training on four fifths of so few costs more than what
forty images can tell."""
ENOUGH: Final = 100
"""Images that auto holds out at least, as long as that is at most a fifth: with fewer, intervals
are wide."""
MOST: Final = 10_000
"""Images that auto holds out at most: as many as `evaluate` takes."""

D = TypeVar("D", bound=Dataset)


def _parse(value: object) -> str | int | float:
    if value == AUTO:
        return AUTO
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 < value < 1:
            return value
        if value == 0 or (2 <= value <= 1e12 and value == int(value)):
            return int(value)
    raise ValueError("auto, a share such as 0.1, a number of images from 2, or 0 for none")


Holdout = Annotated[Literal["auto"] | int | float, PlainValidator(_parse)]
"""auto, a share, or a number of images."""


def number(holdout: str | int | float, num: int) -> int:
    """How many of `num` images are held out.

    Raises:
        UsageError: only one would be, or fewer than two would be left.
    """
    if holdout == AUTO:
        return 0 if num < LEAST else min(max(num // 10, ENOUGH), num // 5, MOST)
    assert not isinstance(holdout, str)
    held = round(holdout * num) if holdout < 1 else int(holdout)
    if holdout and not 2 <= held <= num - 2:
        raise UsageError(
            f"data.holdout: found {holdout}, that is {held:,} of {num:,} images; at least 2 must "
            "be held out and 2 left to train on"
        )
    return held


def part(raw: RawImages, holdout: str | int | float, split: Split, named: str) -> RawImages:
    """The train or the test split of a set that has none: the images left, or those held out.

    Raises:
        UsageError: `holdout` does not fit the images, or there is nothing in the test split.
    """
    num = len(raw.images)
    asked = number(holdout, num)
    chosen = choose(raw.images, raw.labels, asked) if asked else np.empty(0, np.int64)
    held = len(chosen)
    if held < 2:  # none, or nearly all images are equal
        if split == "test":
            raise none_held_out(named, holdout, num)
        about = f"trains on all {num:,} images: too few to hold any out" if holdout == AUTO else ""
        return replace(raw, about=about)
    about = (
        f"holds out {held:,} of {num:,} images, which are not trained on, to measure with "
        "(data.holdout)"
    )
    rows = chosen if split == "test" else np.delete(np.arange(num), chosen)
    images = raw.images[rows] if isinstance(raw.images, np.ndarray) else _of(raw.images, rows)
    labels = None if raw.labels is None else raw.labels[rows]
    return replace(raw, images=images, labels=labels, held_out=held, about=about)


def choose(
    images: Pixels | Sequence[Pixels], labels: NDArray[np.int64] | None, num: int
) -> NDArray[np.int64]:
    """The rows of the images to hold out, in order: `num`, or less if only groups of equal ones
    are left that are too large.

    Classes have shares by Webster's method, so that one with few images still has its own.
    """
    groups = defaultdict(list)
    for i, image in enumerate(images):
        groups[_hash(image)].append(i)
    classes = np.zeros(len(images), np.int64) if labels is None else labels
    sizes, passed = np.bincount(classes), np.zeros(classes.max() + 1)
    queue = []
    for digest in sorted(groups):
        rows = groups[digest]
        label = classes[rows[0]]
        queue.append(((passed[label] + 0.5) / sizes[label], digest))
        passed[label] += len(rows)
    chosen: list[int] = []
    for _, digest in sorted(queue):
        if len(chosen) + len(groups[digest]) <= num:
            chosen += groups[digest]
        if len(chosen) == num:
            break
    return np.sort(np.array(chosen, np.int64))


def none_held_out(named: str, holdout: str | int | float, num: int | None = None) -> NoSplit:
    """What to say of a test split that is asked for where there is none."""
    why = f"data.holdout={holdout} holds none out"
    if holdout == AUTO:
        why = f"of {num:,} images none are held out (data.holdout)"
    return NoSplit(f"{named} has no test split, and {why}")


def refuse(holdout: str | int | float, named: str) -> None:
    """UsageError if images are to be held out of a set that has a test split."""
    if holdout not in (AUTO, 0):
        raise UsageError(
            f"data.holdout: found {holdout}, and {named} has a test split of its own; leave it out"
        )


def whole(dataset: D) -> D:
    """The data set with nothing held out."""
    changes: Any = {"holdout": 0} if hasattr(dataset, "holdout") else {}
    return replace(dataset, **changes) if changes else dataset  # type: ignore[type-var]


def settled(dataset: D, held_out: int) -> D:
    """The data set with auto as the number of images that it came to."""
    if getattr(dataset, "holdout", None) != AUTO:
        return dataset
    return replace(dataset, holdout=held_out)  # type: ignore[type-var]


def _hash(image: Pixels) -> bytes:
    content = np.ascontiguousarray(image)
    digest = hashlib.blake2b(repr(content.shape).encode(), digest_size=16)
    digest.update(content.data)
    return digest.digest()


def _of(images: Sequence[Pixels], rows: NDArray[np.int64]) -> list[Pixels]:
    return [images[i] for i in rows]
