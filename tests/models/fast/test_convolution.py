"""The fast forms of convolutions against the plain ones, in all passes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from agreement import check_equal
from torch import Tensor, nn

from ganvas.models.fast import convolution
from ganvas.models.fast.switch import use_fast
from ganvas.models.firstgan import FirstGANDCGAN
from ganvas.models.genzoo import GenZooCIFAR10, GenZooMNIST
from ganvas.models.layers import Logits, SameConv2d, SameConvTranspose2d
from ganvas.models.mnist_classes import MNISTClassesNets
from ganvas.pixels import Shape


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
    plain = layer(x)
    assert not used
    use_fast(layer, True)
    fast = layer(x)
    assert len(used) == 1
    assert fast.is_contiguous(memory_format=torch.channels_last)
    layer(torch.randn(2, layer.in_channels, 2 * side + 2, side))  # the map is too large
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
    use_fast(layer, False)
    assert torch.equal(layer(x), plain)
    assert torch.allclose(plain, fast, atol=1e-5)
    assert len(used) == 1


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
        plain = layer(x)
        assert not used
        use_fast(layer, True)
        fast = layer(x)
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


@pytest.mark.parametrize(
    ("kernel", "padding", "side"), [(5, 2, 6), (3, 1, 6), (3, 0, 5), (2, 1, 3)]
)
def test_derivatives_of_convolutions_by_differences(kernel: int, padding: int, side: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 2, side, side, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, kernel, kernel, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, weight: Tensor) -> Tensor:
        return convolution.convolve(x, weight, None, padding)

    assert torch.autograd.gradcheck(run, (x, weight))
    assert torch.autograd.gradgradcheck(run, (x, weight))


# Whole nets


MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
NETS = [
    (GenZooMNIST(dropout=0.0), MNIST),
    (GenZooCIFAR10(dropout=0.0), CIFAR),
    (MNISTClassesNets(), MNIST),
    (FirstGANDCGAN(), (1, 32, 32)),
]


def penalty_on_images(D: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """The gradients of R1 (Mescheder et al. 2018, equation 9) by the parameters of D."""
    images = images.detach().requires_grad_()
    (by_images,) = torch.autograd.grad(D(images).float().sum(), images, create_graph=True)
    penalty = by_images.square().sum() / len(images)
    return torch.autograd.grad(
        penalty, list(D.parameters()), allow_unused=True, materialize_grads=True
    )


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("model", "shape"), NETS, ids=str)
def test_gradients_of_a_penalty_are_as_exact_as_the_plain_ones(
    model: Any, shape: Shape, precision: torch.dtype
) -> None:
    torch.manual_seed(0)
    D = model.discriminator(shape).eval().to(memory_format=torch.channels_last)
    images = torch.rand(8, *shape).contiguous(memory_format=torch.channels_last)
    exact = penalty_on_images(copy.deepcopy(D).double(), images.double())
    found = {}
    for on in (False, True):
        use_fast(D, on)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            found[on] = penalty_on_images(D, images)
    largest = max(float(gradient.norm()) for gradient in exact)
    for fast, plain, wanted in zip(found[True], found[False], exact, strict=True):
        assert fast.dtype == torch.float32
        assert (fast - wanted).norm() < 1.5 * (plain - wanted).norm() + 1e-6 * largest


class Small(nn.Sequential):
    """A D whose layers take every form: blocks, turned kernels, products."""

    def __init__(self) -> None:
        super().__init__(
            SameConv2d(1, 32, 5, stride=2),
            nn.LeakyReLU(0.2),
            SameConv2d(32, 32, 3),
            nn.LeakyReLU(0.2),
            SameConv2d(32, 32, 4, stride=2),
            nn.LeakyReLU(0.2),
            SameConvTranspose2d(32, 32, 5, stride=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 1, 6),
            Logits(),
        )


def resident() -> int:
    """This process's memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say")
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_memory_does_not_grow_with_a_penalty(precision: torch.dtype) -> None:
    torch.manual_seed(0)
    D = Small()
    use_fast(D, True)
    images = torch.rand(4, 1, 12, 12)
    sizes = []
    for step in range(301):
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            gradients = penalty_on_images(D, images)
        assert all(gradient.isfinite().all() for gradient in gradients)
        if step in (50, 300):
            sizes.append(resident())
    assert sizes[1] - sizes[0] < 2e6


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_net_that_drew_in_inference_mode_can_be_trained(precision: torch.dtype) -> None:
    torch.manual_seed(0)
    D = Small()
    use_fast(D, True)
    images = torch.rand(4, 1, 12, 12)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        expected = torch.autograd.grad(D(images).sum(), list(D.parameters()))
        with torch.inference_mode():
            D(torch.rand(64, 1, 12, 12))  # more memory than ever before
        found = torch.autograd.grad(D(images).sum(), list(D.parameters()))
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)
