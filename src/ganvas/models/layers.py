"""Blocks that two or more architectures use.

Padding 'SAME' is TensorFlow's, in its exact form: where the total is odd, the extra row and column
go after. So weights carry over from TensorFlow as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.errors import UsageError
from ganvas.images import Shape


class SameConv2d(nn.Conv2d):
    """(N, C, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)), padding 'SAME'.

    Parameters and state dict are those of nn.Conv2d. With a 5x5 kernel, stride 2 and even sizes
    the zeros are one row and column before and two after.
    """

    fast = True
    """Whether a stride of 2 may be computed as `conv_by_blocks` does."""

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
        if self.fast and self.stride[0] == 2 and top == left and _blocks_pay(x):
            return conv_by_blocks(x, self.weight, self.bias, top)
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
    """Whether it may be computed as an ordinary convolution."""

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
        if self.fast and self.stride[0] == 2 and self.padding[0] == 1 and _blocks_pay(x):
            return conv_transpose_by_blocks(x, self.weight, self.bias)
        height, width = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        return super().forward(x)[:, :, :height, :width]


# Strided convolutions as ordinary ones: the pixels of each 2x2 block become channels. The sums are
# the same, in another order. Processors' bfloat16 kernels for a stride of 2 are many times slower
# than those for a stride of 1.


def _blocks_pay(x: Tensor) -> bool:
    """Whether a convolution of x is about to run in bfloat16 on the processor, at even sizes."""
    if x.device.type != "cpu" or x.shape[2] % 2 or x.shape[3] % 2:
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.dtype == torch.bfloat16


def conv_by_blocks(x: Tensor, weight: Tensor, bias: Tensor | None, before: int) -> Tensor:
    """conv2d of stride 2 with `before` rows and columns of zeros before, and enough after.

    x is (N, C, H, W) with even H and W, weight (out, C, K, K). With the 2x2 blocks as 4C channels
    ceil(K / 2)^2 taps of stride 1 cover the K^2 ones.
    """
    kernel = weight.shape[2]
    taps = (kernel + 1) // 2
    spare = 2 * taps - kernel
    below, right = (2 * (side // 2 + taps - 1) - side - before for side in x.shape[2:])
    blocks = _to_blocks(F.pad(x, (before, right, before, below)))
    kernels = F.pad(weight, (0, spare, 0, spare)).reshape(*weight.shape[:2], taps, 2, taps, 2)
    kernels = kernels.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)  # as _to_blocks orders channels
    return F.conv2d(blocks, kernels.contiguous(memory_format=torch.channels_last), bias)


def conv_transpose_by_blocks(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """conv_transpose2d of stride 2 without its first row and column, cut to twice the size of x.

    x is (N, C, H, W), weight (C, out, K, K) with K 4 or 5. Output 2j + p is the sum over i of
    x[i] * w[2 (j - i) + p + 1], so an ordinary convolution makes the pixels p of block j; its taps
    run backwards through w. With an even K the blocks start a pixel early, which saves a tap.
    """
    kernel = weight.shape[2]
    odd, taps = kernel % 2, (kernel + 1) // 2
    kernels = F.pad(weight, (odd, 0, odd, 0)).reshape(*weight.shape[:2], taps, 2, taps, 2)
    kernels = kernels.flip(2, 4).permute(3, 5, 1, 0, 2, 4).flatten(0, 2)
    bias = None if bias is None else bias.repeat(4)
    blocks = F.conv2d(x, kernels.contiguous(memory_format=torch.channels_last), bias, padding=1)
    y = _from_blocks(blocks)
    return y if odd else y[:, :, 1:-1, 1:-1]


def _to_blocks(x: Tensor) -> Tensor:
    """(N, C, 2h, 2w) -> (N, 4C, h, w), channels-last; the channel order is row, column, C."""
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, height // 2, 2, width // 2, 2, channels)
    return rows.transpose(2, 3).reshape(n, height // 2, width // 2, -1).permute(0, 3, 1, 2)


def _from_blocks(x: Tensor) -> Tensor:
    """The inverse of `_to_blocks`: (N, 4C, h, w) -> (N, C, 2h, 2w), channels-last."""
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, height, width, 2, 2, channels // 4)
    return rows.transpose(2, 3).reshape(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


class ToImage(nn.Module):
    """(N, C * H * W) or anything of that size -> (N, C, H, W)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.shape)

    def extra_repr(self) -> str:
        return f"shape={self.shape}"


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
