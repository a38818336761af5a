"""The nets of GenZoo's DCGANs for MNIST and for CIFAR-10."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from ganvas.models.fast.dropout import Dropout
from ganvas.models.layers import (
    Flatten,
    KerasBatchNorm1d,
    Logits,
    SameConv2d,
    SameConvTranspose2d,
    ToImage,
    glorot,
    num_values,
    require_multiple,
)
from ganvas.pixels import Shape
from ganvas.protocols import SampleMode
from ganvas.registry import CHECKED, MODELS


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class _GenZoo:
    """What both pairs of nets share: 5x5 kernels, BatchNorm in G alone, Keras defaults."""

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "inference"
    g_widths: ClassVar[tuple[int, ...]]
    """G's channels, from the dense layer's map on."""
    g_strides: ClassVar[tuple[int, ...]]
    """How much each of G's transposed convolutions enlarges."""
    d_widths: ClassVar[tuple[int, ...]]
    """D's channels; each convolution halves the map."""

    # Fields do not inherit docstrings, hence the descriptions.
    slope: Annotated[float, Field(ge=0, description="Slope of LeakyReLU below zero.")] = 0.3
    dropout: Annotated[
        float,
        Field(ge=0, lt=1, description="Share of values that D drops after each convolution."),
    ] = 0.5
    d_bias: Annotated[
        Literal["none", "last", "all"],
        Field(description="D's layers with a bias: none, the dense one at its end, or all."),
    ] = "none"
    output: Annotated[
        Literal["tanh", "linear"],
        Field(description="What G ends with; a linear output may leave [-1, 1]."),
    ] = "tanh"

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        self._check(shape)
        factor = num_values(self.g_strides)
        small = (self.g_widths[0], shape[1] // factor, shape[2] // factor)
        layers: list[nn.Module] = [
            nn.Linear(latent_dims, num_values(small), bias=False),
            KerasBatchNorm1d(num_values(small), eps=1e-3, momentum=0.01),
            nn.LeakyReLU(self.slope),
            ToImage(small),
        ]
        for (wide, narrow), stride in zip(pairwise(self.g_widths), self.g_strides, strict=False):
            layers += [
                SameConvTranspose2d(wide, narrow, 5, stride=stride, bias=False),
                nn.BatchNorm2d(narrow, eps=1e-3, momentum=0.01),
                nn.LeakyReLU(self.slope),
            ]
        layers.append(
            SameConvTranspose2d(
                self.g_widths[-1], shape[0], 5, stride=self.g_strides[-1], bias=False
            )
        )
        if self.output == "tanh":
            layers.append(nn.Tanh())
        return glorot(nn.Sequential(*layers))

    def discriminator(self, shape: Shape) -> nn.Module:
        self._check(shape)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((shape[0], *self.d_widths)):
            layers += [
                SameConv2d(fan_in, fan_out, 5, stride=2, bias=self.d_bias == "all"),
                nn.LeakyReLU(self.slope),
                Dropout(self.dropout),
            ]
        factor = 2 ** len(self.d_widths)
        flat = self.d_widths[-1] * (shape[1] // factor) * (shape[2] // factor)
        layers += [Flatten(), nn.Linear(flat, 1, bias=self.d_bias != "none"), Logits()]
        return glorot(nn.Sequential(*layers))

    def _check(self, shape: Shape) -> None:
        factor = num_values(self.g_strides)
        require_multiple(MODELS.name_of(self), shape, factor, least=factor)


@MODELS.register("genzoo-mnist")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class GenZooMNIST(_GenZoo):
    """DCGAN with dense ends for MNIST: 256x7x7 to 1x28x28 and back in two strides.

    Images in [-1, 1], sizes that are multiples of 4.
    Source: GenZoo (TensorFlow 1.13 / Keras, 2019), after Radford et al. 2015.
    """

    g_widths: ClassVar[tuple[int, ...]] = (256, 128, 64)
    g_strides: ClassVar[tuple[int, ...]] = (1, 2, 2)
    d_widths: ClassVar[tuple[int, ...]] = (64, 128)


@MODELS.register("genzoo-cifar10")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class GenZooCIFAR10(_GenZoo):
    """DCGAN with dense ends for CIFAR-10: 512x4x4 to 3x32x32 and back in three strides.

    Images in [-1, 1], sizes that are multiples of 8.
    Source: GenZoo (TensorFlow 1.13 / Keras, 2019), after Radford et al. 2015.
    """

    g_widths: ClassVar[tuple[int, ...]] = (512, 256, 128)
    g_strides: ClassVar[tuple[int, ...]] = (2, 2, 2)
    d_widths: ClassVar[tuple[int, ...]] = (128, 256, 512)
