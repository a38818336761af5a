"""Rows of numbers with their protocol, and the real images that they compare fakes with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.config import Preprocess
from ganvas.metrics import features as extraction
from ganvas.metrics.features import Extractor
from ganvas.metrics.measures import (
    IN_INCEPTION,
    MEASURES,
    ON_PIXELS,
    SIDE,
    Bench,
    Measured,
    Side,
    drawn,
)
from ganvas.metrics.measures import floor as floor_of
from ganvas.metrics.neighbours import Memory
from ganvas.notebook import html, picture_at, plotted
from ganvas.pixels import ImageSet, Pixels, fingerprint
from ganvas.protocols import Dataset, Split
from ganvas.registry import DATASETS, METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRIAL: Final = 64
"""Real images on which it is found out whether a metric can be measured."""


@dataclass(frozen=True)
class Row:
    """A metric's numbers and how they were measured."""

    metric: str
    """Its short name and the number of images: fd10k."""
    values: dict[str, float]
    """Empty if it could not be measured."""
    intervals: dict[str, tuple[float, float]]
    """95 % intervals, of those values that have one."""
    floor: dict[str, float]
    """The same, with real images of the other split in place of the fakes."""
    reason: str
    """Why it could not be measured; empty if it was."""
    settings: dict[str, dict[str, Any]]
    """The settings of the components that compute it, by their names."""
    num_fake: int
    num_reference: int
    data: str
    split: str
    fingerprint: str
    """SHA-256 of the reference images."""
    extractor: str
    extractor_sha256: str
    extractor_accuracy: float | None
    """A classifier's, on images that it was not trained on."""
    note: str
    """What a reader should know of the extractor."""
    resize: str
    """How images were resized on the way, with the filter."""
    seed: int
    recipe: str
    images: int | None
    """Real images that the generator was shown in training."""
    step: int | None
    """Steps after which the generator was saved."""
    picture: str
    """The picture that goes with the numbers, if there is one."""
    what: str = ""
    """What was measured, where it was one of several; not kept in a run folder, which may move."""

    @property
    def short(self) -> str:
        """'fd2k distance 62.1 (60 to 64.2), real images 11.5', or why it was not measured."""
        if not self.values:
            return f"{self.metric} not measured: {self.reason}"
        parts = []
        for key, value in self.values.items():
            interval = self.intervals.get(key)
            between = f" ({interval[0]:.3g} to {interval[1]:.3g})" if interval else ""
            floor = f", real images {self.floor[key]:.3g}" if key in self.floor else ""
            parts.append(f"{key} {value:.3g}{between}{floor}")
        return f"{self.metric} {'; '.join(parts)}"

    def __repr__(self) -> str:
        of = f"{self.what}: " if self.what else ""
        return f"Row({of}{self.short}; {self.data} {self.split})"

    def _repr_html_(self) -> str:
        rows = [
            (key, f"{value:.4g}", _between(self.intervals.get(key)), _text(self.floor.get(key)))
            for key, value in self.values.items()
        ]
        title = f"{self.metric}, {self.data} {self.split}, features {self.extractor}"
        head = ("value", "", "95 % interval", "real images")
        return html(title, head, rows or [(self.reason, "", "", "")])

    def plot(self) -> Image.Image:
        """Its values with their intervals, and what real images have, a panel each."""

        def draw(figure: Figure) -> None:
            panels = figure.subplots(1, max(1, len(self.values)), squeeze=False)[0]
            for axes, (key, value) in zip(panels, self.values.items(), strict=False):
                low, high = self.intervals.get(key, (value, value))
                axes.vlines(0, low, high)
                axes.plot([0], [value], "o")
                if key in self.floor:
                    axes.axhline(self.floor[key], linestyle=":", color="black")
                axes.set(title=f"{self.metric}\n{key}", xticks=[])
            figure.supxlabel("dotted: real images", fontsize=8)

        return plotted(draw, 2.0 * max(1, len(self.values)), 2.6)

    def sheet(self) -> Image.Image:
        """The picture that goes with the numbers; UsageError if there is none."""
        return picture_at(Path(self.picture), f"picture of {self.metric}")

    def as_json(self) -> dict[str, Any]:
        """The row for JSON: what is not finite becomes null."""
        found = {key: _finite(value) for key, value in dataclasses.asdict(self).items()}
        return found if self.what else {key: found[key] for key in found if key != "what"}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Row:
        """The row that `as_json` made `found` of; TypeError or ValueError if it is none."""

        def number(value: float | None) -> float:
            return math.nan if value is None else float(value)

        values, floor = (
            {key: number(value) for key, value in dict(found.get(part, {})).items()}
            for part in ("values", "floor")
        )
        intervals = {
            key: (number(low), number(high))
            for key, (low, high) in dict(found.get("intervals", {})).items()
        }
        return cls(**{**found, "values": values, "floor": floor, "intervals": intervals})


@dataclass(frozen=True)
class Comparison:
    """Real images, and how they are looked at: all that fakes are compared with."""

    dataset: Dataset
    preprocess: Preprocess
    train: ImageSet
    """All training images, `preprocess.first` or not."""
    test: ImageSet | None
    split: Split
    seed: int
    extractor: Extractor
    num: int
    """Reference images, and as many real ones that stand in for fakes; at most `most`."""

    @cached_property
    def _sides(self) -> tuple[Side, Side]:
        """Reference images, and real images that stand in for fakes, drawn at random."""
        train, test, seed, num = self.train, self.test, self.seed, self.num
        if test is None:
            order = drawn(len(train), len(train), seed, "halves")
            half = len(order) // 2
            chosen = some(train, order[:half][:num]), some(train, order[half:][:num])
        else:
            one, two = (test, train) if self.split == "test" else (train, test)
            chosen = (
                some(one, drawn(len(one), num, seed, "reference")),
                some(two, drawn(len(two), num, seed, "floor")),
            )
        reference, stand_ins = (Side(x.images, self.extractor, labels=x.labels) for x in chosen)
        return reference, stand_ins

    @cached_property
    def bench(self) -> Bench:
        real, other = self._sides
        on_test = self.split == "test"
        return Bench(
            real,
            ImageSet(self.train.images[: self.preprocess.first]),
            real if on_test else other if self.test is not None else None,
            self.train.images[-10_000:][:1000] if on_test else self.train.images[:0],
        )

    def measure(self, name: str, fakes: Side) -> tuple[Row, Memory | None]:
        """The row of a metric, without what made the fakes, and pairs for a picture.

        Raises:
            UsageError: it cannot be measured.
        """
        measured = MEASURES[name](self.bench, fakes)
        return self.row(name, measured, self.floor(name, measured)), measured.pairs

    def floor(self, name: str, measured: Measured) -> dict[str, float]:
        """The values for real images; `measured` says of which values."""
        return floor_of(name, self.bench, self._sides[1], measured, self.seed)

    def trial(self, name: str) -> Measured:
        """The metric of a few real images: whether it can be measured, and what values it has."""
        few = self.bench.few(TRIAL)
        return MEASURES[name](few, Side(self._sides[1].images[:TRIAL], self.extractor, False))

    def row(self, name: str, measured: Measured, floor: dict[str, float], reason: str = "") -> Row:
        used = extraction.pixels() if name in ON_PIXELS else self.extractor
        real = self.bench.reference.images
        halves = self.split == "train" and self.test is None
        return Row(
            metric=f"{called(name, used)}{short(self.num)}",
            values=measured.values,
            intervals=measured.intervals,
            floor=floor,
            reason=reason,
            settings={METRICS.name_of(c): dataclasses.asdict(c) for c in measured.components},
            num_fake=self.num,
            num_reference=self.num,
            data=named(self.dataset),
            split="train, one half" if halves else self.split,
            fingerprint=fingerprint(real),
            extractor=used.name,
            extractor_sha256=used.sha256,
            extractor_accuracy=used.accuracy,
            note=used.note,
            resize=_resizing(self.preprocess, used, name, real),
            seed=self.seed,
            recipe="",
            images=None,
            step=None,
            picture="",
        )


def most(train: ImageSet, test: ImageSet | None) -> int:
    """How many images there are of both reference and real ones that stand in for fakes."""
    return len(train) // 2 if test is None else min(len(train), len(test))


def called(name: str, extractor: Extractor) -> str:
    """A metric's name in the features of an extractor: fd, but fid in Inception's."""
    return IN_INCEPTION.get(name, name) if extractor.is_inception else name


def short(num: int) -> str:
    return f"{num // 1000}k" if num % 1000 == 0 else str(num)


def named(dataset: Dataset) -> str:
    name = DATASETS.name_of(dataset)
    return f"{name} {dataset.path}" if hasattr(dataset, "path") else name


def _resizing(preprocess: Preprocess, extractor: Extractor, name: str, images: Pixels) -> str:
    channels, height, width = images.shape[1:]
    steps = []
    if preprocess.image_size:
        steps.append(f"data: {preprocess.filter} to {height}x{width}")
    if name not in ON_PIXELS:
        steps.append(f"features: {extractor.resizing((channels, height, width))}")
    elif name != "parzen" and max(height, width) > SIDE:
        steps.append(f"pixels: box to {SIDE} at most")
    return "; ".join(step for step in steps if not step.endswith("none")) or "none"


def some(of: ImageSet, rows: NDArray[np.int64]) -> ImageSet:
    return ImageSet(of.images[rows], None if of.labels is None else of.labels[rows], of.classes)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _between(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else ""


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
