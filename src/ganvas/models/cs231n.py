"""The nets of the CS231n assignment on GANs: vanilla and least squares (dense), DCGAN."""

from __future__ import annotations

from typing import ClassVar

from pydantic.dataclasses import dataclass
from torch import nn

from ganvas.models.layers import (
    Flatten,
    Logits,
    SameConvTranspose2d,
    ToImage,
    num_values,
    require_multiple,
)
from ganvas.pixels import Shape
from ganvas.protocols import SampleMode
from ganvas.registry import CHECKED, MODELS


@MODELS.register("cs231n-dense")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class CS231nDense:
    """Fully connected G and D of CS231n's vanilla GAN and LSGAN.

    Source: Stanford CS231n (2017), assignment 3, generative adversarial networks.
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "inference"

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(latent_dims, 1024),
            nn.ReLU(),
            nn.Linear(1024, 1024),
            nn.ReLU(),
            nn.Linear(1024, num_values(shape)),
            nn.Tanh(),
            ToImage(shape),
        )

    def discriminator(self, shape: Shape) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(num_values(shape), 256),
            nn.LeakyReLU(0.01),
            nn.Linear(256, 256),
            nn.LeakyReLU(0.01),
            nn.Linear(256, 1),
            Logits(),
        )


@MODELS.register("cs231n-dcgan")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class CS231nDCGAN:
    """Convolutional G after InfoGAN with BatchNorm after the ReLU, D with max pooling.

    Images in [-1, 1], sizes that are multiples of 4, from 16.
    Source: Stanford CS231n (2017), assignment 3, generative adversarial networks; its G is that of
    InfoGAN, appendix C.1 (Chen et al. 2016).
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "batch"

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        self._check(shape)
        channels, height, width = shape
        small = (128, height // 4, width // 4)
        return _xavier(
            nn.Sequential(
                nn.Linear(latent_dims, 1024),
                nn.ReLU(),
                nn.BatchNorm1d(1024),
                nn.Linear(1024, num_values(small)),
                nn.ReLU(),
                nn.BatchNorm1d(num_values(small)),
                ToImage(small),
                SameConvTranspose2d(128, 64, 4, stride=2),
                nn.ReLU(),
                nn.BatchNorm2d(64),
                SameConvTranspose2d(64, channels, 4, stride=2),
                nn.Tanh(),
            )
        )

    def discriminator(self, shape: Shape) -> nn.Module:
        self._check(shape)
        channels, height, width = shape
        flat = 64 * (height // 4 - 3) * (width // 4 - 3)  # each convolution takes 4 pixels a side
        return _xavier(
            nn.Sequential(
                nn.Conv2d(channels, 32, 5),
                nn.LeakyReLU(0.01),
                nn.MaxPool2d(2),
                nn.Conv2d(32, 64, 5),
                nn.LeakyReLU(0.01),
                nn.MaxPool2d(2),
                Flatten(),
                nn.Linear(flat, 1024),
                nn.LeakyReLU(0.01),
                nn.Linear(1024, 1),
                Logits(),
            )
        )

    def _check(self, shape: Shape) -> None:
        require_multiple(MODELS.name_of(self), shape, 4, least=16)


def _xavier(net: nn.Module) -> nn.Module:
    """Xavier weights for dense and transposed convolutions; the rest stays as PyTorch made it."""
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(module.weight)
    return net
