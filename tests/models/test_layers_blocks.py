"""The SAME convolutions against explicit loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ganvas.models.fast import convolution
from ganvas.models.layers import (
    Dropout,
    Flatten,
    KerasBatchNorm1d,
    SameConv2d,
    SameConvTranspose2d,
)

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


@pytest.mark.parametrize(("kernel", "height", "width"), [(5, 14, 12), (4, 16, 16), (3, 8, 10)])
def test_strided_convolution_by_blocks_is_the_plain_one(
    kernel: int, height: int, width: int
) -> None:
    torch.manual_seed(0)
    plain = SameConv2d(3, 6, kernel, stride=2).double()
    x = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    before = plain._zeros(height)[0]
    check_equal(plain, x, convolution.strided(x, plain.weight, plain.bias, before))


def test_transposed_convolution_by_blocks_is_the_plain_one() -> None:
    torch.manual_seed(0)
    plain = SameConvTranspose2d(3, 6, 5, stride=2).double()
    x = torch.randn(2, 3, 7, 8, dtype=torch.float64, requires_grad=True)
    check_equal(plain, x, convolution.transposed(x, plain.weight, plain.bias))


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (4, 2), (3, 1), (5, 1), (2, 2)])
@pytest.mark.parametrize("size", [(4, 4), (8, 6), (7, 5)])
def test_convolution_as_a_product_is_the_plain_one(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    plain = SameConv2d(3, 6, kernel, stride=stride).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    before = plain._zeros(size[0])[0], plain._zeros(size[1])[0]
    small = tuple(-(-side // stride) for side in size)
    fast = convolution.product(x, plain.weight, plain.bias, stride, before, small)
    check_equal(plain, x, fast)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (4, 2), (3, 1), (5, 1), (2, 2)])
@pytest.mark.parametrize("size", [(4, 4), (2, 3), (7, 1)])
def test_transposed_convolution_as_a_product_is_the_plain_one(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    plain = SameConvTranspose2d(3, 6, kernel, stride=stride).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    before = int(plain.padding[0]), int(plain.padding[1])
    large = size[0] * stride, size[1] * stride
    fast = convolution.transposed_product(x, plain.weight, plain.bias, stride, before, large)
    check_equal(plain, x, fast)


@pytest.mark.parametrize(
    ("layer", "side"),
    [(SameConv2d(32, 40, 5, stride=2), 8), (SameConvTranspose2d(40, 32, 5, stride=2), 4)],
)
def test_in_float32_small_maps_are_products_and_can_be_switched_off(
    layer: SameConv2d | SameConvTranspose2d, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    for name in ("product", "transposed_product"):
        form = getattr(convolution, name)
        monkeypatch.setattr(
            convolution, name, lambda *args, form=form, name=name: used.append(name) or form(*args)
        )
    x = torch.randn(2, layer.in_channels, side, side)
    fast = layer(x)
    assert len(used) == 1
    assert fast.is_contiguous(memory_format=torch.channels_last)
    layer(torch.randn(2, layer.in_channels, 2 * side + 2, side))  # the map is too large
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
    monkeypatch.setattr(layer, "fast", False)
    assert torch.allclose(layer(x), fast, atol=1e-5)
    assert len(used) == 1


def check_equal(plain: nn.Module, x: torch.Tensor, fast: torch.Tensor) -> None:
    """The same output, and the same gradients of input, weight and bias."""
    expected = plain(x)
    assert torch.allclose(fast, expected, rtol=0, atol=1e-12)
    inputs = [x, *plain.parameters()]
    slope = torch.randn_like(expected)
    gradients = torch.autograd.grad(fast, inputs, slope)
    for found, wanted in zip(gradients, torch.autograd.grad(expected, inputs, slope), strict=True):
        assert torch.allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "layer", [SameConv2d(8, 16, 5, stride=2), SameConvTranspose2d(8, 4, 5, stride=2)]
)
def test_in_bfloat16_the_blocks_are_used_and_can_be_switched_off(
    layer: SameConv2d | SameConvTranspose2d, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    for name in ("strided", "transposed"):
        form = getattr(convolution, name)
        monkeypatch.setattr(
            convolution, name, lambda *args, form=form, name=name: used.append(name) or form(*args)
        )
    x = torch.randn(2, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        fast = layer(x)
        assert len(used) == 1
        monkeypatch.setattr(layer, "fast", False)
        plain = layer(x)
    layer(x)  # in float32 the plain form is the faster one
    assert len(used) == 1
    assert torch.allclose(fast.float(), plain.float(), atol=0.05)


@pytest.mark.parametrize(
    ("kernel", "padding", "side"),
    [(5, 2, 7), (3, 1, 7), (3, 0, 9), (3, 1, 4), (2, 0, 5), (2, 1, 4)],
)
def test_convolution_with_fast_gradients(kernel: int, padding: int, side: int) -> None:
    """Large and small maps take different ways; each gives conv2d's result and gradients."""
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 6, kernel, padding=padding).double()
    x = torch.randn(2, 3, side, side, dtype=torch.float64, requires_grad=True)
    check_equal(plain, x, convolution.convolve(x, plain.weight, plain.bias, padding))


def test_transposed_convolution_of_stride_1() -> None:
    torch.manual_seed(0)
    plain = SameConvTranspose2d(3, 6, 5).double()
    x = torch.randn(2, 3, 7, 7, dtype=torch.float64, requires_grad=True)
    check_equal(plain, x, convolution.transposed_unit(x, plain.weight, plain.bias, 2))


@pytest.mark.parametrize("p", [0.5, 0.3])
@pytest.mark.parametrize("shape", [(64, 33, 8, 8), (1000, 77)])
def test_dropout_keeps_the_right_share_and_scales_it(p: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.ones(shape)
    if len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    y = Dropout(p)(x)
    assert y.stride() == x.stride()
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
    share = (y == 0).double()
    assert share.mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / x.numel()) ** 0.5)
    # neighbours are independent: the covariance of adjacent values is that of chance
    flat = share.flatten()
    assert (
        abs(((flat[1:] - p) * (flat[:-1] - p)).mean().item()) < 4 * p * (1 - p) / len(flat) ** 0.5
    )
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert Dropout(p).eval()(x) is x


def test_flatten_gives_its_gradient_channels_last() -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    slope = torch.randn(2, 60)
    (gradient,) = torch.autograd.grad(Flatten()(x), x, slope)
    assert torch.equal(Flatten()(x), x.flatten(1))
    assert torch.equal(gradient, slope.view(2, 3, 4, 5))
    assert gradient.is_contiguous(memory_format=torch.channels_last)


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
