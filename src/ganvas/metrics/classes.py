"""What a classifier makes of the fakes: are they clear, and are all classes there?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive, Probability
from ganvas.errors import UsageError
from ganvas.metrics.inputs import Better, Floats, probabilities
from ganvas.metrics.interval import around
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS
from ganvas.seeds import stream


@METRICS.register("classes", "classifier-score", "class-shares")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ScoreAndShares(Metric):
    """Classifier score (Salimans et al. 2016), class shares (Che et al. 2017; Metz et al. 2017).

    From probabilities (N, classes). score = exp(mean over x of KL(p(y | x) || p(y))): the inception
    score, with any classifier. kl = sum_c q_c log(q_c / p_c), with the shares q of fakes and p of
    real images that the classifier puts into class c; infinite if no fake is confident.
    classes_hit = classes with enough confident fakes. They see fakes of no clear class, and classes
    that are dropped or overweight. They miss everything within a class, such as one image repeated
    for each, and the score never looks at real images. They are only as good as the classifier is
    on bad fakes, hence the confidence rule.
    """

    splits: Positive = 10
    """Random parts of equal size whose scores are averaged."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Which images go into which part."""

    confidence: Probability = 0.0
    """For kl and classes_hit, images whose largest probability is below this are left out."""

    hits: Positive = 1
    """Confident fakes that make a class count as hit."""

    needs: ClassVar[tuple[Need, ...]] = ("probabilities",)
    better: ClassVar[Mapping[str, Better]] = {
        "score": "higher",
        "kl": "lower",
        "classes_hit": "higher",
    }
    in_inception: ClassVar[str] = "is"

    def statistics(self, real: Views) -> Floats | None:
        """The shares of the classes, (classes,); None where they are not the data set's own."""
        if not real.own_classes:
            return None
        counts = self._counts(probabilities(real.probabilities, "real probabilities"))
        if counts.min() == 0:
            raise UsageError(
                f"real probabilities: no confident image in {(counts == 0).sum()} of "
                f"{len(counts)} classes; give more images or lower classes.confidence"
            )
        shares: Floats = counts / counts.sum()
        return shares

    def compare(self, statistics: Floats | None, fakes: Views) -> Measured:
        given = probabilities(fakes.probabilities, "fake probabilities", self.splits)
        scores = self._scores(given)
        score = float(np.mean(scores))
        interval = around(score, float(np.std(scores)) / math.sqrt(self.splits))
        values = {"score": score}
        if statistics is not None:
            values |= self._shares(statistics, given)
        return Measured(values, {"score": interval})

    def _scores(self, given: Floats) -> list[float]:
        order = np.random.default_rng(stream(self.seed, "splits")).permutation(len(given))
        return [
            math.exp(_divergence(part, part.mean(axis=0)).mean())
            for part in np.array_split(given[order], self.splits)
        ]

    def _shares(self, real: Floats, given: Floats) -> dict[str, float]:
        if given.shape[1] != len(real):
            raise UsageError(
                f"fake probabilities: found {given.shape[1]} classes, {len(real)} for real "
                "images; take both from the same classifier"
            )
        counts = self._counts(given)
        kl = math.inf
        if num := counts.sum():
            kl = float(_divergence((counts / num)[None], real)[0])
        return {"kl": kl, "classes_hit": float((counts >= self.hits).sum())}

    def _counts(self, given: Floats) -> NDArray[np.int64]:
        sure = given[given.max(axis=1) >= self.confidence]
        return np.bincount(sure.argmax(axis=1), minlength=given.shape[1])


def _divergence(p: Floats, q: Floats) -> Floats:
    """KL(p || q) in nats for each row of p, (N, classes), against q, (classes,)."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    divergence: Floats = (p * np.log(ratio)).sum(axis=1)
    return divergence
