"""What is in a data set, before anything is trained on it: counts, sizes, faults, a sheet."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.config import Preprocess
from ganvas.data import prepare
from ganvas.data.catalogue import open_dataset
from ganvas.data.datasets import Folder
from ganvas.data.facts import facts_of
from ganvas.data.holdout import AUTO, number, whole
from ganvas.data.pictures import Broken
from ganvas.data.suggestion import Suggestion, suggest
from ganvas.errors import RunError, UsageError, printable
from ganvas.notebook import html, plotted
from ganvas.pixels import fingerprint, resize, to_channels
from ganvas.protocols import Dataset, RawImages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.uint8]

FEW_IMAGES: Final = 10
"""A class with fewer images is warned of; so is one with under a tenth of the largest class."""
MAX_NAMED: Final = 5
"""Images that are named in each group of duplicates."""
SHEET_CLASSES: Final = 32
"""The most classes on a sheet, a column each."""
SHEET_SIDE: Final = 8
"""Rows of a sheet, and its columns if there are no classes."""
MAX_CELL: Final = 128
"""The largest height and width of an image on the sheet; larger ones are scaled down."""


@dataclass(frozen=True)
class Duplicates:
    """Images with exactly the same pixels."""

    count: int
    """Images in the group."""
    images: tuple[str, ...]
    """The first few: file names, or indices where images have no names."""
    classes: tuple[str, ...]
    """The classes they are in; more than one means that a label is wrong."""


@dataclass(frozen=True)
class Inspection:
    """What was found in the train split of a data set."""

    what: str
    count: int
    """Images in the train split that can be read."""
    splits: dict[str, int]
    """Images in each split."""
    held_out: int
    """Images of the train split that training leaves out, to measure with."""
    sizes: dict[str, int]
    """Height x width, as "28x28" -> images, the most frequent first."""
    channels: dict[int, int]
    """Channels as in the files (1 grey, 2 grey and alpha, 3 RGB, 4 RGBA) -> images."""
    value_range: tuple[int, int]
    """Smallest and largest value, of 0 to 255."""
    mean_pixel: float
    """Mean value of all pixels and channels, from 0 to 1."""
    channel_means: tuple[float, ...]
    """Mean value of each channel over all pixels, from 0 to 1."""
    classes: dict[str, int]
    """Class -> images; empty if there are no labels."""
    broken: tuple[Broken, ...]
    """Pictures that cannot be read."""
    num_duplicates: int
    """Images that are an exact copy of an earlier one."""
    duplicates: tuple[Duplicates, ...]
    """Groups of equal images, those across classes first, then the largest."""
    warnings: tuple[str, ...]
    """What is worth a look before training, a line each."""
    fingerprint: str
    """SHA-256 of shapes and pixels."""
    suggestion: Suggestion
    """The command that fits, and why."""
    sheet: Array
    """uint8 (C, H, W): samples drawn evenly over the classes, a column a class."""

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        size, *others = self.sizes
        sizes = f"{size} and {len(others)} other sizes" if others else size
        remarks = f", {len(self.warnings)} warnings" if self.warnings else ""
        return f"Inspection('{self.what}', {self.count:,} images of {sizes}{classes}{remarks})"

    def _repr_html_(self) -> str:
        rows = [
            ("images", ", ".join(f"{split}: {count:,}" for split, count in self.splits.items())),
            ("held out of training", self.held_out),
            ("height x width", _first(self.sizes)),
            ("channels", _first(self.channels)),
            ("classes", _first(self.classes) or "no labels"),
            ("broken files", len(self.broken)),
            ("exact duplicates", self.num_duplicates),
            *(("warning", warning) for warning in self.warnings),
            ("to begin with", self.suggestion.command),
        ]
        return html(self.what, (), rows, picture=self._sheet_picture())

    def plot(self) -> Image.Image:
        """How many images there are of each class, or of each size where there are no labels."""
        counts = self.classes or self.sizes

        def draw(figure: Figure) -> None:
            axes = figure.subplots()
            names = [printable(name) for name in counts]
            axes.bar(range(len(names)), list(counts.values()))
            axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 12 else 0)
            axes.set_ylabel("images")

        return plotted(draw, max(4.0, 0.25 * len(counts)), 3.0)

    def _sheet_picture(self) -> Image.Image:
        from ganvas.images import scale_for, to_pillow  # here, because it imports torch

        return to_pillow(self.sheet, scale_for(self.sheet.shape[1]))


def inspect(
    what: str | Path,
    root: Path | None = None,
    preprocess: Preprocess | None = None,
    skip_broken: bool = True,
) -> Inspection:
    """Look at a data set, by name, or at a folder of pictures or an .npz file, by path.

    Without `preprocess` the images are looked at as they are, with it as a run would see them.
    With `skip_broken` a folder's broken pictures are listed, without it they are an error.

    Raises:
        UsageError: no such data set, a corrupt file, no images.
        RunError: a file is nowhere to be found and cannot be downloaded.
    """
    given = open_dataset(what, skip_broken)
    dataset = whole(given)
    names: Sequence[str] = ()
    broken: list[Broken] = []
    channels: Sequence[int] = ()
    if isinstance(dataset, Folder) and skip_broken:
        found = dataset.read("train")
        raw = RawImages(found.images, found.labels, found.classes, found.remarks)
        names, broken, channels = found.files, found.broken, found.channels
    else:
        raw = dataset.load("train", root)
    if len(raw.images) == 0:
        listed = ", ".join(f"{one.file} ({one.reason})" for one in broken[:MAX_NAMED])
        raise UsageError(f"'{what}' has no picture that can be read: {listed}")
    if preprocess is not None:
        raw = prepare.apply(raw, preprocess)
        channels = ()

    images, total = raw.images, len(raw.images)
    sizes: Counter[str] = Counter()
    counts = Counter(channels)
    for shape, num in _shapes(images).items():
        sizes[f"{shape[1]}x{shape[2]}"] += num
        if not channels:
            counts[shape[0]] += num
    classes = _class_counts(raw)
    groups = _duplicates(raw, names)
    splits = {"train": total} | _test_split(dataset, root)
    held_out = 0 if given == dataset or "test" in splits else number(AUTO, total)
    low, high, means = _values(images)
    return Inspection(
        what=str(what),
        count=total,
        splits=splits,
        held_out=held_out,
        sizes=dict(sizes.most_common()),
        channels=dict(counts.most_common()),
        value_range=(low, high),
        mean_pixel=sum(means) / len(means),
        channel_means=means,
        classes=classes,
        broken=tuple(broken),
        num_duplicates=sum(group.count - 1 for group in groups),
        duplicates=groups,
        warnings=(*raw.remarks, *_warnings(total, sizes, counts, classes, groups, broken)),
        fingerprint=_fingerprint(images),
        suggestion=suggest(
            str(what),
            facts_of(raw, held_out),
            image_size=preprocess.image_size if preprocess else None,
            broken=bool(broken),
        ),
        sheet=_sheet(raw),
    )


def _first(counts: Mapping[Any, int]) -> str:
    """The first few of some counts."""
    shown = [f"{key}: {count:,}" for key, count in list(counts.items())[:10]]
    return ", ".join([*shown, *(["..."] if len(counts) > 10 else [])])


def _class_counts(raw: RawImages) -> dict[str, int]:
    if raw.labels is None:
        return {}
    counts = np.bincount(raw.labels, minlength=len(raw.classes))
    return {name: int(count) for name, count in zip(raw.classes, counts, strict=True)}


def _test_split(dataset: Dataset, root: Path | None) -> dict[str, int]:
    try:
        return {"test": len(dataset.load("test", root).images)}
    except (UsageError, RunError):
        return {}  # a data set without one, or of which only the train split is at hand


def _values(images: Array | list[Array]) -> tuple[int, int, tuple[float, ...]]:
    """Smallest and largest value, and the mean of each channel in [0, 1]."""
    parts = np.array_split(images, -(-len(images) // 1024)) if _is_array(images) else images
    low = min(int(part.min()) for part in parts)
    high = max(int(part.max()) for part in parts)
    axes = (0, 2, 3) if _is_array(images) else (1, 2)
    sums = np.sum([part.sum(axes, dtype=np.int64) for part in parts], axis=0)
    num_pixels = sum(part.size for part in parts) // len(sums)
    return low, high, tuple(float(total) / num_pixels / 255 for total in sums)


def _is_array(images: Array | list[Array]) -> bool:
    return isinstance(images, np.ndarray)


def _shapes(images: Array | list[Array]) -> dict[tuple[int, ...], int]:
    if isinstance(images, np.ndarray):
        return {images.shape[1:]: len(images)}
    return Counter(image.shape for image in images)


def _duplicates(raw: RawImages, names: Sequence[str]) -> tuple[Duplicates, ...]:
    images, groups = raw.images, []
    equal = _equal(images) if isinstance(images, np.ndarray) else _equal_of_any_size(images)
    for indices in equal:
        labels = () if raw.labels is None else np.unique(raw.labels[indices])
        named = tuple(names[i] if names else str(i) for i in indices[:MAX_NAMED])
        classes = tuple(raw.classes[label] for label in labels)
        groups.append(Duplicates(len(indices), named, classes))
    return tuple(sorted(groups, key=lambda group: (-len(group.classes), -group.count)))


def _equal_of_any_size(images: list[Array]) -> list[NDArray[np.int64]]:
    """The indices of equal images, a group each, in the order of their first images."""
    seen: dict[tuple[tuple[int, ...], bytes], list[int]] = defaultdict(list)
    for i, image in enumerate(images):
        seen[image.shape, hashlib.blake2b(image.tobytes(), digest_size=16).digest()].append(i)
    return [np.array(indices) for indices in seen.values() if len(indices) > 1]


def _equal(images: Array) -> list[NDArray[np.int64]]:
    """As `_equal_of_any_size`, without a step in Python for each of what may be many millions.

    Images with the same random sum of their pixels are compared with the first of them.
    """
    pixels = images.reshape(len(images), -1)
    weights = np.random.default_rng(0).integers(1 << 64, size=pixels.shape[1], dtype=np.uint64)
    parts = np.array_split(pixels, -(-pixels.size // (1 << 24)))
    sums = np.concatenate([part.astype(np.uint64) @ weights for part in parts])
    order = np.argsort(sums, kind="stable")
    starts = np.flatnonzero(np.diff(sums[order], prepend=sums[order[:1]] + np.uint64(1)))
    ends = np.append(starts[1:], len(order))
    groups = []
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        left = order[start:end]
        while len(left) > 1:
            same = (pixels[left] == pixels[left[0]]).all(axis=1)
            if same.sum() > 1:
                groups.append(left[same])
            left = left[~same]
    return sorted(groups, key=lambda indices: int(indices[0]))


def _warnings(
    total: int,
    sizes: Counter[str],
    channels: Counter[int],
    classes: dict[str, int],
    groups: tuple[Duplicates, ...],
    broken: list[Broken],
) -> list[str]:
    lines = []
    if broken:
        lines.append(f"{len(broken)} of {total + len(broken)} pictures are broken")
    if total < 2:
        lines.append(f"too little data to train on: {total} image")
    if len(sizes) > 1:
        lines.append(f"images differ in size ({len(sizes)} sizes)")
    if len(channels) > 1:
        lines.append("images differ in channels; they are converted to what they can share")
    if len(classes) == 1:
        lines.append("there is only one class")
    largest = max(classes.values(), default=0)
    for name, count in classes.items():
        if count < FEW_IMAGES or count < largest / 10:
            lines.append(f"class '{name}' has only {count} of {total} images")
    if groups:
        copies = sum(group.count - 1 for group in groups)
        lines.append(f"{copies} images are exact copies of others")
    if across := [group for group in groups if len(group.classes) > 1]:
        first = across[0]
        lines.append(
            f"{len(across)} groups of equal images span classes, such as "
            f"{' = '.join(first.images)} in {', '.join(first.classes)}"
        )
    return lines


def _fingerprint(images: Array | list[Array]) -> str:
    if isinstance(images, np.ndarray):
        return fingerprint(images)
    digest = hashlib.sha256()
    for image in images:
        digest.update(fingerprint(image).encode())
    return digest.hexdigest()


def _sheet(raw: RawImages) -> Array:
    """Samples spread evenly over each class, a column a class; or over all images."""
    from ganvas.images import grid  # here, because it imports torch

    if raw.labels is None:
        chosen = _spread(np.arange(len(raw.images)), SHEET_SIDE**2)
        columns = min(SHEET_SIDE, len(chosen))
    else:
        members = [np.flatnonzero(raw.labels == label) for label in np.unique(raw.labels)]
        members = [members[i] for i in _spread(np.arange(len(members)), SHEET_CLASSES)]
        columns = len(members)
        rows = min(SHEET_SIDE, max(len(indices) for indices in members))
        # a class with fewer images than rows shows them again, so that columns stay classes
        chosen = np.stack(
            [np.resize(_spread(indices, rows), rows) for indices in members], 1
        ).ravel()
    picked = [raw.images[i] for i in chosen]
    height = min(MAX_CELL, max(image.shape[1] for image in picked))
    width = min(MAX_CELL, max(image.shape[2] for image in picked))
    channels = max(len(image) for image in picked)
    cells = np.stack([_letterbox(image, channels, height, width) for image in picked])
    return grid(cells, -(-len(cells) // columns), columns)


def _spread(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the indices, at even distances."""
    if len(indices) <= count:
        return indices
    return indices[np.arange(count) * len(indices) // count]


def _letterbox(image: Array, channels: int, height: int, width: int) -> Array:
    """(C, H, W) in the middle of a black (channels, height, width), scaled down if it must be."""
    image = to_channels(image[None], channels)[0]
    shrink = min(1.0, height / image.shape[1], width / image.shape[2])
    size = max(1, round(image.shape[1] * shrink)), max(1, round(image.shape[2] * shrink))
    image = resize(image, *size, Image.Resampling.BOX)
    cell = np.zeros((channels, height, width), np.uint8)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    cell[:, top : top + size[0], left : left + size[1]] = image
    return cell
