"""Convolutions as products of matrices: patches of an image are the rows of one of them.

Cutting patches and adding them up again are linear, and each is the other's gradient; the products
between are the library's. So gradients can be differentiated again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]


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
    kernel = weight.shape[2]
    patches = (rows(x) @ kernels(weight)).view(len(x), *x.shape[2:], kernel, kernel, -1)
    y: Tensor = _Sum.apply(patches, stride, before, size)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias.view(1, -1, 1, 1)


class _Product(torch.autograd.Function):
    """conv2d without bias. The patches, many times x, are cut again rather than kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, before: Size, size: Size
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.before = stride, before
        y = cut_patches(x, weight.shape[2], stride, before, size) @ kernels(weight).t()
        return y.view(len(x), *size, -1).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        kernel, stride, before = weight.shape[2], ctx.stride, ctx.before
        for_x = for_weight = None
        if ctx.needs_input_grad[0]:
            sides = (x.shape[2], x.shape[3])
            for_x = transposed_product(gradient, weight, None, stride, before, sides)
        if ctx.needs_input_grad[1]:
            size = (gradient.shape[2], gradient.shape[3])
            patches = _Cut.apply(x, kernel, stride, before, size)  # type: ignore[no-untyped-call]
            taps = rows(gradient).t() @ patches
            for_weight = taps.view(len(weight), kernel, kernel, -1).permute(0, 3, 1, 2)
        return for_x, for_weight, None, None, None


class _Cut(torch.autograd.Function):
    """`cut_patches`, whose gradient is `sum_patches`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int, stride: int, before: Size, size: Size) -> Tensor:
        ctx.settings = stride, before, (x.shape[2], x.shape[3])
        ctx.patches = len(x), *size, kernel, kernel, x.shape[1]
        return cut_patches(x, kernel, stride, before, size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image = _Sum.apply(gradient.reshape(ctx.patches), *ctx.settings)  # type: ignore[no-untyped-call]
        return image, None, None, None, None


class _Sum(torch.autograd.Function):
    """`sum_patches`, whose gradient is `cut_patches`."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, stride: int, before: Size, size: Size) -> Tensor:
        _, height, width, kernel, _, _ = ctx.shape = patches.shape
        ctx.settings = kernel, stride, before, (height, width)
        return sum_patches(patches, stride, before, size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        patches = _Cut.apply(gradient, *ctx.settings)  # type: ignore[no-untyped-call]
        return patches.view(ctx.shape), None, None, None


def cut_patches(x: Tensor, kernel: int, stride: int, before: Size, size: Size) -> Tensor:
    """The kernel x kernel patches of x as rows: (N * H' * W', K * K * C), taps in reading order.

    x has so many rows and columns of zeros `before` it; `size` is (H', W').
    """
    n, channels, *sides = x.shape
    (top, below), (left, right) = (
        (b, stride * (m - 1) + kernel - b - s) for b, m, s in zip(before, size, sides, strict=True)
    )
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, left, right, top, below)).contiguous()
    image, row, pixel, _ = padded.stride()
    shape = (n, *size, kernel, kernel * channels)
    strides = (image, stride * row, stride * pixel, row, 1)
    return padded.as_strided(shape, strides).reshape(-1, kernel * kernel * channels)


def sum_patches(patches: Tensor, stride: int, before: Size, size: Size) -> Tensor:
    """The reverse of `cut_patches`: (N, H', W', K, K, C), summed where they overlap, as an image.

    The result is (N, C, *size), channels-last.
    """
    n, height, width, kernel, _, channels = patches.shape
    # a margin for the taps that fall outside
    rows_in, columns_in = (
        max(b + s, stride * (m - 1) + kernel)
        for b, s, m in zip(before, size, (height, width), strict=True)
    )
    image = patches.new_zeros(n, rows_in, columns_in, channels)
    for row in range(kernel):
        for column in range(kernel):
            covered = slice(row, row + stride * (height - 1) + 1, stride)
            across = slice(column, column + stride * (width - 1) + 1, stride)
            image[:, covered, across] += patches[:, :, :, row, column]
    top, left = before
    inner = image[:, top : top + size[0], left : left + size[1]]
    return inner.contiguous().permute(0, 3, 1, 2)


def kernels(weight: Tensor) -> Tensor:
    """(A, B, K, K) -> (A, K * K * B); no copy if channels-last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def rows(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N * H * W, C); no copy if channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
