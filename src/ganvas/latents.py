"""Where the generator's input comes from."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, nn

from ganvas.config import Positive
from ganvas.registry import CHECKED, LATENTS


@LATENTS.register("normal")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Normal:
    """Standard normal values.

    Source: Goodfellow et al. 2014, algorithm 1 (a noise prior); between two of them the way goes
    along the sphere (White 2016, Sampling Generative Networks, section 2).
    """

    dims: Positive = 100
    """Length of a latent vector."""

    capturable: ClassVar[bool] = True
    mean: ClassVar[float] = 0.0

    def sample(self, num: int, generator: Generator) -> Tensor:
        return torch.randn(num, self.dims, generator=generator, device=generator.device)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The point on the way from a to b along the sphere, where normal latents lie."""
        angle = torch.acos(F.cosine_similarity(a, b, dim=0).clamp(-1, 1))
        if torch.sin(angle) < 1e-3:  # parallel: no way along the sphere is the shortest
            return torch.lerp(a, b, share)
        from_a, from_b = torch.sin((1 - share) * angle), torch.sin(share * angle)
        return (from_a * a + from_b * b) / torch.sin(angle)


@LATENTS.register("uniform")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Uniform:
    """Values uniform on [low, high), with which Radford et al. 2015 (DCGAN) train."""

    dims: Positive = 100
    """Length of a latent vector."""

    low: float = -1.0
    """Smallest value."""

    high: float = 1.0
    """Largest value."""

    capturable: ClassVar[bool] = True

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    def sample(self, num: int, generator: Generator) -> Tensor:
        values = torch.rand(num, self.dims, generator=generator, device=generator.device)
        return values.mul_(self.high - self.low).add_(self.low)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        return torch.lerp(a, b, share)


@LATENTS.register("truncated-normal")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class TruncatedNormal:
    """Standard normal values, drawn again until they lie within the limit (Brock et al. 2019)."""

    dims: Positive = 100
    """Length of a latent vector."""

    limit: float = 2.0
    """Largest absolute value, in standard deviations."""

    capturable: ClassVar[bool] = False  # draws until all values are within the limit
    mean: ClassVar[float] = 0.0

    def sample(self, num: int, generator: Generator) -> Tensor:
        values = torch.empty(num, self.dims, device=generator.device)
        return nn.init.trunc_normal_(values, 0.0, 1.0, -self.limit, self.limit, generator=generator)

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        return torch.lerp(a, b, share)
