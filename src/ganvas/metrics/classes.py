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
from ganvas.metrics.inputs import Better, Floats, Values, probabilities
from ganvas.registry import CHECKED, METRICS
from ganvas.seeds import stream


@plain(frozen=True)
class Score:
    """A classifier score, from 1 to the number of classes."""

    score: float
    """Mean over the splits."""
    spread: float
    """Standard deviation over the splits."""


@plain(frozen=True)
class Shares:
    """How the fakes spread over the classes."""

    kl: float
    """KL(fake shares || real shares) in nats; infinite if no fake is confident."""
    classes_hit: int
    """Classes with enough confident fakes."""
    confident: float
    """Share of fakes that pass the confidence rule."""


@METRICS.register("classifier-score")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ClassifierScore:
    """Classifier score (Salimans et al. 2016, section 4): inception score, any classifier.

    exp(mean over x of KL(p(y | x) || p(y))), from probabilities (N, classes). It sees fakes of no
    clear class and classes that are missing. It misses everything within a class, such as one
    image repeated for each class, and it never looks at real images.
    """

    splits: Positive = 10
    """Random parts of equal size whose scores are averaged."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Which images go into which part."""

    better: ClassVar[Mapping[str, Better]] = {"score": "higher"}

    def measure(self, fake: Values) -> Score:
        """The score of the fakes' probabilities (N, classes).

        Raises:
            UsageError: fewer images than splits, or rows that are no distributions.
        """
        given = probabilities(fake, "fake probabilities", self.splits)
        order = np.random.default_rng(stream(self.seed, "splits")).permutation(len(given))
        scores = [
            math.exp(_divergence(part, part.mean(axis=0)).mean())
            for part in np.array_split(given[order], self.splits)
        ]
        return Score(float(np.mean(scores)), float(np.std(scores)))


@METRICS.register("class-shares")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ClassShares:
    """KL of class shares and classes hit (Che et al. 2017; Metz et al. 2017, section 3.3).

    sum_c q_c log(q_c / p_c), with the shares q of fakes and p of real images that the classifier
    puts into class c. It sees dropped and overweight classes. It misses everything within a class,
    and it is only as good as the classifier is on bad fakes, hence the confidence rule.
    """

    confidence: Probability = 0.0
    """Fakes and real images whose largest probability is below this are left out."""

    hits: Positive = 1
    """Confident fakes that make a class count as hit."""

    better: ClassVar[Mapping[str, Better]] = {
        "kl": "lower",
        "classes_hit": "higher",
        "confident": "higher",
    }

    def measure(self, real: Values, fake: Values) -> Shares:
        """From the probabilities of real images (N, classes) and of fakes (M, classes).

        Raises:
            UsageError: a class with no confident real image, rows that are no distributions, or
                sets with different numbers of classes.
        """
        p, q = (
            probabilities(values, f"{what} probabilities")
            for values, what in ((real, "real"), (fake, "fake"))
        )
        if p.shape[1] != q.shape[1]:
            raise UsageError(
                f"fake probabilities: found {q.shape[1]} classes, {p.shape[1]} for real images; "
                "take both from the same classifier"
            )
        real_counts, fake_counts = self._counts(p), self._counts(q)
        if real_counts.min() == 0:
            raise UsageError(
                f"real probabilities: no confident image in {(real_counts == 0).sum()} of "
                f"{len(real_counts)} classes; give more images or lower class-shares.confidence"
            )
        kl = math.inf
        if num := fake_counts.sum():
            shares = fake_counts / num
            kl = float(_divergence(shares[None], real_counts / real_counts.sum())[0])
        return Shares(kl, int((fake_counts >= self.hits).sum()), float(num / len(q)))

    def _counts(self, given: Floats) -> NDArray[np.int64]:
        sure = given[given.max(axis=1) >= self.confidence]
        return np.bincount(sure.argmax(axis=1), minlength=given.shape[1])


def _divergence(p: Floats, q: Floats) -> Floats:
    """KL(p || q) in nats for each row of p, (N, classes), against q, (classes,)."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    divergence: Floats = (p * np.log(ratio)).sum(axis=1)
    return divergence
