"""Small dense nets that draw legible digits within a minute on a laptop's processor."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.config import Positive
from ganvas.models.fast.dropout import Dropout
from ganvas.models.layers import Logits, ToImage, num_values
from ganvas.pixels import Shape
from ganvas.protocols import SampleMode
from ganvas.registry import CHECKED, MODELS


class Smooth(nn.Module):
    """(N, C, H, W) -> the same shape, each channel smoothed by the binomial kernel [1 2 1] / 4.

    A dense layer paints each pixel on its own; this takes the speckle out.
    """

    def forward(self, x: Tensor) -> Tensor:
        for dim in (2, 3):  # by slices: a convolution's kernels are slow for a single channel
            margins = (0, 0, 1, 1) if dim == 2 else (1, 1)
            before, after = (F.pad(x, margins).narrow(dim, i, x.shape[dim]) for i in (0, 2))
            x = 0.5 * x + 0.25 * (before + after)
        return x


@MODELS.register("quickstart")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Quickstart:
    """Two hidden layers in each net, BatchNorm in G, dropout in D, a smoothed output.

    Source: our own, after Goodfellow et al. 2014; BatchNorm in G after Radford et al. 2015.
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "inference"

    width: Positive = 256
    """Units in the smaller hidden layer; the other has twice as many."""

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((latent_dims, self.width, 2 * self.width)):
            layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.ReLU()]
        layers += [
            nn.Linear(2 * self.width, num_values(shape)),
            ToImage(shape),
            Smooth(),
            nn.Tanh(),
        ]
        return nn.Sequential(*layers)

    def discriminator(self, shape: Shape) -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in pairwise((num_values(shape), 2 * self.width, self.width)):
            layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU(0.2), Dropout(0.3)]
        return nn.Sequential(*layers, nn.Linear(self.width, 1), Logits())
