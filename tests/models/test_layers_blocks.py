"""Plain blocks: the SAME convolutions against explicit loops, and the layout of gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.models.layers import Flatten, SameConv2d, SameConvTranspose2d

KERNELS = [(5, 2), (5, 1), (4, 2), (3, 2), (3, 1), (1, 2), (1, 1)]
"""Kernel size and stride."""
SIZES = [(8, 6), (7, 9), (4, 5)]
"""Height and width."""


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """TensorFlow's rule: outputs, zeros before, zeros after."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return outputs, total // 2, total - total // 2


def reference(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """SAME convolution of (N, C, H, W) with (O, C, K, K), one output pixel at a time."""
    kernel = weight.shape[-1]
    rows, *vertical = same_padding(x.shape[2], kernel, stride)
    columns, *horizontal = same_padding(x.shape[3], kernel, stride)
    x = np.pad(x, ((0, 0), (0, 0), tuple(vertical), tuple(horizontal)))
    y = np.zeros((len(x), len(weight), rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x[:, :, top : top + kernel, left : left + kernel]
            y[:, :, i, j] = np.einsum("nckl,ockl->no", window, weight)
    return y


def transposed_reference(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """Each pixel of (N, C, H, W) adds its multiple of (C, O, K, K); then the SAME crop."""
    (num, _, height, width), (_, out, kernel, _) = x.shape, weight.shape
    whole = np.zeros((num, out, (height - 1) * stride + kernel, (width - 1) * stride + kernel))
    for i in range(height):
        for j in range(width):
            patch = np.einsum("nc,cokl->nokl", x[:, :, i, j], weight)
            top, left = i * stride, j * stride
            whole[:, :, top : top + kernel, left : left + kernel] += patch
    _, top, _ = same_padding(height * stride, kernel, stride)
    _, left, _ = same_padding(width * stride, kernel, stride)
    return whole[:, :, top : top + height * stride, left : left + width * stride]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
def test_same_convolution(kernel: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = SameConv2d(2, 3, kernel, stride=stride).double()
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    expected = reference(x.numpy(), conv.weight.detach().numpy(), stride)
    expected += conv.bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(conv(x).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (5, 1), (4, 2), (3, 2), (2, 2)])
def test_same_transposed_convolution(kernel: int, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = SameConvTranspose2d(2, 3, kernel, stride=stride).double()
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    expected = transposed_reference(x.numpy(), conv.weight.detach().numpy(), stride)
    expected += conv.bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(conv(x).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (5, 1), (4, 2)])
def test_transposed_is_the_gradient_of_the_convolution(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    transposed = SameConvTranspose2d(4, 3, kernel, stride=stride, bias=False).double()
    conv = SameConv2d(3, 4, kernel, stride=stride, bias=False).double()
    conv.load_state_dict(transposed.state_dict())
    small = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    image = torch.zeros(2, 3, 5 * stride, 6 * stride, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv(image), image, small)
    torch.testing.assert_close(transposed(small), gradient)


def test_published_paddings() -> None:
    """5x5 with stride 2: one before, two after, so the first pixel meets the kernel's [1, 1]."""
    conv = SameConv2d(1, 1, 5, stride=2, bias=False)
    transposed = SameConvTranspose2d(1, 1, 5, stride=2, bias=False)
    for size in (28, 14, 32, 16, 8):
        image = torch.zeros(1, 1, size, size)
        image[..., 0, 0] = 1
        assert conv(image)[0, 0, 0, 0] == conv.weight[0, 0, 1, 1]
        assert conv(image).shape[2:] == (size // 2, size // 2)
        assert transposed(image)[0, 0, 0, 0] == transposed.weight[0, 0, 1, 1]
        assert transposed(image).shape[2:] == (2 * size, 2 * size)


def test_state_dicts_are_those_of_the_plain_layers() -> None:
    plain = nn.Conv2d(2, 3, 5, stride=2)
    SameConv2d(2, 3, 5, stride=2).load_state_dict(plain.state_dict())
    plain_transposed = nn.ConvTranspose2d(2, 3, 5, stride=2)
    SameConvTranspose2d(2, 3, 5, stride=2).load_state_dict(plain_transposed.state_dict())


def test_flatten_gives_its_gradient_channels_last() -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    slope = torch.randn(2, 60)
    (gradient,) = torch.autograd.grad(Flatten()(x), x, slope)
    assert torch.equal(Flatten()(x), x.flatten(1))
    assert torch.equal(gradient, slope.view(2, 3, 4, 5))
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_derivatives_of_flatten_by_differences() -> None:
    x = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    flatten = Flatten()
    assert torch.autograd.gradcheck(lambda x: flatten(x.sin()), (x,))
    assert torch.autograd.gradgradcheck(lambda x: flatten(x.sin()), (x,))
