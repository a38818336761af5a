"""How many classes there are among the fakes, and how evenly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from ganvas.config import Positive, Probability
from ganvas.errors import UsageError
from ganvas.metrics.inputs import Better, Floats, features
from ganvas.metrics.metric import Measured, Metric, Need, StandIns, Views
from ganvas.registry import CHECKED, METRICS


@METRICS.register("modes")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Modes(Metric):
    """Modes covered, and the KL divergence of the fakes' classes from those of the data.

    Metz et al. (2017, section 3.3.1), on stacked MNIST with its 1,000 classes; Lin et al. (2018,
    PacGAN) and Huang et al. (2024, R3GAN) measure the same. modes = classes into which a classifier
    puts at least `hits` fakes; kl = sum_c q_c log(q_c / p_c) in nats, from the shares q of the
    fakes to the shares p of the data, by some called the reverse KL. It sees classes that are
    dropped or overweight. It misses everything within a class. Both depend on the classifier, the
    confidence and the number of fakes: a perfect generator has a kl of (classes - 1) / (2 fakes),
    not 0, and with few fakes misses classes. That is what the floor shows, the reference images in
    the place of fakes.
    """

    confidence: Probability = 0.0
    """Fakes whose largest probability is below this are left out."""

    hits: Positive = 1
    """Fakes that make a class count as covered."""

    against: Literal["data", "uniform"] = "data"
    """Shares that kl is measured from: those of the training images' labels, or equal ones."""

    needs: ClassVar[tuple[Need, ...]] = ("probabilities", "class_counts")
    better: ClassVar[Mapping[str, Better]] = {"modes": "higher", "kl": "lower"}
    floor: ClassVar[StandIns] = "reference"
    rules: ClassVar[tuple[str, ...]] = ("confidence", "hits", "against")

    def statistics(self, real: Views) -> Floats:
        if real.class_counts is None:
            raise UsageError("classes of the training images: none given")
        if not real.own_classes:
            raise UsageError("it needs a classifier of the data set's own classes")
        counts = np.asarray(real.class_counts, dtype=np.float64)
        if self.against == "uniform":
            counts = np.ones_like(counts)
        if counts.min() == 0:
            raise UsageError(
                f"{(counts == 0).sum()} of {len(counts)} classes have no training image; "
                "--set metrics.modes.against=uniform compares with equal shares"
            )
        shares: Floats = counts / counts.sum()
        return shares

    def compare(self, statistics: Floats, fakes: Views) -> Measured:
        counts = self._counts(fakes, len(statistics))
        kl = math.inf
        if total := counts.sum():
            q = counts[counts > 0] / total
            kl = float((q * np.log(q / statistics[counts > 0])).sum())
        return Measured({"modes": float((counts >= self.hits).sum()), "kl": kl})

    def _counts(self, fakes: Views, num_classes: int) -> NDArray[np.int64]:
        """(classes,): confident fakes of each class."""
        # not as float64: a thousand classes make this the largest array of all
        given = features(fakes.probabilities, "fake probabilities")
        if given.shape[1] != num_classes:
            raise UsageError(
                f"fake probabilities: found {given.shape[1]} classes, {num_classes} in the data "
                "set; take the classifier of the data set"
            )
        if given.min() < 0 or abs(given.sum(axis=1) - 1).max() > 1e-3:
            raise UsageError("fake probabilities: a row is no distribution; give no logits")
        sure = given.max(axis=1) >= self.confidence
        return np.bincount(given.argmax(axis=1)[sure], minlength=num_classes)
