"""Precision, recall, density and coverage: are fakes where real images are, and the reverse?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.metrics.distances import Distinct, distinct, nearest, pairs_within
from ganvas.metrics.inputs import Better, Features, Floats, features, same_width
from ganvas.metrics.interval import share_interval
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class Balls:
    """A ball around each image; equal images have equal balls, so one of each stands for all."""

    centres: Features
    """(kinds, D)"""
    radii: Floats
    """(kinds,)"""
    kinds: Distinct

    @classmethod
    def of(cls, rows: Features, k: int) -> Balls:
        """Balls that reach to the k-th nearest other image of the set."""
        radii = nearest(rows, rows, k, exclude_self=True).distances[:, -1]
        kinds = distinct(rows)
        return cls(rows[kinds.first], radii[kinds.first], kinds)


@METRICS.register("prdc")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class PrecisionRecallDensityCoverage(Metric):
    """Precision, recall (Kynkäänniemi et al. 2019), density, coverage (Naeem et al. 2020).

    From features (N, D), by equations 1 and 2 of the first paper and section 3 of the second. With
    B(x) the ball around an image that reaches to its k-th nearest other image of its set:
    precision = mean_j [y_j in some B(x_i)], recall = mean_i [x_i in some B(y_j)],
    density = mean_j #{i: y_j in B(x_i)} / k, coverage = mean_i [some y_j in B(x_i)].
    A ball's surface does not belong to it, so k + 1 equal images have no ball. They see fakes off
    the data (precision, density) and data without fakes (recall, coverage). They miss how often a
    mode comes up, outliers and noise widen the balls, and all depend on k and the image numbers.
    """

    k: Positive = 5
    """Which nearest neighbour a ball reaches to."""

    needs: ClassVar[tuple[Need, ...]] = ("features",)
    better: ClassVar[Mapping[str, Better]] = {
        "precision": "higher",
        "recall": "higher",
        "density": "higher",
        "coverage": "higher",
    }

    def statistics(self, real: Views) -> Balls:
        return Balls.of(features(real.features, "real images", self.k + 1), self.k)

    def compare(self, statistics: Balls, fakes: Views) -> Measured:
        rows = features(fakes.features, "fake images", self.k + 1)
        same_width(rows, statistics.centres.shape[1], "fake images")
        real, fake = statistics, Balls.of(rows, self.k)
        balls_of_kind = np.zeros(len(fake.centres), np.float32)  # whole, below 2^24, hence exact
        sizes = real.kinds.sizes.astype(np.float32)
        covered, recalled = np.zeros((2, len(real.centres)), bool)
        radii = real.radii[:, None], fake.radii[None]
        for part, (in_real, in_fake) in pairs_within(real.centres, fake.centres, *radii):
            balls_of_kind += sizes[part] @ in_real.astype(np.float32)
            covered[part] = in_real.any(axis=1)
            recalled[part] = in_fake.any(axis=1)
        real_balls = balls_of_kind[fake.kinds.group].astype(np.int64)
        values = {
            "precision": float((real_balls > 0).mean()),
            "recall": float(recalled[real.kinds.group].mean()),
            "density": float(real_balls.mean() / self.k),
            "coverage": float(covered[real.kinds.group].mean()),
        }
        shares = ("precision", "recall", "coverage")
        return Measured(values, {key: share_interval(values[key], len(rows)) for key in shares})
