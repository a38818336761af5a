"""The real images that fakes are compared with: their statistics, and the floor."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field, replace
from functools import cache as cache_in_memory
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ganvas.config import Preprocess
from ganvas.data.prepare import load_images
from ganvas.errors import NoSplit, UsageError
from ganvas.metrics import cache
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.metrics.extractors.pixels import pixels
from ganvas.metrics.extractors.spared import spared
from ganvas.metrics.forms import SIDE, Extracted, extracted, pixel_rows, real_views, views
from ganvas.metrics.forms import uses_extractor as uses
from ganvas.metrics.metric import Measured, Metric, Views
from ganvas.metrics.rows import Row
from ganvas.metrics.spec import count
from ganvas.pixels import ImageSet, Pixels, fingerprint
from ganvas.protocols import Dataset, Split
from ganvas.registry import DATASETS, METRICS
from ganvas.seeds import stream

LAST: Final = 10_000
"""Of the last so many training images"""
HELD_OUT: Final = 1_000
"""the first so many are held out."""


@dataclass(frozen=True)
class Floor:
    """What real images get in place of fakes."""

    values: dict[str, float]
    """Empty where there are too few of them."""
    seconds: float
    """What comparing them took when it was done; it tells what comparing fakes will take."""


@dataclass(frozen=True)
class Reference:
    """Real images to compare `num` fakes with, and how all of them are looked at."""

    dataset: Dataset
    preprocess: Preprocess
    train: ImageSet
    """All training images, `preprocess.first` or not."""
    test: ImageSet | None
    split: Split
    seed: int
    extractor: Extractor
    num: int
    """Reference images, and as many that stand in for fakes; at most `most`."""
    _known: dict[Metric, tuple[Metric, Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Metrics with no setting left unset, and their statistics."""

    def measure(self, metric: Metric, fakes: Views) -> Measured:
        """What a metric says of `num` fakes; UsageError if it cannot be measured."""
        fitted, statistics = self.prepared(metric)
        if "labels" in metric.needs and fakes.labels is None:
            raise UsageError(
                "it needs labelled fakes: a generator that was trained with classes, an .npz file "
                "with `labels`, or a folder of class folders"
            )
        return fitted.compare(statistics, fakes)

    def prepared(self, metric: Metric) -> tuple[Metric, Any]:
        """The metric with no setting left unset, and its statistics, computed once.

        Raises:
            UsageError: the real images do not allow it.
        """
        if metric not in self._known:
            real = self._views(metric, self.trained_on)
            fitted = metric.fitted(real)
            self._known[metric] = fitted, fitted.statistics(real)
        return self._known[metric]

    # The images

    @property
    def trained_on(self) -> Pixels:
        """What the generator was trained on."""
        return self.train.images[: self.preprocess.first]

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        """Of the reference's split, or half, all images in the order in which they are drawn."""
        if self.test is None:
            rows = np.flatnonzero(~spared(len(self.train), has_test=False))
            return rows[self._order(len(rows), "halves")]
        of = self.test if self.split == "test" else self.train
        return self._order(len(of), "reference")

    @cached_property
    def _real(self) -> ImageSet:
        """The reference images."""
        of = self.train if self.test is None or self.split == "train" else self.test
        return some(of, self._rows[: self.num])

    def _others(self, metric: Metric) -> ImageSet:
        """Real images that stand in for fakes, none of them a reference image."""
        return self._unseen_by_net if uses(metric.needs) else self._of_other_split

    @cached_property
    def _of_other_split(self) -> ImageSet:
        """Those of the other split or half."""
        of = self.train if self.test is None or self.split == "test" else self.test
        rows = np.arange(len(of))
        if self.test is None:
            rows = np.flatnonzero(spared(len(of), has_test=False))
        return some(of, rows[self._order(len(rows), "floor")[: self.num]])

    @cached_property
    def _unseen_by_net(self) -> ImageSet:
        """Those, if there are enough, that the extractor's net was not trained on.

        They are spared training images, or test images that are left.
        """
        learnt, spares, num = self.extractor.learnt, self.extractor.spares, self.num
        if learnt == "train" and self.test is not None and self.split == "test":
            fresh = np.flatnonzero(spared(len(self.train), has_test=True))
            if spares and len(fresh) >= num:
                return some(self.train, fresh[self._order(len(fresh), "floor")[:num]])
            if len(self._rows) >= 2 * num:
                return some(self.test, self._rows[num : 2 * num])
        return self._of_other_split

    def _seen(self, metric: Metric) -> str:
        """Which of the images drawn the extractor's net was trained on, in words."""
        if not uses(metric.needs):
            return ""
        learnt, spares, num = self.extractor.learnt, self.extractor.spares, self.num
        if self.test is None:
            reference, floor = learnt == "train", learnt == "train" and not spares
        elif self.split == "train":
            reference, floor = learnt == "train", learnt == "test"
        else:
            fresh = int(spared(len(self.train), has_test=True).sum()) if spares else 0
            enough = max(fresh, len(self.test) - num) >= num
            reference, floor = learnt == "test", learnt == "train" and not enough
        if metric.floor == "reference":
            floor = reference
        seen = [word for word, is_seen in (("reference", reference), ("floor", floor)) if is_seen]
        return f"its net was trained on the images of the {' and the '.join(seen)}" if seen else ""

    def _order(self, num: int, purpose: str) -> NDArray[np.int64]:
        return order(num, self.seed, purpose)

    @cached_property
    def _extracted(self) -> Extracted:
        return extracted(self.extractor, self._real.images)

    def _views(self, metric: Metric, training: Pixels) -> Views:
        """The real images in the forms that a metric needs; UsageError if one is not to be had."""
        needs = metric.needs
        real = self._real
        seen = self._extracted if uses(needs) else None
        if "probabilities" in needs and seen and seen[1] is None:
            raise UsageError(f"a classifier is needed; the features are '{self.extractor.name}'")
        if "labels" in needs and real.labels is None:
            raise UsageError("it needs labelled data, and the data set has no labels")
        if "labels" in needs and len(np.unique(real.labels)) < 2:  # type: ignore[arg-type]
            raise UsageError("it needs labels of at least two classes, and the data set has one")
        return replace(
            views(real, self.extractor, needs, seen),
            unseen=self._unseen() if "unseen" in needs else None,
            training=pixel_rows(training) if "training" in needs else None,
            held_out=self._held_out() if "held_out" in needs else None,
            labelled=self._others(metric) if "labelled" in needs else None,
            class_counts=self._class_counts() if "class_counts" in needs else None,
        )

    def _unseen(self) -> Pixels | None:
        """None where everything was trained on."""
        if self.test is None:
            return None
        return pixel_rows((self._real if self.split == "test" else self._of_other_split).images)

    def _class_counts(self) -> NDArray[np.int64]:
        if self.train.labels is None:
            raise UsageError("it needs labelled data, and the data set has no labels")
        return np.bincount(self.train.labels, minlength=self.train.num_classes)

    def _held_out(self) -> Pixels:
        if self.split != "test":
            todo = "; use --split test" if self.test else ", and there are none"
            raise UsageError(f"it is defined on test images{todo}")
        return self.train.images[-LAST:][:HELD_OUT]

    # The floor

    def floor(self, metric: Metric) -> Floor:
        """The floor of a metric, computed once for all time; UsageError if it cannot be."""
        others = self._stand_ins(metric)
        if others is None:
            return Floor({}, 0.0)
        fakes, training = others
        key = self._key(metric, fakes)
        if kept := cache.read_json("floors", *key):
            return Floor(**kept)
        fitted, statistics = self.prepared(metric)
        if training is not None:
            statistics = fitted.statistics(self._views(metric, training))
        seen = real_views(fakes, self.extractor, metric.needs)
        began = time.perf_counter()
        values = fitted.compare(statistics, seen).values
        floor = Floor(values, time.perf_counter() - began)
        if all(map(math.isfinite, values.values())):
            cache.write_json(dataclasses.asdict(floor), "floors", *key)
        return floor

    def _stand_ins(self, metric: Metric) -> tuple[ImageSet, Pixels | None] | None:
        """Real images in place of fakes, and the training images that are left, if fewer are.

        None where there are too few.
        """
        if metric.floor == "other split":
            return self._others(metric), None
        if metric.floor == "reference":
            return self._real, None
        images, num = self.trained_on, self.num
        if len(images) < num + 2:
            return None
        if metric.floor == "left out":
            rows = self._order(len(images), "kept")
            return ImageSet(images[rows[:num]]), images[np.sort(rows[num:])]
        first = max(0, len(images) - LAST)
        allowed = np.delete(np.arange(len(images)), slice(first, first + HELD_OUT))
        rows = allowed[self._order(len(allowed), "floor")[:num]]
        return None if len(rows) < num else (ImageSet(images[rows]), None)

    def _key(self, metric: Metric, fakes: ImageSet) -> tuple[str, ...]:
        """All that a floor follows from."""
        sets = self._real, self._others(metric), fakes
        images = [each.images for each in sets]
        if metric.floor != "other split":
            images.append(self.train.images)
        labels = [each.labels for each in sets if each.labels is not None]
        return (
            repr(metric),
            repr((self.split, self.num, self.preprocess.first, self.extractor.device.type)),
            self._extractor_of(metric).sha256,
            *map(fingerprint, images),
            *(cache.sha256(of.tobytes()) for of in labels),
            cache.source_of(type(metric).__module__),
            cache.source_of(__name__),
        )

    # Rows

    def row(self, metric: Metric, measured: Measured, floor: dict[str, float]) -> Row:
        """A metric's numbers with all that they depend on but what made the fakes."""
        fitted: Any = self.prepared(metric)[0]
        return replace(
            self.blank(metric),
            values=measured.values,
            intervals=measured.intervals,
            remark=measured.remark,
            floor=floor,
            settings={METRICS.name_of(metric): dataclasses.asdict(fitted)},
        )

    def blank(self, metric: Metric, reason: str = "") -> Row:
        """A row without numbers, and why there are none if it stays so."""
        extractor = self._extractor_of(metric)
        name = METRICS.name_of(metric)
        shown = metric.in_inception if extractor.is_inception and metric.in_inception else name
        return Row(
            metric=f"{shown}{count(self.num)}",
            values={},
            intervals={},
            floor={},
            reason=reason,
            settings={},
            num_fake=self.num,
            num_reference=len(self._real),
            data=named(self.dataset),
            split=self._split_named,
            fingerprint=self._fingerprint,
            extractor=extractor.name,
            extractor_sha256=extractor.sha256,
            extractor_accuracy=extractor.accuracy,
            extractor_num_test=extractor.num_test,
            note="; ".join(filter(None, (extractor.note, self._seen(metric)))),
            resize=self._resizing(metric),
            seed=self.seed,
            num_train=len(self.trained_on),
            train_sha256=self._trained_sha256,
            ganvas=_version(),
        )

    @cached_property
    def _trained_sha256(self) -> str:
        return fingerprint(self.trained_on)

    @property
    def _split_named(self) -> str:
        if self.test is None:
            return "train, one half"
        return "held out" if self.split == "test" and self.test.held_out else self.split

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._real.images)

    def _extractor_of(self, metric: Metric) -> Extractor:
        return self.extractor if uses(metric.needs) else pixels()

    def _resizing(self, metric: Metric) -> str:
        channels, height, width = self.train.shape
        steps = []
        if self.preprocess.image_size:
            steps.append(f"data: {self.preprocess.filter} to {height}x{width}")
        if uses(metric.needs):
            resizing = self.extractor.resizing((channels, height, width))
            steps += [f"features: {resizing}"] if resizing != "none" else []
        elif "pixels" in metric.needs and max(height, width) > SIDE:
            steps.append(f"pixels: box to {SIDE} at most")
        return "; ".join(steps) or "none"


def splits(
    dataset: Dataset,
    preprocess: Preprocess,
    root: Path | None,
    *,
    train: ImageSet | None = None,
    test_needed: bool = False,
) -> tuple[ImageSet, ImageSet | None]:
    """All training images, and the test images if there are any.

    `train` are the training images after `preprocess`, if they have been loaded already.

    Raises:
        UsageError: a file is corrupt, images differ in size, or there is no test split and one is
            needed.
        RunError: a file is nowhere to be found.
    """
    whole = replace(preprocess, first=None)
    if train is None or preprocess.first is not None:
        train = load_images(dataset, whole, "train", root)
    try:
        return train, load_images(dataset, whole, "test", root)
    except NoSplit as error:
        if test_needed:
            raise UsageError(f"--split test: {error}; or compare with --split train") from None
        return train, None


def most(train: ImageSet, test: ImageSet | None) -> int:
    """How many images there are of both reference and real ones that stand in for fakes."""
    return len(train) // 2 if test is None else min(len(train), len(test))


def most_fakes(train: ImageSet, test: ImageSet | None, split: Split) -> int:
    """How many real images there are that stand in for fakes, where these may be more."""
    if test is None:
        return len(train) // 2
    return len(train) if split == "test" else len(test)


def order(num: int, seed: int, purpose: str) -> NDArray[np.int64]:
    """A random order of `num` images, which a seed stands for."""
    return np.random.default_rng(stream(seed, "evaluate", purpose)).permutation(num)


def some(of: ImageSet, rows: NDArray[np.int64]) -> ImageSet:
    return ImageSet(of.images[rows], None if of.labels is None else of.labels[rows], of.classes)


@cache_in_memory
def _version() -> str:
    return version("ganvas")


def named(dataset: Dataset) -> str:
    name = DATASETS.name_of(dataset)
    return f"{name} {dataset.path}" if hasattr(dataset, "path") else name
