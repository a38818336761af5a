"""Precision, recall, density and coverage: are fakes where real images are, and the reverse?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar, Final

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.metrics import halves
from ganvas.metrics.distances import Distinct, Neighbours, distinct, nearest, pairs_within
from ganvas.metrics.inputs import Better, Features, Floats, features, same_width
from ganvas.metrics.interval import around, quantile_of_t, share_interval, share_of_independent
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS
from ganvas.seeds import stream

Interval = tuple[float, float]

CROWDED: Final = 0.5
"""Share of the fakes in any ball which the fullest hundredth of the balls may hold."""
FEWEST: Final = 16
"""Least images of each set for intervals, in units of k + 1."""


@plain(frozen=True)
class Balls:
    """A ball around each image; equal images have equal balls, so one of each stands for all."""

    rows: Features
    """(N, D)"""
    near: Neighbours
    """The nearest other images of each, more than a ball reaches to."""
    radii: Floats
    """(kinds,)"""
    kinds: Distinct

    @classmethod
    def of(cls, rows: Features, k: int) -> Balls:
        """Balls that reach to the k-th nearest other image of the set."""
        near = nearest(rows, rows, halves.reach(k, len(rows)), exclude_self=True)
        kinds = distinct(rows)
        return cls(rows, near, near.distances[kinds.first, k - 1], kinds)

    @property
    def centres(self) -> Features:
        """(kinds, D)"""
        return self.rows[self.kinds.first]

    @property
    def reach(self) -> Floats:
        """(kinds,): the distance to the last neighbour listed."""
        reach: Floats = self.near.distances[self.kinds.first, -1]
        return reach


@plain(frozen=True)
class Compared:
    """Two sets of balls, and the pairs of an image and one of the other set near it."""

    values: dict[str, float]
    met: float
    """Share of fakes in whose ball a real image lies: coverage, the other way round."""
    crowded: float
    """Of the fakes in any ball, the share in the fullest hundredth of the balls."""
    of_real: halves.Pairs
    of_fake: halves.Pairs

    @classmethod
    def of(cls, real: Balls, fake: Balls, k: int) -> Compared:
        balls_of_kind = np.zeros(len(fake.kinds.first), np.float32)  # whole, below 2^24, so exact
        sizes = real.kinds.sizes.astype(np.float32)
        covered, recalled = np.zeros((2, len(real.kinds.first)), bool)
        met = np.zeros(len(fake.kinds.first), bool)
        held = np.zeros(len(real.kinds.first))
        of_real = halves.Pairs(real.kinds, fake.kinds)
        of_fake = halves.Pairs(fake.kinds, real.kinds)
        radii = real.radii[:, None], fake.radii[None], real.reach[:, None], fake.reach[None]
        for part, found in pairs_within(real.centres, fake.centres, *radii):
            in_real, in_fake, near_real, near_fake = found
            inside = in_real.astype(np.float32)
            balls_of_kind += sizes[part] @ inside
            held[part] = inside @ fake.kinds.sizes.astype(np.float32)
            covered[part] = in_real.any(axis=1)
            recalled[part] = in_fake.any(axis=1)
            met |= in_fake.any(axis=0)
            row, column = np.nonzero(near_real)
            of_real.add(part[row], column)
            row, column = np.nonzero(near_fake)
            of_fake.add(column, part[row])
        real_balls = balls_of_kind[fake.kinds.group].astype(np.int64)
        values = {
            "precision": float((real_balls > 0).mean()),
            "recall": float(recalled[real.kinds.group].mean()),
            "density": float(real_balls.mean() / k),
            "coverage": float(covered[real.kinds.group].mean()),
        }
        crowded = 0.0
        if values["precision"]:
            fullest = held.argsort(kind="stable")[-max(1, len(held) // 100) :]
            by_few = np.zeros(len(met), bool)
            few, to_their_edge = real.centres[fullest], real.radii[fullest, None]
            for _, (in_few,) in pairs_within(few, fake.centres, to_their_edge):
                by_few |= in_few.any(axis=0)
            crowded = float(by_few[fake.kinds.group].mean()) / values["precision"]
        return cls(values, float(met[fake.kinds.group].mean()), crowded, of_real, of_fake)


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

    halves: Annotated[int, Field(ge=2, le=1000)] = 40
    """Random halves of both sets whose spread makes the intervals."""

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
        same_width(rows, statistics.rows.shape[1], "fake images")
        fake = Balls.of(rows, self.k)
        found = Compared.of(statistics, fake, self.k)
        remark = ""
        if found.crowded > CROWDED:
            remark = (
                f"precision says little here: {found.crowded:.0%} of the fakes that it counts lie "
                "in the balls of one real image in a hundred, outliers with wide balls, which take "
                "in noise; read density and coverage"
            )
        return Measured(found.values, self._intervals(found, statistics, fake), remark=remark)

    def _intervals(self, found: Compared, real: Balls, fake: Balls) -> dict[str, Interval]:
        """95 % intervals, of those values that have one.

        The variance over random halves of n images is that over fresh sets of n / 2 images times
        1 - 1 / 2^c, where c images together make what is summed up (Hoeffding 1948): one for
        density, near two for the shares. And it falls as 1 / n.
        """
        num = min(len(real.rows), len(fake.rows))
        if num < FEWEST * (self.k + 1) or not (found.of_real.few and found.of_fake.few):
            return {}
        width = quantile_of_t(self.halves - 1)
        intervals = {}
        for key, over in self._over_halves(found, real, fake).items():
            variance = float(over.var(ddof=1))
            if key == "density":
                low, high = around(found.values[key], math.sqrt(variance), width)
                intervals[key] = max(0.0, low), high
            else:
                alike = share_of_independent(float(over.mean()), variance / 0.75, num / 2)
                intervals[key] = share_interval(found.values[key], alike * num, width)
        # as many as of equal sets lie alone by chance; beyond twice that, whole regions do, and
        # a single outlier may or may not reach over one
        alone = 2 * 0.5**self.k
        if found.met < 1 - alone:
            del intervals["precision"], intervals["density"]
        if found.values["coverage"] < 1 - alone:
            del intervals["recall"]
        return intervals

    def _over_halves(self, found: Compared, real: Balls, fake: Balls) -> dict[str, Floats]:
        """The values of random halves of both sets, (halves,)."""
        random = np.random.default_rng(stream(0, "prdc"))
        of_real, of_fake = (
            halves.drawn(len(balls.rows), self.halves, random) for balls in (real, fake)
        )
        within_real = halves.Within.of(real.rows, real.near, fake.rows, found.of_real)
        within_fake = halves.Within.of(fake.rows, fake.near, real.rows, found.of_fake)
        precision, coverage, balls = within_real.shares(self.k, of_real, of_fake)
        recall, _, _ = within_fake.shares(self.k, of_fake, of_real)
        return {
            "precision": precision,
            "recall": recall,
            "density": balls / self.k,
            "coverage": coverage,
        }
