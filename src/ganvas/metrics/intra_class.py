"""The Fréchet distance within each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.errors import UsageError
from ganvas.metrics.by_class import name_of, values_of
from ganvas.metrics.frechet import Gaussian, Moments, distance
from ganvas.metrics.inputs import Better, Features, features, labels, same_width
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class OfClasses:
    """The Gaussian of each class of real images that has any."""

    classes: dict[int, Gaussian]
    names: tuple[str, ...]
    dims: int


@METRICS.register("intra-fd", "fd-classes")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class IntraClassDistance(Metric):
    """Fréchet distance between fakes and real images of one class, its mean over the classes.

    The intra-class FID of Miyato & Koyama (2018, section 5.1), in any features: the mean, the worst
    class, and each class. It sees what a class lacks in variety or quality, and classes mixed up.
    Biased upwards, the more the fewer images a class has: 500 or more are wanted, and numbers of
    one count alone compare.
    """

    least: Annotated[int, Field(ge=2)] = 10
    """Images of a class, real ones or fakes, with fewer of which nothing is measured."""

    needs: ClassVar[tuple[Need, ...]] = ("features", "labels")
    better: ClassVar[Mapping[str, Better]] = {"mean": "lower", "worst": "lower"}
    in_inception: ClassVar[str] = "intra-fid"

    def statistics(self, real: Views) -> OfClasses:
        rows = features(real.features, "real images", self.least)
        known = labels(real.labels, len(rows), "real labels")
        there = [int(label) for label in np.unique(known)]
        gaussians = self._gaussians(rows, known, there, real.classes, "real images")
        return OfClasses(gaussians, real.classes, rows.shape[1])

    def compare(self, statistics: OfClasses, fakes: Views) -> Measured:
        rows = features(fakes.features, "fake images", self.least)
        wanted = labels(fakes.labels, len(rows), "fake labels")
        same_width(rows, statistics.dims, "fake images")
        real, names = statistics.classes, statistics.names
        fake = self._gaussians(rows, wanted, list(real), names, "fakes")
        found = np.full(max(real) + 1, np.nan)
        for label, gaussian in real.items():
            found[label] = distance(gaussian, fake[label])
        values = {"mean": float(np.nanmean(found)), "worst": float(np.nanmax(found))}
        return Measured(values | values_of(found, names))

    def _gaussians(
        self,
        rows: Features,
        known: NDArray[np.int64],
        classes: list[int],
        names: tuple[str, ...],
        what: str,
    ) -> dict[int, Gaussian]:
        parts = {label: rows[known == label] for label in classes}
        fewest = min(parts, key=lambda label: len(parts[label]))
        if len(parts[fewest]) < self.least:
            raise UsageError(
                f"{name_of(names, fewest)}: found {len(parts[fewest])} {what}; at least "
                f"{self.least} of each class are needed"
            )
        return {label: Moments.of(part) for label, part in parts.items()}
