"""Plain blocks: the SAME convolutions against explicit loops, and the layout of gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.models.layers import Flatten, KerasBatchNorm1d, SameConv2d, SameConvTranspose2d

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


def test_kerass_batch_norm_differs_by_the_running_variance_alone() -> None:
    """Of 4 rows PyTorch keeps 4 / 3 of the variance."""
    x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [1.0, 0.0], [3.0, 8.0]])  # variances 1 and 12
    ours, plain = KerasBatchNorm1d(2, momentum=0.25), nn.BatchNorm1d(2, momentum=0.25)
    assert list(ours.state_dict()) == list(plain.state_dict())
    for _ in range(2):
        gradients = []
        for norm in (ours, plain):
            inputs = x.clone().requires_grad_()
            one, two = norm(inputs), norm(inputs)  # the second before the first's backward
            (one[0] + two[1].square()).sum().backward()
            gradients += [one.detach(), inputs.grad]
        assert torch.equal(gradients[0], gradients[2]) and torch.equal(gradients[1], gradients[3])
    assert torch.equal(ours.running_mean, plain.running_mean)
    ends = torch.tensor([1.0, 12.0])
    torch.testing.assert_close(ours.running_var, 1 + (ends - 1) * (1 - 0.75**4))
    torch.testing.assert_close(plain.running_var, 1 + (4 / 3 * ends - 1) * (1 - 0.75**4))
    before = ours.running_var.clone()
    plain.running_var.copy_(before)
    assert torch.equal(ours.eval()(x), plain.eval()(x))
    assert torch.equal(ours.running_var, before)


def test_kerass_batch_norm_averages_and_keeps_nothing_where_it_is_to() -> None:
    """momentum None is the plain average over passes, as for standing statistics."""
    x = torch.tensor([[1.0], [3.0]])  # variance 1
    norm = KerasBatchNorm1d(1, momentum=None)
    for _ in range(3):
        norm(x)
    norm(3 * x)
    assert norm.running_var.item() == pytest.approx((3 * 1 + 9) / 4)
    norm.track_running_stats = False  # as sheets by batch statistics are drawn
    norm(100 * x)
    assert norm.running_var.item() == pytest.approx(3.0)
    assert norm.num_batches_tracked.item() == 4
