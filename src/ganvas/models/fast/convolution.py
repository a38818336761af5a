"""Convolutions in forms that are faster on processors, and exact.

Each is the same sum of products in another order. In bfloat16, on matrix units:

- a stride of 2 becomes a stride of 1 with the pixels of each 2x2 block as channels,
- a transposed convolution becomes an ordinary one that makes such blocks,
- gradients of weights, and everything on small maps, become one product of matrices.

In float32 convolutions that end in a very small map, or start from one if transposed, become one
product of matrices in all three passes.

The reasons are the libraries' kernels: in bfloat16 those for a stride of 2 are many times slower
than those for a stride of 1, and those for the gradient of weights run at a quarter of the others.
In float32 they are good, but for maps of 4x4: there they reach a third to a half of the rate of a
product of matrices.

Gradients are made of the same forms, so that they can be differentiated again, as penalties on
gradients do.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.models.fast.patches import (
    Size,
    cut_patches,
    kernels,
    product,
    rows,
    transposed_product,
)

SMALL_MAP: Final = 25
"""Up to so many output pixels a convolution is slower than copying its patches into a matrix."""
SMALL_MAP_FLOAT32: Final = 16
"""The same in float32, between layers of at least WIDE channels."""
WIDE: Final = 32


def same(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, vertical: Size, horizontal: Size
) -> Tensor | None:
    """A 'SAME' convolution in its fastest form, or None where that is the library's.

    `vertical` and `horizontal` are the zeros before and after each column and row of x.
    """
    kernel, sides = weight.shape[2], x.shape[2:]
    if pays(x):
        if stride == 2 and kernel == 5 and all(side % 2 == 0 for side in sides):
            return strided(x, weight, bias, vertical[0])
        if stride == 1 and len({*vertical, *horizontal}) == 1:
            return convolve(x, weight, bias, vertical[0])
    height, width = (math.ceil(side / stride) for side in sides)
    if product_pays(x, weight, height, width):
        before = (vertical[0], horizontal[0])
        return product(x, weight, bias, stride, before, (height, width))
    return None


def same_transposed(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: int
) -> Tensor | None:
    """A transposed 'SAME' convolution in its fastest form, or None where that is the library's.

    The full result loses its first `before` rows and columns, and is cut to `stride` times x.
    """
    kernel, (height, width) = weight.shape[2], x.shape[2:]
    if pays(x):
        if stride == 2 and kernel == 5:
            return transposed(x, weight, bias)
        if stride == 1 and kernel % 2:
            return transposed_unit(x, weight, bias, before)
    if product_pays(x, weight, height, width):
        size = (stride * height, stride * width)
        return transposed_product(x, weight, bias, stride, (before, before), size)
    return None


def pays(x: Tensor) -> bool:
    """Whether a convolution of x is about to run in bfloat16 on the processor."""
    if x.device.type != "cpu":
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.dtype == torch.bfloat16


def product_pays(x: Tensor, weight: Tensor, height: int, width: int) -> bool:
    """Whether a float32 convolution with a map of height x width is faster as `product`."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and height * width <= SMALL_MAP_FLOAT32
        and min(weight.shape[:2]) >= WIDE
    )


def strided(x: Tensor, weight: Tensor, bias: Tensor | None, before: int) -> Tensor:
    """conv2d of stride 2 with `before` rows and columns of zeros before, and enough after.

    x is (N, C, H, W) with even H and W, weight (out, C, K, K). With the 2x2 blocks as 4C channels
    ceil(K / 2)^2 taps of stride 1 cover the K^2 ones.
    """
    kernel = weight.shape[2]
    taps = (kernel + 1) // 2
    spare = 2 * taps - kernel
    below, right = (2 * (side // 2 + taps - 1) - side - before for side in x.shape[2:])
    blocks = _to_blocks(F.pad(x, (before, right, before, below)))
    by_block = F.pad(weight, (0, spare, 0, spare)).reshape(*weight.shape[:2], taps, 2, taps, 2)
    by_block = by_block.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)  # as _to_blocks orders channels
    return convolve(blocks, by_block, bias, 0)


def transposed(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """conv_transpose2d of stride 2 without its first row and column, cut to twice the size of x.

    x is (N, C, H, W), weight (C, out, 5, 5). Output 2j + p is the sum over i of
    x[i] * w[2 (j - i) + p + 1], so an ordinary convolution makes the pixels p of block j; its taps
    run backwards through w.
    """
    by_block = F.pad(weight, (1, 0, 1, 0)).reshape(*weight.shape[:2], 3, 2, 3, 2)
    by_block = by_block.flip(2, 4).permute(3, 5, 1, 0, 2, 4).flatten(0, 2)
    return _from_blocks(convolve(x, by_block, None if bias is None else bias.repeat(4), 1))


def transposed_unit(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """conv_transpose2d of stride 1: an ordinary convolution with the kernel turned round."""
    return convolve(x, _turned(weight), bias, weight.shape[2] - 1 - padding)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """conv2d of stride 1; in bfloat16 where `pays` says so, with the fast gradients."""
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    y = _convolution(x, weight, padding)
    return y if bias is None else y + bias.to(y.dtype).view(1, -1, 1, 1)


def _convolution(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    y: Tensor = _Convolution.apply(x, weight, padding)  # type: ignore[no-untyped-call]
    return y


class _Convolution(torch.autograd.Function):
    """conv2d of stride 1 without bias; every tensor channels-last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        out, _, kernel, _ = weight.shape
        height, width = (side + 2 * padding - kernel + 1 for side in x.shape[2:])
        if height * width > SMALL_MAP:
            return F.conv2d(
                x.contiguous(memory_format=torch.channels_last),
                weight.contiguous(memory_format=torch.channels_last),
                padding=padding,
            )
        patches = cut_patches(x, kernel, 1, (padding, padding), (height, width))
        return (patches @ kernels(weight).t()).view(len(x), height, width, out).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        kernel, padding = weight.shape[2], ctx.padding
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        for_x = for_weight = None
        if ctx.needs_input_grad[0]:
            for_x = _convolution(gradient, _turned(weight), kernel - 1 - padding)
        if ctx.needs_input_grad[1]:
            for_weight = _WeightGradient.apply(  # type: ignore[no-untyped-call]
                x, gradient, kernel, padding
            )
        return for_x, for_weight, None


class _WeightGradient(torch.autograd.Function):
    """`_Convolution`'s gradient of its weight, (out, C, K, K), which is bilinear as it is.

    From x (N, C, H, W) and the gradient (N, out, H', W').
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: Tensor, kernel: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, gradient)
        ctx.kernel, ctx.padding = kernel, padding
        channels, out = x.shape[1], gradient.shape[1]
        size = (gradient.shape[2], gradient.shape[3])
        if kernel >= 5 and math.prod(size) > SMALL_MAP:
            # batch and channels change places: the gradient is a convolution of x with itself
            swapped = F.conv2d(
                _images_as_channels(x), _images_as_channels(gradient), padding=padding
            )
            return swapped.transpose(0, 1)
        taps = rows(gradient).t() @ cut_patches(x, kernel, 1, (padding, padding), size)
        return taps.view(out, kernel, kernel, channels).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """From the gradient of what `forward` returned, which has the form of a weight."""
        x, gradient = ctx.saved_tensors
        for_x = for_gradient = None
        if ctx.needs_input_grad[0]:
            for_x = _convolution(gradient, _turned(weight), ctx.kernel - 1 - ctx.padding)
        if ctx.needs_input_grad[1]:
            for_gradient = _convolution(x, weight, ctx.padding)
        return for_x, for_gradient, None, None


def _turned(weight: Tensor) -> Tensor:
    """(out, C, K, K) -> (C, out, K, K), turned round: the kernel that takes gradients back."""
    return weight.transpose(0, 1).flip(2, 3)


def _images_as_channels(x: Tensor) -> Tensor:
    return x.transpose(0, 1).contiguous(memory_format=torch.channels_last)


def _to_blocks(x: Tensor) -> Tensor:
    """(N, C, 2h, 2w) -> (N, 4C, h, w), channels-last; the channel order is row, column, C."""
    n, channels, height, width = x.shape
    split = x.permute(0, 2, 3, 1).reshape(n, height // 2, 2, width // 2, 2, channels)
    return split.transpose(2, 3).reshape(n, height // 2, width // 2, -1).permute(0, 3, 1, 2)


def _from_blocks(x: Tensor) -> Tensor:
    """The inverse of `_to_blocks`: (N, 4C, h, w) -> (N, C, 2h, 2w), channels-last."""
    n, channels, height, width = x.shape
    split = x.permute(0, 2, 3, 1).reshape(n, height, width, 2, 2, channels // 4)
    return split.transpose(2, 3).reshape(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)
