"""Blocks that two or more architectures use.

Padding 'SAME' is TensorFlow's, in its exact form: where the total is odd, the extra row and column
go after. So weights carry over from TensorFlow as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.errors import UsageError
from ganvas.models.fast import convolution
from ganvas.pixels import Shape


class SameConv2d(nn.Conv2d):
    """(N, C, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)), padding 'SAME'.

    Parameters and state dict are those of nn.Conv2d. With a 5x5 kernel, stride 2 and even sizes
    the zeros are one row and column before and two after.
    """

    fast = True
    """Whether it may be computed in another form, where that is faster."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = self._zeros(x.shape[2])
        left, right = self._zeros(x.shape[3])
        if self.fast and convolution.pays(x):
            even = x.shape[2] % 2 == x.shape[3] % 2 == 0
            if self.stride[0] == 2 and self.kernel_size[0] == 5 and even:
                return convolution.strided(x, self.weight, self.bias, top)
            if self.stride[0] == 1 and top == bottom == left == right:
                return convolution.convolve(x, self.weight, self.bias, top)
        size = (math.ceil(x.shape[2] / self.stride[0]), math.ceil(x.shape[3] / self.stride[0]))
        if self.fast and convolution.product_pays(x, self.weight, *size):
            before = (top, left)
            return convolution.product(x, self.weight, self.bias, self.stride[0], before, size)
        if top == bottom and left == right:
            return F.conv2d(x, self.weight, self.bias, self.stride, padding=(top, left))
        padded = F.pad(x, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride)

    def _zeros(self, size: int) -> tuple[int, int]:
        """Zeros before and after a side of `size` pixels."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
        return total // 2, total - total // 2


class SameConvTranspose2d(nn.ConvTranspose2d):
    """(N, C, H, W) -> (N, out_channels, H * stride, W * stride), padding 'SAME'.

    Parameters and state dict are those of nn.ConvTranspose2d. With a 5x5 kernel and stride 2 the
    full result loses one row and column before and two after.
    """

    fast = True
    """Whether it may be computed in another form, where that is faster."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        bias: bool = True,
    ) -> None:
        assert kernel_size >= stride, "pixels between the kernels would be empty"
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=(kernel_size - stride) // 2,  # lost before; one more after if the total is odd
            bias=bias,
        )

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        assert output_size is None, "SAME padding leaves no choice of size"
        if self.fast and convolution.pays(x):
            if self.stride[0] == 2 and self.kernel_size[0] == 5:
                return convolution.transposed(x, self.weight, self.bias)
            if self.stride[0] == 1 and self.kernel_size[0] % 2:
                padding = int(self.padding[0])
                return convolution.transposed_unit(x, self.weight, self.bias, padding)
        size = (x.shape[2] * self.stride[0], x.shape[3] * self.stride[0])
        if self.fast and convolution.product_pays(x, self.weight, *x.shape[2:]):
            before = (int(self.padding[0]), int(self.padding[0]))
            stride = self.stride[0]
            return convolution.transposed_product(x, self.weight, self.bias, stride, before, size)
        return super().forward(x)[:, :, : size[0], : size[1]]


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) whose masks cost a tenth of the usual ones on processors.

    Values are kept with probability 1 - p, to 1 in 65,536, and scaled by 1 / (1 - p).
    """

    fast = True
    """Whether masks may be drawn in this way; otherwise as torch does."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if not self.fast or x.device.type != "cpu":
            return F.dropout(x, self.p)
        if not x.is_contiguous(memory_format=torch.channels_last if x.dim() == 4 else _PLAIN):
            x = x.contiguous()
        if self.p == 0.5:
            return x * _doubled_coins(x).as_strided(x.shape, x.stride())
        return x * _draws(x, self.p).as_strided(x.shape, x.stride()) * (1 / (1 - self.p))


_PLAIN = torch.contiguous_format
_BITS = (torch.arange(256).view(-1, 1) >> torch.arange(8)) & 1


def _doubled_coins(x: Tensor) -> Tensor:
    """0 or 2 with equal probability for each value of x: 64 of them from one random word."""
    words = torch.empty((x.numel() + 63) // 64, dtype=torch.int64).random_(-(2**63), None)
    coins = torch.index_select(2 * _BITS.to(x.dtype), 0, words.view(torch.uint8).int())
    return coins.view(-1)[: x.numel()]


def _draws(x: Tensor, p: float) -> Tensor:
    """False with probability p for each value of x: four of them from one random word."""
    words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.int16)[: x.numel()] >= round(p * 65536) - 32768


class ToImage(nn.Module):
    """(N, C * H * W) or anything of that size -> (N, C, H, W)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.shape)

    def extra_repr(self) -> str:
        return f"shape={self.shape}"


class Flatten(nn.Flatten):
    """(N, C, H, W) -> (N, C * H * W), as nn.Flatten; its gradient comes back channels-last.

    So the layers before it meet gradients in the layout of their own values.
    """

    def forward(self, x: Tensor) -> Tensor:
        flat: Tensor = _Flatten.apply(x)  # type: ignore[no-untyped-call]
        return flat


class _Flatten(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        return x.flatten(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.reshape(ctx.shape).contiguous(memory_format=torch.channels_last)


class KerasBatchNorm1d(nn.BatchNorm1d):
    """(N, C) -> (N, C), as nn.BatchNorm1d, but the running variance is of the biased ones.

    Keras keeps a batch's variance as it divides by it, over n values; PyTorch keeps n / (n - 1)
    times that. (So does TensorFlow's fused kernel, which Keras 2 takes for maps: there
    nn.BatchNorm2d is its equal.) State dict and outputs in training mode are nn.BatchNorm1d's.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.track_running_stats):
            return super().forward(x)
        assert self.running_var is not None and self.num_batches_tracked is not None
        share = self.momentum
        if share is None:  # the plain average over all passes
            share = 1 / (float(self.num_batches_tracked) + 1)
        num = x.numel() / self.num_features
        kept = self.running_var * ((1 - share) / num)
        y = super().forward(x)
        # (1 - share) old + share num / (num - 1) v becomes (1 - share) old + share v; by way of
        # .data, since autograd has kept the statistic, though training's backward does not read it
        torch.add(kept, self.running_var, alpha=(num - 1) / num, out=self.running_var.data)
        return y


class Logits(nn.Module):
    """(N, 1) or (N, 1, 1, 1) -> (N,)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1)


def glorot(net: nn.Module) -> nn.Module:
    """Initialise as Keras does: Glorot (Xavier) uniform weights, zero biases."""
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


def num_values(shape: Sequence[int]) -> int:
    return math.prod(shape)


def require_multiple(model: str, shape: Shape, factor: int, *, least: int) -> None:
    """UsageError unless height and width are multiples of `factor` and `least` or more."""
    sides = shape[1:]
    if any(side % factor or side < least for side in sides):
        height, width = (max(least, math.ceil(side / factor) * factor) for side in sides)
        allowed = f"height and width must be multiples of {factor}, {least} or more"
        raise wrong_size(model, shape, allowed, f"{height}x{width}")


def wrong_size(model: str, shape: Shape, allowed: str, suggestion: str) -> UsageError:
    return UsageError(
        f"model '{model}' cannot take {shape[1]}x{shape[2]} images: {allowed}; "
        f"use --image-size {suggestion}"
    )
