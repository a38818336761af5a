"""Memorisation: are fakes copies of training images, or nearer to them than they should be?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.metrics.distances import nearest_of_many
from ganvas.metrics.inputs import Better, pixels_as_given, same_width
from ganvas.metrics.interval import share_interval
from ganvas.metrics.metric import Measured, Metric, Need, Pair, StandIns, Views
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class Training:
    """Training images, and how near other real images come to them."""

    pixels: NDArray[Any]
    """(N, D): uint8, or floats from 0 to 1."""
    unseen_distance: float | None
    """Median distance of a real image that was not trained on to its nearest training image; None
    where all were."""


@METRICS.register("memorisation")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Memorisation(Metric):
    """Nearest training images: ratio test (Gu et al. 2023, section 2) and held-out comparison.

    A copy is a fake much nearer, by its pixels, to one training image than to any other; and fakes
    should not lie nearer to the training images than test images do. It sees copies and near
    copies. It misses shifted, turned or mirrored copies; blurred fakes may look close. Where
    every real image was trained on, only copies are counted.
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 1 / 3
    """Nearest to second nearest distance below which a fake counts as copied."""

    worst: Positive = 16
    """Pairs listed."""

    needs: ClassVar[tuple[Need, ...]] = ("pixels", "training", "unseen")
    better: ClassVar[Mapping[str, Better]] = {"copied": "lower", "closer": "half"}
    floor: ClassVar[StandIns] = "left out"

    def statistics(self, real: Views) -> Training:
        known = pixels_as_given(real.training, "training images", 2)
        if real.unseen is None:
            return Training(known, None)
        unseen = pixels_as_given(real.unseen, "test images")
        same_width(unseen, known.shape[1], "test images")
        distances = nearest_of_many(unseen, known, 1).distances[:, 0]
        return Training(known, float(np.median(distances)))

    def compare(self, statistics: Training, fakes: Views) -> Measured:
        rows = pixels_as_given(fakes.pixels, "fake images")
        same_width(rows, statistics.pixels.shape[1], "fake images")
        neighbours = nearest_of_many(rows, statistics.pixels, 2)
        first, second = neighbours.distances.T
        ratios = np.divide(first, second, out=np.zeros_like(first), where=first > 0)
        order = np.lexsort((first, ratios))[: self.worst]
        pairs = tuple(
            Pair(int(i), int(neighbours.indices[i, 0]), float(first[i]), float(ratios[i]))
            for i in order
        )
        values = {"copied": float((ratios < self.ratio).mean())}
        if statistics.unseen_distance is not None:
            values["closer"] = float((first < statistics.unseen_distance).mean())
        intervals = {key: share_interval(values[key], len(rows)) for key in values}
        return Measured(values, intervals, pairs)
