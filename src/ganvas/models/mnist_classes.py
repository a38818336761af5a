"""The nets of the MNIST-classes GAN."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.models.layers import Dropout, Flatten, Logits, SameConv2d, ToImage
from ganvas.pixels import Shape
from ganvas.protocols import SampleMode
from ganvas.registry import CHECKED, MODELS


@MODELS.register("mnist-classes")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MNISTClasses:
    """G that shrinks and enlarges a dense map of twice the size; D with convolutions and pooling.

    Images in [0, 1], of any size.
    Source: MNIST-classes GAN (TensorFlow 1, 2017), a GAN with one-sided label smoothing (Salimans
    et al. 2016) on MNIST digits in class folders.
    """

    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "batch"

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        channels, height, width = shape
        return _truncated_normal(
            Enlarging(
                nn.Linear(latent_dims, 4 * height * width),
                ToImage((1, 2 * height, 2 * width)),
                _batch_norm(1),
                nn.ReLU(),
                SameConv2d(1, 50, 3, stride=2),
                _batch_norm(50),
                nn.ReLU(),
                Enlarge2x(),
                SameConv2d(50, 25, 3, stride=2),
                _batch_norm(25),
                nn.ReLU(),
                # The original enlarges here too, and its stride of 2 then keeps the copied pixels:
                # the same as no enlargement and stride 1.
                nn.Conv2d(25, channels, 1),
                nn.Sigmoid(),
            )
        )

    def discriminator(self, shape: Shape) -> nn.Module:
        channels, *sides = shape
        flat = 64
        for side in sides:
            flat *= (side + 7) // 8  # halved three times, rounded up
        return _truncated_normal(
            nn.Sequential(
                SameConv2d(channels, 32, 5),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
                SameConv2d(32, 64, 5),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
                SameConv2d(64, 64, 3),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
                Flatten(),
                nn.Linear(flat, 512),
                nn.ReLU(),
                Dropout(0.5),
                nn.Linear(512, 1),
                Logits(),
            )
        )


class Enlarging(nn.Sequential):
    """Layers one after another, with a short form for an enlargement that a stride of 2 follows."""

    fast = False
    """Whether the short form may be taken; layers that it skips then run no hooks."""

    def forward(self, x: Tensor) -> Tensor:
        layers = list(self)
        while layers:
            layer = layers.pop(0)
            if self.fast and isinstance(layer, Enlarge2x) and min(x.shape[2:]) > 1:
                x = enlarge_and_shrink(x, layers.pop(0))
            else:
                x = layer(x)
        return x


class Enlarge2x(nn.Module):
    """(N, C, H, W) -> (N, C, 2H, 2W), bilinear as TensorFlow 1 resizes: source = target / 2.

    Even rows and columns are copies, odd ones the mean of two neighbours; the last repeats the
    edge.
    """

    def forward(self, x: Tensor) -> Tensor:
        return _double(_double(x, 2), 3)


def _double(x: Tensor, dim: int) -> Tensor:
    size = x.shape[dim]
    following = torch.cat([x.narrow(dim, 1, size - 1), x.narrow(dim, size - 1, 1)], dim)
    return torch.stack([x, (x + following) / 2], dim + 1).flatten(dim, dim + 1)


def enlarge_and_shrink(x: Tensor, layer: nn.Module) -> Tensor:
    """`layer(Enlarge2x()(x))` for a 3x3 convolution with stride 2, without the enlarged map.

    (N, C, H, W) -> (N, out, H, W), H and W from 2. A kernel's rows w0, w1, w2 meet row i of x, its
    mean with row i + 1, and row i + 1: so w0 + w1 / 2 and w1 / 2 + w2 meet the rows i and i + 1.
    At the end w1 meets a copy of the last row and w2 the zeros of 'SAME': so w0 + w1 meet the last
    row. Columns likewise.
    """
    assert isinstance(layer, SameConv2d) and layer.stride == (2, 2) and layer.kernel_size == (3, 3)
    inner, edge = _short(layer.weight, 2)
    rows = [
        torch.cat([_convolve(part, wide), _convolve(part[..., -1:], narrow)], 3)
        for part, (wide, narrow) in ((x, _short(inner, 3)), (x[:, :, -1:], _short(edge, 3)))
    ]
    y = torch.cat(rows, 2)
    return y if layer.bias is None else y + layer.bias.view(-1, 1, 1)


def _short(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Kernels of 2 and 1 taps along `dim` for one of 3: inside, and at the end."""
    first, second, third = weight.unbind(dim)
    inside = torch.stack([first + second / 2, second / 2 + third], dim)
    return inside, (first + second).unsqueeze(dim)


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    layout = torch.channels_last
    return F.conv2d(x.contiguous(memory_format=layout), weight.contiguous(memory_format=layout))


def _batch_norm(channels: int) -> nn.Module:
    """BatchNorm without scale and shift, which the original never trained.

    It always used batch statistics; the running ones change nothing in training and are there so
    that a trained G can draw one image.
    """
    return nn.BatchNorm2d(channels, eps=1e-5, affine=False)


def _truncated_normal(net: nn.Module, std: float = 0.02) -> nn.Module:
    """Weights from a normal distribution cut at two `std`, zero biases."""
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return net
