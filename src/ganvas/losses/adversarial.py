"""The adversarial losses: logits in, a scalar out; a higher logit means more real."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.config import Probability
from ganvas.registry import CHECKED, LOSSES


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Smoothable(ABC):
    """A loss against target labels, which can be smoothed (Salimans et al. 2016, section 3.4)."""

    # Fields do not inherit docstrings, hence the descriptions.
    real_target: Annotated[Probability, Field(description="D's target for real images.")] = 1.0

    fake_target: Annotated[Probability, Field(description="D's target for fake images.")] = 0.0

    generator_target: Annotated[
        Probability, Field(description="What G wants D to say of its images.")
    ] = 1.0

    flip: Annotated[
        bool, Field(description="Train with 1 - target, so that D says how fake an image is.")
    ] = False

    d_scale: Annotated[
        float,
        Field(
            gt=0,
            description="Factor on D's loss; 0.5 makes the sum of the two means their average.",
        ),
    ] = 1.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss, a scalar, from its logits (N,) on real and on fake images."""
        return self.d_scale * (self.on_real(real) + self.on_fake(fake))

    def on_real(self, logits: Tensor) -> Tensor:
        """The real images' share of D's loss, unscaled."""
        return self.distance(logits, self.label(self.real_target))

    def on_fake(self, logits: Tensor) -> Tensor:
        """The fake images' share of D's loss, unscaled."""
        return self.distance(logits, self.label(self.fake_target))

    def label(self, target: float) -> float:
        return 1.0 - target if self.flip else target

    @abstractmethod
    def distance(self, logits: Tensor, target: float) -> Tensor:
        """Mean distance between D's logits and a target in [0, 1]."""

    @abstractmethod
    def generator(self, fake: Tensor) -> Tensor:
        """G's loss, a scalar, from D's logits on fake images."""

    @abstractmethod
    def output(self, logits: Tensor) -> Tensor:
        """What D's logits mean to a reader: a probability or a score."""


def bce(logits: Tensor, target: float) -> Tensor:
    """Mean binary cross entropy of sigmoid(logits): -t log D - (1 - t) log(1 - D)."""
    return F.softplus(logits).mean() - target * logits.mean()


@LOSSES.register("non-saturating")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NonSaturating(Smoothable):
    """Binary cross entropy; G maximises log D(G(z)) (Goodfellow et al. 2014, section 3)."""

    def distance(self, logits: Tensor, target: float) -> Tensor:
        return bce(logits, target)

    def generator(self, fake: Tensor) -> Tensor:
        return bce(fake, self.label(self.generator_target))

    def output(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(-logits if self.flip else logits)


@LOSSES.register("saturating")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Saturating(Smoothable):
    """The minimax game: G minimises log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1)."""

    def distance(self, logits: Tensor, target: float) -> Tensor:
        return bce(logits, target)

    def generator(self, fake: Tensor) -> Tensor:
        return -bce(fake, self.label(1.0 - self.generator_target))

    def output(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(-logits if self.flip else logits)


@LOSSES.register("least-squares")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class LeastSquares(Smoothable):
    """Least squares on raw scores, each term weighted 0.5 (Mao et al. 2017, equation 9)."""

    def distance(self, logits: Tensor, target: float) -> Tensor:
        return 0.5 * (logits - target).square().mean()

    def generator(self, fake: Tensor) -> Tensor:
        return self.distance(fake, self.label(self.generator_target))

    def output(self, logits: Tensor) -> Tensor:
        return 1.0 - logits if self.flip else logits


@LOSSES.register("hinge")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Hinge:
    """D is pushed until reals score 1 and fakes -1 (Lim & Ye 2017; Miyato et al. 2018, eq. 16)."""

    margin: Annotated[float, Field(gt=0)] = 1.0
    """Distance from zero beyond which D is no longer pushed."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.on_real(real) + self.on_fake(fake)

    def on_real(self, logits: Tensor) -> Tensor:
        return F.relu(self.margin - logits).mean()

    def on_fake(self, logits: Tensor) -> Tensor:
        return F.relu(self.margin + logits).mean()

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.mean()

    def output(self, logits: Tensor) -> Tensor:
        return logits


@LOSSES.register("wasserstein")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Wasserstein:
    """The difference of mean scores (Arjovsky et al. 2017, equation 2).

    It bounds a distance only while D is Lipschitz: take the penalty `gradient-penalty`.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.on_real(real) + self.on_fake(fake)

    def on_real(self, logits: Tensor) -> Tensor:
        return -logits.mean()

    def on_fake(self, logits: Tensor) -> Tensor:
        return logits.mean()

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.mean()

    def output(self, logits: Tensor) -> Tensor:
        return logits
