"""The nearest-neighbour two-sample test: can fakes be told from real images?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import ClassVar

from pydantic.dataclasses import dataclass

from ganvas.errors import UsageError
from ganvas.metrics.distances import nearest, to_nearest_other
from ganvas.metrics.inputs import Better, Features, Floats, features, same_width
from ganvas.metrics.interval import share_interval
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class RealNeighbours:
    """Real features, and how near each is to the next."""

    features: Features
    """(N, D)"""
    distances: Floats
    """(N,), to the nearest other one."""


@METRICS.register("1nn", "1nn-two-sample")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NearestTwoSample(Metric):
    """1-NN two-sample accuracy (Lopez-Paz & Oquab 2017; Xu et al. 2018, section 2).

    Leave-one-out: how often is the image nearest to an image, of all real ones and fakes, of its
    own set, by features (N, D) of as many of each? It sees any difference of the sets, and copies
    of the real images as values below one half. It misses whether the fault is in looks or in
    variety, save for the split by set.
    """

    needs: ClassVar[tuple[Need, ...]] = ("features",)
    better: ClassVar[Mapping[str, Better]] = {"accuracy": "half", "real": "half", "fake": "half"}

    def statistics(self, real: Views) -> RealNeighbours:
        rows = features(real.features, "real images", 2)
        return RealNeighbours(rows, to_nearest_other(rows))

    def compare(self, statistics: RealNeighbours, fakes: Views) -> Measured:
        x, y = statistics.features, features(fakes.features, "fake images")
        same_width(y, x.shape[1], "fake images")
        if len(y) != len(x):
            raise UsageError(
                f"fake images: found {len(y)} and {len(x)} real images; chance is one half only "
                "for sets of one size, so give as many of each"
            )
        # equally near ones: the real image counts as the nearer one
        real_right = statistics.distances <= nearest(x, y, 1).distances[:, 0]
        fake_right = to_nearest_other(y) < nearest(y, x, 1).distances[:, 0]
        real, fake = real_right.mean(), fake_right.mean()
        values = {"accuracy": float((real + fake) / 2), "real": float(real), "fake": float(fake)}
        shares = {key: share_interval(values[key], len(y)) for key in ("real", "fake")}
        return Measured(values, shares)
