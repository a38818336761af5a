"""The residual nets of R3GAN, in any width and for images of any size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, Final, Literal, TypeVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.config import Positive, Share
from ganvas.models.layers import Flatten, Logits
from ganvas.models.modern import Conditional, Projection, halves
from ganvas.pixels import Shape
from ganvas.protocols import SampleMode
from ganvas.registry import CHECKED, MODELS

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

SLOPE: Final = 0.2
"""Of the leaky ReLUs."""
GROUP: Final = 16
"""Channels that a 3x3 convolution sees together, as in the paper's nets (1,536 in 96 groups), or
the next number that divides them."""


@MODELS.register("r3gan")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class R3GAN:
    """Residual blocks without normalisation, low-pass filters between sizes (Huang et al. 2024).

    Images of 8 to 256 pixels a side, odd ones and oblong ones too. Source: appendix D and E of the
    paper, whose nets for CIFAR-10 have a width of 768 and two blocks a size. They want the loss
    `relativistic` with the penalty `r1-r2`, and Adam with `beta_1 = 0`.
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "inference"

    width: Positive = 64
    """Channels at every size; inside of a block there are twice as many."""

    depth: Positive = 1
    """Residual blocks at each size."""

    labels: Literal["off", "on", "auto"] = "off"
    """Tell both nets the class of an image: G by an embedding beside the latent, D by a projection
    (Miyato & Koyama 2018, equation 5). auto: if the images have classes, and enough of each."""

    embedding: Positive = 64
    """Values that stand for a class in G."""

    label_fade: Share = 1.0
    """How much both nets are told of the class, as of `modern`."""

    @property
    def takes_labels(self) -> bool:
        return self.labels != "off"

    def generator(self, shape: Shape, latent_dims: int, num_classes: int = 0) -> nn.Module:
        sizes = halves(MODELS.name_of(self), shape)[::-1]
        fan_in = latent_dims + (self.embedding if num_classes else 0)
        layers: list[nn.Module] = [Basis(fan_in, self.width, sizes[0]), *self._blocks(len(sizes))]
        for size in sizes[1:]:
            layers += [Enlarge(size), *self._blocks(len(sizes))]
        net = nn.Sequential(*layers, _started(nn.Conv2d(self.width, shape[0], 1)))
        fades = self.label_fade != 1.0
        return Conditional(net, num_classes, self.embedding, fades=fades) if num_classes else net

    def discriminator(self, shape: Shape, num_classes: int = 0) -> nn.Module:
        sizes = halves(MODELS.name_of(self), shape)
        layers: list[nn.Module] = [_started(nn.Conv2d(shape[0], self.width, 1))]
        for size in sizes[1:]:
            layers += [*self._blocks(len(sizes)), Shrink(size)]
        # at the smallest size every channel is weighed by place, and then all channels together
        weighed = nn.Conv2d(self.width, self.width, sizes[-1], groups=self.width, bias=False)
        layers += [*self._blocks(len(sizes)), _started(weighed), Flatten()]
        net = nn.Sequential(*layers, _started(nn.Linear(self.width, 1)), Logits())
        fades = self.label_fade != 1.0
        return Projection(net, self.width, num_classes, fades=fades) if num_classes else net

    def _blocks(self, num_sizes: int) -> Iterator[nn.Module]:
        for _ in range(self.depth):
            yield Residual(self.width, self.depth * num_sizes)


class Residual(nn.Module):
    """(N, width, H, W) -> the same size: what goes in, and a correction of it.

    A bottleneck turned inside out, 1x1 to twice the channels, 3x3 in groups, 1x1 back. It starts
    as the identity, and of `num_blocks` in a net each has weights that are the smaller the more
    there are (Zhang et al. 2019, section 3, with two layers scaled a block).
    """

    def __init__(self, width: int, num_blocks: int) -> None:
        super().__init__()
        inner = 2 * width
        gain = num_blocks**-0.25
        self.widen = _started(nn.Conv2d(width, inner, 1), gain)
        most = max(1, inner // GROUP)
        groups = next(num for num in range(most, 0, -1) if inner % num == 0)
        self.look = _started(nn.Conv2d(inner, inner, 3, padding=1, groups=groups), gain)
        self.narrow = nn.Conv2d(inner, width, 1, bias=False)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.widen(x), SLOPE)
        y = F.leaky_relu(self.look(y), SLOPE)
        corrected: Tensor = x + self.narrow(y)
        return corrected


class Basis(nn.Module):
    """(N, dims) latents -> (N, width, H, W): a learnt map for each channel, times a weight."""

    def __init__(self, dims: int, width: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(width, *size))
        self.weigh = nn.Linear(dims, width, bias=False)
        nn.init.normal_(self.weigh.weight, std=1 / math.sqrt(dims))

    def forward(self, z: Tensor) -> Tensor:
        values: Tensor = self.maps * self.weigh(z)[:, :, None, None]
        return values


class Enlarge(nn.Module):
    """(N, C, H, W) -> (N, C, height, width), twice the size but for a last odd row or column.

    Bilinear: each pixel is repeated, and the result smoothed by [1, 2, 1] each way.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        height, width = self.size
        y = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return y[:, :, :height, :width]

    def extra_repr(self) -> str:
        return f"{self.size[0]}, {self.size[1]}"


class Shrink(nn.Module):
    """(N, C, H, W) -> (N, C, height, width), half the size; an odd last row or column is repeated.

    Smoothed by [1, 2, 1] each way, and then the mean of each 2x2 pixels: `Enlarge` turned round.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        height, width = (2 * side for side in self.size)
        x = F.pad(x, (1, 1 + width - x.shape[3], 1, 1 + height - x.shape[2]), mode="replicate")
        # the mean of four pixels each way, weighed 1, 3, 3, 1, as two means of two and one of two
        x = F.avg_pool2d(F.avg_pool2d(x, 2, stride=1), 2, stride=1)
        return F.avg_pool2d(x, 2, stride=2)

    def extra_repr(self) -> str:
        return f"{self.size[0]}, {self.size[1]}"


def _started(layer: Layer, gain: float = 1.0) -> Layer:
    """Weights that keep the size of values (He et al. 2015) times a gain, biases of zero."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain * math.sqrt(2 / ((1 + SLOPE**2) * fan_in)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
