"""Nets for pictures of one's own: any size, grey or colour, with classes or without."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.config import Positive, Share
from ganvas.models.layers import (
    ClassEmbedding,
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
    measurements of what a few minutes on a processor buy; after InfoGAN's (Chen et al. 2016).
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "batch"

    width: Positive = 16
    """Channels of D's first convolution; each halving doubles them, and G has twice as many."""

    most: Positive = 256
    """Channels of a convolution at most."""

    depth: Annotated[int, Field(ge=0, le=4)] = 0
    """3x3 convolutions at each size besides those that change it."""

    dense: Annotated[int, Field(ge=0)] = 512
    """Units of the hidden dense layer at the small end of each net; 0: none."""

    norm: Literal["both", "generator", "none"] = "generator"
    """Which nets have BatchNorm, after their activations. Penalties on D's gradients go with a D
    that has none."""

    down: Literal["pool", "stride"] = "pool"
    """How D halves: 5x5 convolutions without margins and max pooling, or 4x4 ones of stride 2,
    which are faster and see less."""

    slope: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """What D's leaky ReLUs leave of negative values."""

    labels: Literal["off", "on", "auto"] = "off"
    """Tell both nets the class of an image: G by an embedding beside the latent, D by a projection
    (Miyato & Koyama 2018, equation 5). auto: if the images have classes, and enough of each."""

    embedding: Positive = 32
    """Values that stand for a class in G."""

    label_fade: Share = 1.0
    """How much both nets are told of the class, as a ramp such as '0 to 1 from 10 % to 40 %': G's
    embedding and D's projection times so much. From nothing to all of it few images train better
    than with classes from the start (Shahbazi et al. 2022, section 4)."""

    @property
    def takes_labels(self) -> bool:
        return self.labels != "off"

    def generator(self, shape: Shape, latent_dims: int, num_classes: int = 0) -> nn.Module:
        sizes = self._sizes(shape)[::-1]
        widths = [min(self.most, 2 * self.width << i) for i in range(len(sizes) - 1)][::-1]
        small = (widths[0], *sizes[0])
        fan_in = latent_dims + (self.embedding if num_classes else 0)
        normed = self.norm != "none"
        layers: list[nn.Module] = []
        if self.dense:
            layers += [nn.Linear(fan_in, self.dense), nn.ReLU()]
            layers += [nn.BatchNorm1d(self.dense)] if normed else []
            fan_in = self.dense
        layers += [nn.Linear(fan_in, num_values(small)), nn.ReLU()]
        # a unit of the dense layer paints one place, so each has statistics of its own
        layers += [nn.BatchNorm1d(num_values(small))] if normed else []
        layers += [ToImage(small), *self._extra(widths[0], nn.ReLU(), normed)]
        for i, (width, wider) in enumerate(zip(widths[1:], widths[:-1], strict=True), 1):
            layers += [SameConvTranspose2d(wider, width, 4, stride=2), *_crop(sizes[i - 1 : i + 1])]
            layers += [nn.ReLU(), *([nn.BatchNorm2d(width)] if normed else [])]
            layers += self._extra(width, nn.ReLU(), normed)
        layers += [SameConvTranspose2d(widths[-1], shape[0], 4, stride=2), *_crop(sizes[-2:])]
        net = _started(nn.Sequential(*layers, nn.Tanh()), 0.0, normed)
        if not num_classes:
            return net
        return Conditional(net, num_classes, self.embedding, fades=self._fades)

    def discriminator(self, shape: Shape, num_classes: int = 0) -> nn.Module:
        sizes = self._sizes(shape) if self.down == "stride" else self._pooled_sizes(shape)
        channels = shape[0]
        layers: list[nn.Module] = []
        for i in range(len(sizes) - 1):
            width = min(self.most, self.width << i)
            # not after the first, or D could not see how bright an image is
            normed = i > 0 and self.norm == "both"
            layers += self._halved(channels, width, normed)
            layers += self._extra(width, nn.LeakyReLU(self.slope), normed)
            channels = width
        flat = channels * math.prod(sizes[-1])
        layers += [Flatten()]
        if self.dense:
            layers += [nn.Linear(flat, self.dense), nn.LeakyReLU(self.slope)]
            flat = self.dense
        end = [nn.Linear(flat, 1), Logits()]
        net = _started(nn.Sequential(*layers, *end), self.slope, self.norm != "none")
        return Projection(net, flat, num_classes, fades=self._fades) if num_classes else net

    @property
    def _fades(self) -> bool:
        return self.label_fade != 1.0

    def _sizes(self, shape: Shape) -> list[tuple[int, int]]:
        return halves(MODELS.name_of(self), shape)

    def _pooled_sizes(self, shape: Shape) -> list[tuple[int, int]]:
        """D's sizes where it pools: without a margin of 2 pixels all round, then half."""
        sizes = [self._sizes(shape)[0]]
        while min(sizes[-1]) >= SMALLEST:
            height, width = sizes[-1]
            sizes.append(((height - 4) // 2, (width - 4) // 2))
        return sizes

    def _halved(self, fan_in: int, width: int, normed: bool) -> list[nn.Module]:
        """A block of D that halves the size."""
        after = [nn.LeakyReLU(self.slope), *([nn.BatchNorm2d(width)] if normed else [])]
        if self.down == "stride":
            return [SameConv2d(fan_in, width, 4, stride=2), *after]
        return [nn.Conv2d(fan_in, width, 5), *after, nn.MaxPool2d(2)]

    def _extra(self, width: int, activation: nn.Module, normed: bool) -> list[nn.Module]:
        """Convolutions that keep the size."""
        found: list[nn.Module] = []
        for _ in range(self.depth):
            found += [SameConv2d(width, width, 3), activation]
            found += [nn.BatchNorm2d(width)] if normed else []
        return found


def halves(model: str, shape: Shape) -> list[tuple[int, int]]:
    """Heights and widths from the images' down to the smallest map, each half of the last.

    Raises:
        UsageError: the images have a side below SMALLEST or above LARGEST.
    """
    if not all(SMALLEST <= side <= LARGEST for side in shape[1:]):
        height, width = (min(max(side, SMALLEST), LARGEST) for side in shape[1:])
        allowed = f"height and width must be {SMALLEST} to {LARGEST}"
        raise wrong_size(model, shape, allowed, f"{height}x{width}")
    sizes = [(shape[1], shape[2])]
    while min(sizes[-1]) > 7:
        height, width = sizes[-1]
        sizes.append((math.ceil(height / 2), math.ceil(width / 2)))
    return sizes


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
    """G with classes: (N, dims) latents and class indices (N,) -> images of these classes.

    In place of indices also how much of each class is meant, (N, classes).
    """

    def __init__(self, net: nn.Module, num_classes: int, dims: int, *, fades: bool = False) -> None:
        super().__init__()
        self.net = net
        self.classes = ClassEmbedding(num_classes, dims, fades=fades)
        # small beside the latent, or G draws one image a class and has no use for the latent
        nn.init.normal_(self.classes.weight, std=0.02)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.net(torch.cat([z, self.classes(labels)], dim=1))
        return images


class Projection(nn.Module):
    """D with classes: how real an image is, and how much of its class (Miyato & Koyama 2018).

    (N, C, H, W) images and class indices (N,) -> logits (N,). The class is asked of what the net's
    last dense layer sees, `features` values.
    """

    def __init__(
        self, net: nn.Sequential, features: int, num_classes: int, *, fades: bool = False
    ) -> None:
        super().__init__()
        self.features = net[:-2]
        self.end = net[-2:]
        self.classes = ClassEmbedding(num_classes, features, fades=fades)
        nn.init.normal_(self.classes.weight, std=1 / math.sqrt(features))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        seen = self.features(images)
        logits: Tensor = self.end(seen) + (seen * self.classes(labels)).sum(dim=1)
        return logits


def _crop(sizes: list[tuple[int, int]]) -> list[nn.Module]:
    """What a doubled map needs to be of the second size."""
    (height, width), wanted = sizes
    return [] if wanted == (2 * height, 2 * width) else [Crop(*wanted)]


def _started(net: nn.Sequential, slope: float, normed: bool) -> nn.Sequential:
    """Weights to start from: with BatchNorm Xavier's for dense and transposed layers (Glorot &
    Bengio 2010); without, such that values keep their size (He et al. 2015), and zero biases.

    Half of a leaky ReLU's values shrink by `slope`. Of a transposed convolution of stride 2 a
    quarter of the kernel meets each pixel that comes out.
    """
    for module in net.modules():
        if normed and isinstance(module, nn.Linear | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
        elif not normed and isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):
                fan_in = module.in_channels * module.weight[0, 0].numel() // 4
            nn.init.normal_(module.weight, std=math.sqrt(2 / ((1 + slope**2) * fan_in)))
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return net
