"""The error of a nearest-neighbour classifier that knows labelled fakes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from ganvas.metrics.distances import nearest
from ganvas.metrics.inputs import Better, Features, labels, pixel_rows, same_width
from ganvas.metrics.interval import share_interval
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class Labelled:
    """Real test images and their classes."""

    pixels: Features
    """(N, D), from 0 to 1."""
    labels: NDArray[np.int64]
    """(N,)"""


@METRICS.register("1nn-labels")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NearestLabel(Metric):
    """1-NN test error on labelled fakes (Radford et al. 2016, section 5.2 and appendix).

    Each real test image gets the label of the fake nearest to it, by their pixels. It sees fakes
    whose label is wrong and variety missing within a class. It misses bad fakes that no test image
    comes near.
    """

    needs: ClassVar[tuple[Need, ...]] = ("pixels", "labels")
    better: ClassVar[Mapping[str, Better]] = {"error": "lower"}
    more_fakes: ClassVar[bool] = True

    def statistics(self, real: Views) -> Labelled:
        rows = pixel_rows(real.pixels, "test images")
        return Labelled(rows, labels(real.labels, len(rows), "test labels"))

    def compare(self, statistics: Labelled, fakes: Views) -> Measured:
        rows = pixel_rows(fakes.pixels, "fake images")
        known = labels(fakes.labels, len(rows), "fake labels")
        same_width(rows, statistics.pixels.shape[1], "fake images")
        given = known[nearest(statistics.pixels, rows, 1).indices[:, 0]]
        error = float((given != statistics.labels).mean())
        return Measured({"error": error}, {"error": share_interval(error, len(given))})
