"""The nets of the MNIST-classes GAN."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.models.fast.dropout import Dropout
from ganvas.models.fast.enlarging import enlarge_and_shrink
from ganvas.models.fast.switch import HasFastForm
from ganvas.models.layers import Flatten, Logits, SameConv2d, ToImage
from ganvas.pixels import Shape
from ganvas.protocols import SampleMode
from ganvas.registry import CHECKED, MODELS


@MODELS.register("mnist-classes")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MNISTClassesNets:
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
        # The original pools after ReLU: the same to the bit, with four times as much to cut off.
        return _truncated_normal(
            nn.Sequential(
                SameConv2d(channels, 32, 5),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.ReLU(),
                SameConv2d(32, 64, 5),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.ReLU(),
                SameConv2d(64, 64, 3),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.ReLU(),
                Flatten(),
                nn.Linear(flat, 512),
                nn.ReLU(),
                Dropout(0.5),
                nn.Linear(512, 1),
                Logits(),
            )
        )


class Enlarging(HasFastForm, nn.Sequential):
    """Layers one after another, with a fast form for an enlargement that a stride of 2 follows.

    The fast form is for training; hooks of the layers that it skips are not run.
    """

    def forward(self, x: Tensor) -> Tensor:
        layers = iter(self)
        for layer in layers:
            short = self.fast and self.training and min(x.shape[2:], default=0) > 1
            if short and isinstance(layer, Enlarge2x):
                shrinking = next(layers)
                assert isinstance(shrinking, SameConv2d)
                assert shrinking.stride == (2, 2) and shrinking.kernel_size == (3, 3)
                x = enlarge_and_shrink(x, shrinking.weight, shrinking.bias)
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
