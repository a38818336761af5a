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
"""

from __future__ import annotations

import math
import threading
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

SMALL_MAP: Final = 25
"""Up to so many output pixels a convolution is slower than copying its patches into a matrix."""
SMALL_MAP_FLOAT32: Final = 16
"""The same in float32, between layers of at least WIDE channels."""
WIDE: Final = 32

Size = tuple[int, int]


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


def product(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: Size, size: Size
) -> Tensor:
    """conv2d with rows and columns of zeros `before`, and enough after for an output of `size`."""
    y: Tensor = _Product.apply(x, weight, stride, before, size)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias.view(1, -1, 1, 1)


def transposed_product(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: Size, size: Size
) -> Tensor:
    """conv_transpose2d without its first rows and columns, as many as `before`, cut to `size`."""
    y: Tensor = _TransposedProduct.apply(  # type: ignore[no-untyped-call]
        x, weight, stride, before, size
    )
    return y if bias is None else y + bias.view(1, -1, 1, 1)


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
    kernels = F.pad(weight, (0, spare, 0, spare)).reshape(*weight.shape[:2], taps, 2, taps, 2)
    kernels = kernels.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)  # as _to_blocks orders channels
    return convolve(blocks, kernels, bias, 0)


def transposed(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """conv_transpose2d of stride 2 without its first row and column, cut to twice the size of x.

    x is (N, C, H, W), weight (C, out, 5, 5). Output 2j + p is the sum over i of
    x[i] * w[2 (j - i) + p + 1], so an ordinary convolution makes the pixels p of block j; its taps
    run backwards through w.
    """
    kernels = F.pad(weight, (1, 0, 1, 0)).reshape(*weight.shape[:2], 3, 2, 3, 2)
    kernels = kernels.flip(2, 4).permute(3, 5, 1, 0, 2, 4).flatten(0, 2)
    return _from_blocks(convolve(x, kernels, None if bias is None else bias.repeat(4), 1))


def transposed_unit(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """conv_transpose2d of stride 1: an ordinary convolution with the kernel turned round."""
    turned = weight.transpose(0, 1).flip(2, 3)
    return convolve(x, turned, bias, weight.shape[2] - 1 - padding)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """conv2d of stride 1; in bfloat16 where `pays` says so, with the fast gradients."""
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    y: Tensor = _Convolution.apply(x, weight, padding)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias.to(y.dtype).view(1, -1, 1, 1)


class _Convolution(torch.autograd.Function):
    """conv2d of stride 1 without bias; every tensor channels-last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return _forward(x, weight, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        kernel, padding = weight.shape[2], ctx.padding
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        for_x = for_weight = None
        if ctx.needs_input_grad[0]:
            turned = weight.transpose(0, 1).flip(2, 3)
            for_x = _forward(gradient, turned, kernel - 1 - padding)
        if ctx.needs_input_grad[1]:
            for_weight = _weight_gradient(x, gradient, kernel, padding)
        return for_x, for_weight, None


def _forward(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    out, _, kernel, _ = weight.shape
    height, width = (side + 2 * padding - kernel + 1 for side in x.shape[2:])
    if height * width > SMALL_MAP:
        return F.conv2d(
            x.contiguous(memory_format=torch.channels_last),
            weight.contiguous(memory_format=torch.channels_last),
            padding=padding,
        )
    y = _patches(x, kernel, 1, (padding, padding), (height, width)) @ _kernels(weight).t()
    return y.view(len(x), height, width, out).permute(0, 3, 1, 2)


def _weight_gradient(x: Tensor, gradient: Tensor, kernel: int, padding: int) -> Tensor:
    """Of shape (out, C, K, K), from x (N, C, H, W) and the gradient (N, out, H', W')."""
    channels, out = x.shape[1], gradient.shape[1]
    if kernel >= 5 and gradient.shape[2] * gradient.shape[3] > SMALL_MAP:
        # batch and channels change places: the gradient is a convolution of x with itself
        swapped = F.conv2d(_images_as_channels(x), _images_as_channels(gradient), padding=padding)
        return swapped.transpose(0, 1)
    size = gradient.shape[2], gradient.shape[3]
    taps = _rows(gradient).t() @ _patches(x, kernel, 1, (padding, padding), size)
    return taps.view(out, kernel, kernel, channels).permute(0, 3, 1, 2)


class _Product(torch.autograd.Function):
    """conv2d without bias as a product of matrices; every tensor channels-last."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, before: Size, size: Size
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.before = stride, before
        y = _patches(x, weight.shape[2], stride, before, size) @ _kernels(weight).t()
        return y.view(len(x), *size, -1).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        kernel, size = weight.shape[2], (gradient.shape[2], gradient.shape[3])
        rows = _rows(gradient)
        for_x = for_weight = None
        if ctx.needs_input_grad[0]:
            patches = (rows @ _kernels(weight)).view(len(x), *size, kernel, kernel, -1)
            for_x = _sum_patches(patches, ctx.stride, ctx.before, (x.shape[2], x.shape[3]))
        if ctx.needs_input_grad[1]:
            taps = rows.t() @ _patches(x, kernel, ctx.stride, ctx.before, size)
            for_weight = taps.view(len(weight), kernel, kernel, -1).permute(0, 3, 1, 2)
        return for_x, for_weight, None, None, None


class _TransposedProduct(torch.autograd.Function):
    """conv_transpose2d without bias: `_Product` with its image and its result changing places."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, before: Size, size: Size
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.before = stride, before
        kernel = weight.shape[2]
        patches = _rows(x) @ _kernels(weight)
        small = len(x), x.shape[2], x.shape[3], kernel, kernel, -1
        return _sum_patches(patches.view(small), stride, before, size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        kernel, small = weight.shape[2], (x.shape[2], x.shape[3])
        patches = _patches(gradient, kernel, ctx.stride, ctx.before, small)
        for_x = for_weight = None
        if ctx.needs_input_grad[0]:
            rows = patches @ _kernels(weight).t()
            for_x = rows.view(len(x), *small, -1).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            taps = _rows(x).t() @ patches
            for_weight = taps.view(len(weight), kernel, kernel, -1).permute(0, 3, 1, 2)
        return for_x, for_weight, None, None, None


def _kernels(weight: Tensor) -> Tensor:
    """(A, B, K, K) -> (A, K * K * B); no copy if channels-last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _rows(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N * H * W, C); no copy if channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _sum_patches(patches: Tensor, stride: int, before: Size, size: Size) -> Tensor:
    """The reverse of `_patches`: (N, H', W', K, K, C) summed where they overlap, (N, C, *size)."""
    n, height, width, kernel, _, channels = patches.shape
    # a margin for the taps that fall outside
    rows_in, columns_in = (
        max(b + s, stride * (m - 1) + kernel)
        for b, s, m in zip(before, size, (height, width), strict=True)
    )
    image = patches.new_zeros(n, rows_in, columns_in, channels)
    for row in range(kernel):
        for column in range(kernel):
            rows = slice(row, row + stride * (height - 1) + 1, stride)
            columns = slice(column, column + stride * (width - 1) + 1, stride)
            image[:, rows, columns] += patches[:, :, :, row, column]
    top, left = before
    inner = image[:, top : top + size[0], left : left + size[1]]
    return inner.contiguous().permute(0, 3, 1, 2)


def _images_as_channels(x: Tensor) -> Tensor:
    return x.transpose(0, 1).contiguous(memory_format=torch.channels_last)


def _patches(x: Tensor, kernel: int, stride: int, before: Size, size: Size) -> Tensor:
    """The kernel x kernel patches of x as rows: (N * H' * W', K * K * C), taps in reading order.

    x has so many rows and columns of zeros `before` it; `size` is (H', W'). The next call
    overwrites the result.
    """
    n, channels, *sides = x.shape
    (top, below), (left, right) = (
        (b, stride * (m - 1) + kernel - b - s) for b, m, s in zip(before, size, sides, strict=True)
    )
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, left, right, top, below)).contiguous()
    image, row, pixel, _ = padded.stride()
    shape = (n, *size, kernel, kernel * channels)
    matrix = _scratch(math.prod(shape), x.dtype)
    strides = (image, stride * row, stride * pixel, row, 1)
    matrix.view(shape).copy_(padded.as_strided(shape, strides))
    return matrix.view(-1, kernel * kernel * channels)


_memory = threading.local()


def _scratch(size: int, dtype: torch.dtype) -> Tensor:
    """Memory to be used until the next call: fresh pages would cost more than filling them."""
    held: Tensor | None = getattr(_memory, "held", None)
    if held is None or held.numel() < size or held.dtype != dtype:
        held = _memory.held = torch.empty(size, dtype=dtype)
    return held[:size]


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
