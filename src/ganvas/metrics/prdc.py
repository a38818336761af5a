"""Precision, recall, density and coverage: are fakes where real images are, and the reverse?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.metrics.distances import distinct, nearest, pairs_within
from ganvas.metrics.inputs import Better, Values, feature_pair
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class PRDC:
    """Shares in [0, 1], save density, which can exceed 1."""

    precision: float
    """Share of fakes inside the ball of at least one real image."""
    recall: float
    """Share of real images inside the ball of at least one fake."""
    density: float
    """Mean number of real balls that a fake is in, divided by k; about 1 at best."""
    coverage: float
    """Share of real images with at least one fake inside their ball."""


@METRICS.register("prdc")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class PrecisionRecallDensityCoverage:
    """Precision and recall (Kynkäänniemi et al. 2019, equations 1 and 2), density and coverage
    (Naeem et al. 2020, section 3), from features (N, D).

    With B(x) the ball around an image that reaches to its k-th nearest other image of its set:
    precision = mean_j [y_j in some B(x_i)], recall = mean_i [x_i in some B(y_j)],
    density = mean_j #{i: y_j in B(x_i)} / k, coverage = mean_i [some y_j in B(x_i)].
    A ball's surface does not belong to it, so k + 1 equal images have no ball. They see fakes off
    the data (precision, density) and data without fakes (recall, coverage). They miss how often a
    mode comes up, outliers and noise widen the balls, and all depend on k and the image numbers.
    """

    k: Positive = 5
    """Which nearest neighbour a ball reaches to."""

    better: ClassVar[Mapping[str, Better]] = {
        "precision": "higher",
        "recall": "higher",
        "density": "higher",
        "coverage": "higher",
    }

    def measure(self, real: Values, fake: Values) -> PRDC:
        """The four numbers from real features (N, D) and fake ones (M, D).

        Raises:
            UsageError: k images or fewer; not finite; rows differ in length.
        """
        x, y = feature_pair(real, fake, self.k + 1)
        real_radii, fake_radii = (
            nearest(rows, rows, self.k, exclude_self=True).distances[:, -1] for rows in (x, y)
        )
        # equal images have equal balls: one of each stands for all
        real_kinds, fake_kinds = distinct(x), distinct(y)
        x, real_radii = x[real_kinds.first], real_radii[real_kinds.first]
        y, fake_radii = y[fake_kinds.first], fake_radii[fake_kinds.first]
        balls_of_kind = np.zeros(len(y), np.float32)  # whole numbers below 2^24, hence exact
        sizes = real_kinds.sizes.astype(np.float32)
        covered, recalled = np.zeros(len(x), bool), np.zeros(len(x), bool)
        for rows, (in_real, in_fake) in pairs_within(x, y, real_radii[:, None], fake_radii[None]):
            balls_of_kind += sizes[rows] @ in_real.astype(np.float32)
            covered[rows] = in_real.any(axis=1)
            recalled[rows] = in_fake.any(axis=1)
        real_balls = balls_of_kind[fake_kinds.group].astype(np.int64)
        covered, recalled = covered[real_kinds.group], recalled[real_kinds.group]
        return PRDC(
            precision=float((real_balls > 0).mean()),
            recall=float(recalled.mean()),
            density=float(real_balls.mean() / self.k),
            coverage=float(covered.mean()),
        )
