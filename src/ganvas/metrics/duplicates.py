"""The duplicate rate: how many fakes repeat another one?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.errors import UsageError
from ganvas.metrics.distances import to_nearest_other
from ganvas.metrics.inputs import Better, Features, Floats, pixel_rows, same_width
from ganvas.metrics.interval import share_interval
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class RealRepeats:
    """Real images, and how near each is to the next."""

    pixels: Features
    """(N, D), from 0 to 1."""
    distances: Floats
    """(N,), to the nearest other one."""


@METRICS.register("duplicates")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class DuplicateRate(Metric):
    """Share of fakes that repeat another fake (after Arora & Zhang 2018, section 2).

    A near repeat is nearer to its neighbour, by their pixels, than all but a `quantile` of as many
    real images are to theirs. It sees a collapse, onto few images or within classes. It misses
    fakes that are all different and all bad, and copies of training images. Blurred fakes count as
    near repeats without being any, as all blurred images lie nearer to each other.
    """

    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Share of real images that count as near repeats, and of a perfect generator's fakes."""

    needs: ClassVar[tuple[Need, ...]] = ("pixels",)
    better: ClassVar[Mapping[str, Better]] = {"exact": "lower", "near": "lower"}

    def statistics(self, real: Views) -> RealRepeats:
        rows = pixel_rows(real.pixels, "real images", 2)
        return RealRepeats(rows, to_nearest_other(rows))

    def compare(self, statistics: RealRepeats, fakes: Views) -> Measured:
        x, y = statistics.pixels, pixel_rows(fakes.pixels, "fake images", 2)
        same_width(y, x.shape[1], "fake images")
        if len(x) < len(y):
            raise UsageError(
                f"fake images: found {len(y)} and {len(x)} real images; at most as many fakes as "
                "real images can be compared"
            )
        alike = len(x) == len(y)
        of_real = statistics.distances if alike else to_nearest_other(x[: len(y)])
        of_fake = to_nearest_other(y)
        equal = of_fake == 0
        near = (of_fake < np.quantile(of_real, self.quantile)) | equal
        values = {"exact": float(equal.mean()), "near": float(near.mean())}
        return Measured(values, {key: share_interval(values[key], len(y)) for key in values})
