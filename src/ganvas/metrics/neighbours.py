"""What nearest neighbours tell: usable labels, likeness to real images, repeats, memorisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.errors import UsageError
from ganvas.metrics.distances import nearest
from ganvas.metrics.inputs import (
    Better,
    Features,
    Floats,
    Values,
    feature_pair,
    features,
    labels,
    same_width,
)
from ganvas.metrics.interval import share_interval
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class LabelError:
    """A share of test images, with its 95 % interval."""

    error: float
    """Share of real test images that get a wrong label."""
    low: float
    """Low end of the interval."""
    high: float
    """High end of the interval."""


@plain(frozen=True)
class TwoSample:
    """Shares of images whose nearest other image is of their own set; 0.5 at best."""

    accuracy: float
    """Of all images: above one half the sets differ, far below it fakes are copies."""
    real: float
    """Of the real images; low while fakes lie among them."""
    fake: float
    """Of the fakes; high when they cluster, for example after a collapse."""


@plain(frozen=True)
class Repeats:
    """Shares of fakes that repeat another fake."""

    exact: float
    """Share of fakes equal to another fake."""
    near: float
    """Share of fakes nearer to another fake than `threshold`, or equal to it."""
    threshold: float
    """The distance that a `quantile` of as many real images have to their nearest other one."""


@plain(frozen=True)
class Pair:
    """A fake and the training image nearest to it."""

    fake: int
    """Row of the fake."""
    train: int
    """Row of the training image."""
    distance: float
    """Between them, in the features' unit."""
    ratio: float
    """That distance divided by the one to the second nearest training image; 0 for a copy."""


@plain(frozen=True)
class Memory:
    """How near fakes are to the training images."""

    copied: float
    """Share of fakes whose ratio is below the field `ratio`."""
    closer: float
    """Share of fakes nearer to the training images than the median test image is."""
    fake_distance: float
    """Median distance of a fake to its nearest training image."""
    test_distance: float
    """Median distance of a real test image to its nearest training image."""
    pairs: tuple[Pair, ...]
    """The fakes most like copies, the smallest ratio first, then the smallest distance."""


@METRICS.register("1nn-labels")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NearestLabel:
    """1-NN test error on labelled fakes (Radford et al. 2016, section 5.2 and appendix).

    Each real test image gets the label of the fake nearest to it. It sees fakes whose label is
    wrong and variety missing within a class. It misses bad fakes that no test image comes near.
    """

    better: ClassVar[Mapping[str, Better]] = {"error": "lower"}

    def measure(
        self, fake: Values, fake_labels: Values, test: Values, test_labels: Values
    ) -> LabelError:
        """From features (N, D) and class indices (N,) of fakes and of real test images.

        Raises:
            UsageError: no images; a label missing; not finite; rows differ in length.
        """
        test_rows, fake_rows = feature_pair(test, fake)
        known = labels(fake_labels, len(fake_rows), "fake labels")
        truth = labels(test_labels, len(test_rows), "test labels")
        found = known[nearest(test_rows, fake_rows, 1).indices[:, 0]]
        error = float((found != truth).mean())
        return LabelError(error, *share_interval(error, len(truth)))


@METRICS.register("1nn-two-sample")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NearestTwoSample:
    """1-NN two-sample accuracy (Lopez-Paz & Oquab 2017; Xu et al. 2018, section 2).

    Leave-one-out: how often is the image nearest to an image, of all real ones and fakes, of its
    own set? It sees any difference of the sets, and copies of the real images as values below one
    half. It misses whether the fault is in looks or in variety, save for the split by set.
    """

    better: ClassVar[Mapping[str, Better]] = {"accuracy": "half", "real": "half", "fake": "half"}

    def measure(self, real: Values, fake: Values) -> TwoSample:
        """From as many real features (N, D) as fake ones (N, D).

        Raises:
            UsageError: sets that differ in size; not finite; rows differ in length.
        """
        x, y = feature_pair(real, fake)
        num = len(x)
        if len(y) != num:
            raise UsageError(
                f"fake images: found {len(y)} and {num} real images; chance is one half only for "
                "sets of one size, so give as many of each"
            )
        both = np.concatenate([x, y])
        neighbour = nearest(both, both, 1, exclude_self=True).indices[:, 0]
        real_right, fake_right = (neighbour[:num] < num).mean(), (neighbour[num:] >= num).mean()
        return TwoSample(
            accuracy=float((real_right + fake_right) / 2),
            real=float(real_right),
            fake=float(fake_right),
        )


@METRICS.register("duplicates")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class DuplicateRate:
    """Share of fakes that repeat another fake (after Arora & Zhang 2018, section 2).

    A near repeat is nearer to its neighbour than all but a `quantile` of as many real images are
    to theirs. It sees a collapse, onto few images or within classes. It misses fakes that are all
    different and all bad, and copies of training images.
    """

    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Share of real images that count as near repeats, and of a perfect generator's fakes."""

    better: ClassVar[Mapping[str, Better]] = {"exact": "lower", "near": "lower"}

    def measure(self, real: Values, fake: Values) -> Repeats:
        """From fake features (N, D) and at least as many real ones, of which the first N are used.

        Raises:
            UsageError: fewer real images than fakes; fewer than 2; not finite; rows differ in
                length.
        """
        x, y = feature_pair(real, fake, 2)
        if len(x) < len(y):
            raise UsageError(
                f"fake images: found {len(y)} and {len(x)} real images; at most as many fakes as "
                "real images can be compared"
            )
        of_real, of_fake = (_to_nearest_other(rows) for rows in (x[: len(y)], y))
        threshold = np.quantile(of_real, self.quantile)
        return Repeats(
            exact=float((of_fake == 0).mean()),
            near=float(((of_fake < threshold) | (of_fake == 0)).mean()),
            threshold=float(threshold),
        )


@METRICS.register("memorisation")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Memorisation:
    """Nearest training images: ratio test (Gu et al. 2023, section 2) and held-out comparison.

    A copy is a fake much nearer to one training image than to any other; and fakes should not lie
    nearer to the training images than test images do. It sees copies and near copies. It misses
    shifted or mirrored copies in features that change with these; blurred fakes may look close.
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 1 / 3
    """Nearest to second nearest distance below which a fake counts as copied."""

    worst: Positive = 16
    """Pairs listed."""

    better: ClassVar[Mapping[str, Better]] = {"copied": "lower", "closer": "half"}

    def measure(self, train: Values, test: Values, fake: Values) -> Memory:
        """From features (N, D) of all training images, of real test images and of fakes.

        Raises:
            UsageError: fewer than 2 training images; not finite; rows differ in length.
        """
        known = features(train, "training images", 2)
        unseen = same_width(features(test, "test images"), known, "test images")
        fakes = same_width(features(fake, "fake images"), known, "fake images")
        of_test = nearest(unseen, known, 1).distances[:, 0]
        found = nearest(fakes, known, 2)
        first, second = found.distances.T
        ratios = np.divide(first, second, out=np.zeros_like(first), where=first > 0)
        order = np.lexsort((first, ratios))[: self.worst]
        pairs = tuple(
            Pair(int(i), int(found.indices[i, 0]), float(first[i]), float(ratios[i])) for i in order
        )
        return Memory(
            copied=float((ratios < self.ratio).mean()),
            closer=float((first < np.median(of_test)).mean()),
            fake_distance=float(np.median(first)),
            test_distance=float(np.median(of_test)),
            pairs=pairs,
        )


def _to_nearest_other(rows: Features) -> Floats:
    return nearest(rows, rows, 1, exclude_self=True).distances[:, 0]
