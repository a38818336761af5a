"""Penalties on D's gradients, added to its loss.

Each is proportional to its `weight`, which may be a ramp. Norms of a gradient are those of a whole
image, and means go over the batch. `judge` gives D's logits through all that lies before D, so that
with an augmentation the gradient is that at the images before it.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.batch import Batch
from ganvas.config import Amount, Ramp
from ganvas.protocols import Judge
from ganvas.registry import CHECKED, PENALTIES


@PENALTIES.register("none")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NoPenalty:
    """Nothing is added to D's loss (Goodfellow et al. 2014, algorithm 1)."""

    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> float:
        return 0.0


@PENALTIES.register("r1")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class R1:
    """weight / 2 * E |grad D(x)|^2 at real images x (Mescheder et al. 2018, equation 9)."""

    weight: Amount = 1.0
    """The paper's gamma; it grows with the number of pixels, and may change on the way."""

    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> Tensor:
        return _number(self.weight) / 2 * squared_gradients(judge, real).mean()


@PENALTIES.register("r1-r2")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class R1R2:
    """R1 and the same at fakes, R2 (Mescheder et al. 2018, equations 9 and 10)."""

    weight: Amount = 1.0
    """The paper's gamma, of both; it may change on the way."""

    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> Tensor:
        at_reals, at_fakes = squared_gradients(judge, real), squared_gradients(judge, fake)
        return _number(self.weight) / 2 * (at_reals.mean() + at_fakes.mean())


@PENALTIES.register("gradient-penalty")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class GradientPenalty:
    """weight * E (|grad D(x)| - 1)^2 between reals and fakes (Gulrajani et al. 2017, equation 3).

    The places x are drawn evenly on lines from a real image to a fake; with labels a line lies
    within a class.
    """

    weight: Amount = 10.0
    """The paper's lambda; it may change on the way."""

    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> Tensor:
        share = torch.rand_like(real.images[:, :1, :1, :1])
        end = fake.images.to(real.images.dtype)
        between = Batch(torch.lerp(real.images, end, share), real.labels)
        # the root's gradient is infinite at 0
        norms = (squared_gradients(judge, between) + 1e-12).sqrt()
        return _number(self.weight) * (norms - 1).square().mean()


@PENALTIES.register("finite-difference")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class FiniteDifference:
    """R1 and R2 from differences: weight * E (D(x + e) - D(x))^2, e normal of spread `sigma`.

    Approximated R1 (Lin et al. 2025, equation 4), at reals and at fakes. For small steps it is
    weight * sigma^2 * E |grad D(x)|^2, without a gradient of gradients.
    """

    weight: Amount = 100.0
    """The paper's lambda; gamma / (2 sigma^2) comes to `r1-r2` with gamma. It may be a ramp."""

    sigma: Annotated[float, Field(gt=0)] = 0.01
    """Standard deviation of the step, in units of pixel values."""

    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> Tensor:
        differences = (self._squared(judge, real), self._squared(judge, fake))
        return _number(self.weight) * (differences[0] + differences[1])

    def _squared(self, judge: Judge, batch: Batch) -> Tensor:
        moved = batch.images + self.sigma * torch.randn_like(batch.images)
        return (judge(Batch(moved, batch.labels)) - judge(batch)).square().mean()


def _number(weight: float | Ramp) -> float:
    assert not isinstance(weight, Ramp), "training follows a ramp and asks for weight 1"
    return weight


def squared_gradients(judge: Judge, batch: Batch) -> Tensor:
    """(N,): the squared norm of D's gradient at each image, differentiable by D's weights."""
    at = batch.with_gradient()
    (gradient,) = torch.autograd.grad(judge(at).sum(), at.images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))
