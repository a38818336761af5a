"""Nets for pictures of one's own: any size, grey or colour, with classes or without."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.config import Positive
from ganvas.models.layers import (
    Flatten,
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

SMALLEST, LARGEST = 8, 256
"""Pixels a side."""


@MODELS.register("modern")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Modern:
    """Convolutions up and down by halves, with a dense layer at the small end of each net.

    Images in [-1, 1] of 8 to 256 pixels a side, odd ones and oblong ones too. Source: our own, from
    measurements of what a few minutes on a processor buy; after DCGAN (Radford et al. 2015).
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "batch"

    width: Positive = 32
    """Channels of D's first convolution; each halving doubles them, and G has twice as many."""

    most: Positive = 256
    """Channels of a convolution at most."""

    depth: Annotated[int, Field(ge=0, le=4)] = 0
    """3x3 convolutions at each size besides those that change it."""

    dense: Annotated[int, Field(ge=0)] = 512
    """Units of the hidden dense layer at the small end of each net; 0: none."""

    norm: Literal["both", "generator", "none"] = "both"
    """Which nets have BatchNorm before their activations; penalties on D's gradients go with a D
    that has none."""

    down: Literal["stride", "pool"] = "stride"
    """How D halves: 4x4 convolutions of stride 2, or 5x5 ones without margins and max pooling,
    which see more and take longer."""

    labels: bool = False
    """Tell both nets the class of an image: G by an embedding beside the latent, D by a projection
    (Miyato & Koyama 2018, equation 5)."""

    embedding: Positive = 32
    """Values that stand for a class in G."""

    @property
    def takes_labels(self) -> bool:
        return self.labels

    def generator(self, shape: Shape, latent_dims: int, num_classes: int = 0) -> nn.Module:
        sizes = self._sizes(shape)[::-1]
        widths = [min(self.most, 2 * self.width << i) for i in range(len(sizes) - 1)][::-1]
        small = (widths[0], *sizes[0])
        fan_in = latent_dims + (self.embedding if num_classes else 0)
        normed = self.norm != "none"
        layers: list[nn.Module] = []
        if self.dense:
            layers += [nn.Linear(fan_in, self.dense, bias=not normed)]
            layers += [*([nn.BatchNorm1d(self.dense)] if normed else []), nn.ReLU()]
            fan_in = self.dense
        layers += [nn.Linear(fan_in, num_values(small), bias=not normed), ToImage(small)]
        for i, width in enumerate(widths):
            layers += [*([nn.BatchNorm2d(width)] if normed else []), nn.ReLU()]
            layers += self._extra(width, nn.ReLU(), normed)
            is_last = i == len(widths) - 1
            channels = shape[0] if is_last else widths[i + 1]
            bias = is_last or not normed
            layers += [SameConvTranspose2d(width, channels, 4, stride=2, bias=bias)]
            if sizes[i + 1] != tuple(2 * side for side in sizes[i]):
                layers += [Crop(*sizes[i + 1])]
        net = nn.Sequential(*layers, nn.Tanh())
        if not normed:
            _keeps_size(net, 0.0)
        return Conditional(net, num_classes, self.embedding) if num_classes else net

    def discriminator(self, shape: Shape, num_classes: int = 0) -> nn.Module:
        sizes = self._sizes(shape) if self.down == "stride" else self._pooled_sizes(shape)
        channels = shape[0]
        layers: list[nn.Module] = []
        for i in range(len(sizes) - 1):
            width = min(self.most, self.width << i)
            # not after the first, or D could not see how bright an image is
            normed = i > 0 and self.norm == "both"
            layers += self._halved(channels, width, normed)
            layers += self._extra(width, nn.LeakyReLU(0.2), normed)
            channels = width
        flat = channels * math.prod(sizes[-1])
        ends: list[nn.Module] = [Flatten()]
        if self.dense:
            ends += [nn.Linear(flat, self.dense), nn.LeakyReLU(0.2)]
        ends += [nn.Linear(self.dense or flat, 1), Logits()]
        if self.norm == "none":
            _keeps_size(nn.Sequential(*layers, *ends), 0.2)
        if num_classes:
            return Projection(nn.Sequential(*layers), nn.Sequential(*ends), channels, num_classes)
        return nn.Sequential(*layers, *ends)

    def _sizes(self, shape: Shape) -> list[tuple[int, int]]:
        """Heights and widths from the images' down to the smallest map, each half of the last."""
        if not all(SMALLEST <= side <= LARGEST for side in shape[1:]):
            height, width = (min(max(side, SMALLEST), LARGEST) for side in shape[1:])
            allowed = f"height and width must be {SMALLEST} to {LARGEST}"
            raise wrong_size(MODELS.name_of(self), shape, allowed, f"{height}x{width}")
        sizes = [(shape[1], shape[2])]
        while min(sizes[-1]) > 7:
            height, width = sizes[-1]
            sizes.append((math.ceil(height / 2), math.ceil(width / 2)))
        return sizes

    def _pooled_sizes(self, shape: Shape) -> list[tuple[int, int]]:
        """D's sizes where it pools: without a margin of 2 pixels all round, then half."""
        sizes = [self._sizes(shape)[0]]
        while min(sizes[-1]) >= SMALLEST:
            height, width = sizes[-1]
            sizes.append(((height - 4) // 2, (width - 4) // 2))
        return sizes

    def _halved(self, fan_in: int, width: int, normed: bool) -> list[nn.Module]:
        """A block of D that halves the size."""
        after = [*([nn.BatchNorm2d(width)] if normed else []), nn.LeakyReLU(0.2)]
        if self.down == "stride":
            return [SameConv2d(fan_in, width, 4, stride=2, bias=not normed), *after]
        return [nn.Conv2d(fan_in, width, 5, bias=not normed), *after, nn.MaxPool2d(2)]

    def _extra(self, width: int, activation: nn.Module, normed: bool) -> list[nn.Module]:
        """Convolutions that keep the size."""
        found: list[nn.Module] = []
        for _ in range(self.depth):
            found += [SameConv2d(width, width, 3, bias=not normed)]
            found += [*([nn.BatchNorm2d(width)] if normed else []), activation]
        return found


class Crop(nn.Module):
    """(N, C, H, W) -> its first `height` rows and `width` columns."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.height, : self.width]

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}"


class Conditional(nn.Module):
    """G with classes: (N, dims) latents and class indices (N,) -> images of these classes."""

    def __init__(self, net: nn.Module, num_classes: int, dims: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(num_classes, dims)
        self.net = net

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.net(torch.cat([z, self.classes(labels)], dim=1))
        return images


class Projection(nn.Module):
    """D with classes: how real an image is, and how much of its class (Miyato & Koyama 2018).

    (N, C, H, W) images and class indices (N,) -> logits (N,).
    """

    def __init__(
        self, features: nn.Module, ends: nn.Module, channels: int, num_classes: int
    ) -> None:
        super().__init__()
        self.features = features
        self.ends = ends
        self.classes = nn.Embedding(num_classes, channels)
        nn.init.normal_(self.classes.weight, std=1 / math.sqrt(channels))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        maps = self.features(images)
        logits: Tensor = self.ends(maps)
        of_class: Tensor = (maps.mean(dim=(2, 3)) * self.classes(labels)).sum(dim=1)
        return logits + of_class


def _keeps_size(net: nn.Module, slope: float) -> None:
    """Normal weights that keep the size of values without a normalisation (He et al. 2015).

    Half of a leaky ReLU's values shrink by `slope`. Of a transposed convolution of stride 2 a
    quarter of the kernel meets each pixel that comes out.
    """
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):
                fan_in = module.in_channels * module.weight[0, 0].numel() // 4
            nn.init.normal_(module.weight, std=math.sqrt(2 / ((1 + slope**2) * fan_in)))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
