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
from ganvas.models.fast.switch import HasFastForm
from ganvas.pixels import Shape


class ClassEmbedding(nn.Embedding):
    """Class indices (N,) -> their embeddings (N, dims).

    Of how much of each class is meant, (N, classes), it makes that mixture of the embeddings. With
    `fades` they are multiplied by `share`, which training sets and the state dict holds.
    """

    share: Tensor

    def __init__(self, num_classes: int, dims: int, *, fades: bool = False) -> None:
        super().__init__(num_classes, dims)
        self.fades = fades
        if fades:
            self.register_buffer("share", torch.ones(()))

    def forward(self, labels: Tensor) -> Tensor:
        if labels.is_floating_point():
            return labels.to(self.weight.dtype) @ self.table
        found = super().forward(labels)
        return self.share * found if self.fades else found

    @property
    def table(self) -> Tensor:
        """(classes, dims): what stands for each class as it is now."""
        return self.share * self.weight if self.fades else self.weight


class SameConv2d(HasFastForm, nn.Conv2d):
    """(N, C, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)), padding 'SAME'.

    Parameters and state dict are those of nn.Conv2d. With a 5x5 kernel, stride 2 and even sizes
    the zeros are one row and column before and two after.
    """

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
        top, bottom = vertical = self._zeros(x.shape[2])
        left, right = horizontal = self._zeros(x.shape[3])
        if self.fast:
            stride = self.stride[0]
            y = convolution.same(x, self.weight, self.bias, stride, vertical, horizontal)
            if y is not None:
                return y
        if top == bottom and left == right:
            return F.conv2d(x, self.weight, self.bias, self.stride, padding=(top, left))
        padded = F.pad(x, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride)

    def _zeros(self, size: int) -> tuple[int, int]:
        """Zeros before and after a side of `size` pixels."""
        stride, kernel = self.stride[0], self.kernel_size[0]
        total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
        return total // 2, total - total // 2


class SameConvTranspose2d(HasFastForm, nn.ConvTranspose2d):
    """(N, C, H, W) -> (N, out_channels, H * stride, W * stride), padding 'SAME'.

    Parameters and state dict are those of nn.ConvTranspose2d. With a 5x5 kernel and stride 2 the
    full result loses one row and column before and two after.
    """

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
        stride = self.stride[0]
        if self.fast:
            before = int(self.padding[0])
            y = convolution.same_transposed(x, self.weight, self.bias, stride, before)
            if y is not None:
                return y
        return super().forward(x)[:, :, : x.shape[2] * stride, : x.shape[3] * stride]


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
