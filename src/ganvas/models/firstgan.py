"""The nets of FirstGAN: vanilla (dense) and DCGAN."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass
from torch import nn

from ganvas.models.fast.dropout import Dropout
from ganvas.models.layers import (
    Logits,
    SameConv2d,
    SameConvTranspose2d,
    ToImage,
    num_values,
    wrong_size,
)
from ganvas.pixels import Shape
from ganvas.protocols import SampleMode
from ganvas.registry import CHECKED, MODELS


@MODELS.register("firstgan-dense")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class FirstGANDense:
    """Fully connected G without BatchNorm, D with dropout after each hidden layer.

    Images in [-1, 1], of any size. PyTorch's own initialisation.
    Source: FirstGAN, vanilla GAN (PyTorch, 2024), after Goodfellow et al. 2014.
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "inference"

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((latent_dims, 256, 512, 1024)):
            layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, nn.Linear(1024, num_values(shape)), nn.Tanh(), ToImage(shape))

    def discriminator(self, shape: Shape) -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, fan_out in pairwise((num_values(shape), 1024, 512, 256)):
            layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU(0.2), Dropout(0.3)]
        return nn.Sequential(*layers, nn.Linear(256, 1), Logits())


@MODELS.register("firstgan-dcgan")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class FirstGANDCGAN:
    """DCGAN: strided convolutions without biases, BatchNorm in both nets.

    Images in [-1, 1], square, with a power of two from 16 as their side: from 4x4 each doubling
    halves the channels, and 64 channels are left before the last one.
    Source: FirstGAN, DCGAN (PyTorch, 2024), after Radford et al. 2015.
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "batch"

    init: Literal["normal", "default"] = "normal"
    """Weights from N(0, 0.02), BatchNorm's from N(1, 0.02) (the paper's); or PyTorch's own."""

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        widths = self._widths(shape)[::-1]
        layers: list[nn.Module] = [
            ToImage((latent_dims, 1, 1)),
            nn.ConvTranspose2d(latent_dims, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for wide, narrow in pairwise(widths):
            layers += [
                SameConvTranspose2d(wide, narrow, 4, stride=2, bias=False),
                nn.BatchNorm2d(narrow),
                nn.ReLU(),
            ]
        layers += [
            SameConvTranspose2d(widths[-1], shape[0], 4, stride=2, bias=False),
            nn.Tanh(),
        ]
        return self._initialised(nn.Sequential(*layers))

    def discriminator(self, shape: Shape) -> nn.Module:
        widths = self._widths(shape)
        layers: list[nn.Module] = [
            SameConv2d(shape[0], widths[0], 4, stride=2, bias=False),
            nn.LeakyReLU(0.2),
        ]
        for narrow, wide in pairwise(widths):
            layers += [
                SameConv2d(narrow, wide, 4, stride=2, bias=False),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(0.2),
            ]
        layers += [nn.Conv2d(widths[-1], 1, 4, bias=False), Logits()]
        return self._initialised(nn.Sequential(*layers))

    def _widths(self, shape: Shape) -> list[int]:
        """D's channels from the image down to 4x4: 64, 128, 256, 512 for 64x64 images."""
        _, height, width = shape
        if height != width or height < 16 or height & (height - 1):
            allowed = "they must be square, with a power of two from 16 as their side"
            side = max(16, 1 << (max(height, width) - 1).bit_length())
            raise wrong_size(MODELS.name_of(self), shape, allowed, str(side))
        return [64 * 2**level for level in range(height.bit_length() - 3)]

    def _initialised(self, net: nn.Module) -> nn.Module:
        if self.init == "default":
            return net
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
                nn.init.zeros_(module.bias)
        return net
