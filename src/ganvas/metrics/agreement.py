"""Whether labelled fakes are of the class that they were made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import ClassVar

from pydantic.dataclasses import dataclass

from ganvas.errors import UsageError
from ganvas.metrics.by_class import shares
from ganvas.metrics.inputs import Better, labels, probabilities, same_classes
from ganvas.metrics.metric import Measured, Metric, Need, StandIns, Views
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class Known:
    """The classes that a classifier tells apart."""

    num: int
    names: tuple[str, ...]


@METRICS.register("agreement", "gan-test")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Agreement(Metric):
    """Share of fakes that a classifier of real images puts into the class that was asked for.

    GAN-test of Shmelkov et al. (2018, section 3.2): the accuracy, on fakes, of a classifier that
    was trained on real images; of all fakes, of the worst class, and of each class. The floor is
    that classifier's accuracy on the real reference images. It sees classes that are mixed up or
    not learnt. It misses all else: one good image of each class, drawn again and again, has the
    best value there is, and can pass the floor.
    """

    needs: ClassVar[tuple[Need, ...]] = ("probabilities", "labels")
    better: ClassVar[Mapping[str, Better]] = {"agreement": "higher", "worst": "higher"}
    floor: ClassVar[StandIns] = "reference"

    def statistics(self, real: Views) -> Known:
        given = probabilities(real.probabilities, "real probabilities")
        known = labels(real.labels, len(given), "test labels")
        if not real.own_classes:
            raise UsageError("it needs a classifier of the data set's own classes")
        if known.max() >= given.shape[1]:
            raise UsageError(
                f"the classifier knows {given.shape[1]} classes, the data set has a label "
                f"{known.max()}"
            )
        return Known(given.shape[1], real.classes)

    def compare(self, statistics: Known, fakes: Views) -> Measured:
        given = probabilities(fakes.probabilities, "fake probabilities")
        wanted = labels(fakes.labels, len(given), "fake labels")
        same_classes(given, statistics.num)
        right = given.argmax(axis=1) == wanted
        return shares(right, wanted, statistics.names, statistics.num, "agreement")
