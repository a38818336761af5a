"""What a classifier makes of the fakes: are they clear, and are all classes there?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive, Probability
from ganvas.errors import UsageError
from ganvas.metrics.inputs import Better, Floats, probabilities, same_classes
from ganvas.metrics.interval import around, quantile_of_t, standard_error
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS
from ganvas.seeds import stream


@plain(frozen=True)
class RealClasses:
    """What a classifier makes of the real images."""

    shares: Floats
    """(classes,): of all confident images, those that it puts into each."""
    mistaken: Floats
    """(classes,): those of another class that are among them, as far as it can tell itself."""


@METRICS.register("classes", "classifier-score", "class-shares")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ScoreAndShares(Metric):
    """Classifier score (Salimans et al. 2016), class shares (Che et al. 2017; Metz et al. 2017).

    From probabilities (N, classes). score = exp(mean over x of KL(p(y | x) || p(y))): the inception
    score, with any classifier. kl = sum_c q_c log(q_c / p_c), with the shares q of fakes and p of
    real images that the classifier puts into class c; infinite if no fake is confident.
    classes_hit = classes with more confident fakes than stray into them. They see fakes of no clear
    class, and classes that are dropped or overweight. They miss everything within a class, such as
    one image repeated for each, and the score never looks at real images. They are only as good as
    the classifier is on bad fakes, hence the confidence rule.
    """

    splits: Positive = 10
    """Random parts of equal size whose scores are averaged."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Which images go into which part."""

    confidence: Probability = 0.0
    """For kl and classes_hit, images whose largest probability is below this are left out."""

    least: Probability = 0.25
    """Of a class's share of the real images, the part that its share of confident fakes must reach
    for it to be hit; and twice the share of real images that the classifier puts there by mistake,
    as its own probabilities have it, if that is more."""

    needs: ClassVar[tuple[Need, ...]] = ("probabilities",)
    better: ClassVar[Mapping[str, Better]] = {
        "score": "higher",
        "kl": "lower",
        "classes_hit": "higher",
    }
    in_inception: ClassVar[str] = "is"

    def statistics(self, real: Views) -> RealClasses | None:
        """None where the classes are not the data set's own."""
        if not real.own_classes:
            return None
        given = probabilities(real.probabilities, "real probabilities")
        counts = self._counts(given)
        if not (num := counts.sum()):
            raise UsageError(
                "real probabilities: no confident image; give more images or lower "
                "classes.confidence"
            )
        sure = given[given.max(axis=1) >= self.confidence]
        doubts = np.bincount(
            sure.argmax(axis=1), weights=1 - sure.max(axis=1), minlength=given.shape[1]
        )
        return RealClasses(counts / num, doubts / num)

    def compare(self, statistics: RealClasses | None, fakes: Views) -> Measured:
        given = probabilities(fakes.probabilities, "fake probabilities", self.splits)
        scores = self._scores(given)
        score = float(np.mean(scores))
        values, intervals = {"score": score}, {}
        if self.splits > 1:
            error = standard_error(np.array(scores))
            intervals["score"] = around(score, error, quantile_of_t(self.splits - 1))
        if statistics is not None:
            values |= self._shares(statistics, given)
        return Measured(values, intervals)

    def _scores(self, given: Floats) -> list[float]:
        order = np.random.default_rng(stream(self.seed, "splits")).permutation(len(given))
        return [
            math.exp(_divergence(part, part.mean(axis=0)).mean())
            for part in np.array_split(given[order], self.splits)
        ]

    def _shares(self, real: RealClasses, given: Floats) -> dict[str, float]:
        same_classes(given, len(real.shares))
        counts = self._counts(given)
        num = counts.sum()
        needed = np.maximum(self.least * real.shares, 2 * real.mistaken) * num
        values = {"classes_hit": float(((counts > 0) & (counts >= needed)).sum())}
        if real.shares.min() == 0:  # the divergence is infinite there, whatever the fakes are
            return values
        kl = float(_divergence((counts / num)[None], real.shares)[0]) if num else math.inf
        return {"kl": kl} | values

    def _counts(self, given: Floats) -> NDArray[np.int64]:
        sure = given[given.max(axis=1) >= self.confidence]
        return np.bincount(sure.argmax(axis=1), minlength=given.shape[1])


def _divergence(p: Floats, q: Floats) -> Floats:
    """KL(p || q) in nats for each row of p, (N, classes), against q, (classes,)."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    divergence: Floats = (p * np.log(ratio)).sum(axis=1)
    return divergence
