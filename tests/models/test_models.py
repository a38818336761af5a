"""Every model: parameter counts, shapes, ranges, gradients, settings, sizes refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from ganvas.errors import UsageError
from ganvas.models.cs231n import CS231nDCGAN, CS231nDense
from ganvas.models.firstgan import FirstGANDCGAN, FirstGANDense
from ganvas.models.genzoo import GenZooCIFAR10, GenZooMNIST
from ganvas.models.layers import ToImage
from ganvas.models.mnist_classes import Enlarge2x, MNISTClassesNets
from ganvas.models.modelzoo import ModelZoo
from ganvas.models.modern import Modern
from ganvas.models.quickstart import Quickstart
from ganvas.models.r3gan import R3GAN
from ganvas.pixels import Shape
from ganvas.registry import MODELS


class Case(NamedTuple):
    model: Any
    shape: Shape
    latent_dims: int
    g_params: int
    d_params: int
    g_shapes: list[tuple[int, ...]]
    """Output shapes of G's linear layers, convolutions and resizes, without the batch axis."""
    d_shapes: list[tuple[int, ...]]
    """Output shapes of D's linear layers, convolutions and poolings, without the batch axis."""


MNIST, CIFAR = (1, 28, 28), (3, 32, 32)
CASES = {
    "modelzoo": Case(
        ModelZoo(),
        MNIST,
        100,
        1_489_936,
        1_460_225,
        [(256,), (512,), (1024,), (784,)],
        [(1024,), (512,), (256,), (1,)],
    ),
    "quickstart": Case(
        Quickstart(),
        MNIST,
        32,
        543_760,  # 32*256 + 256 + 2*256, 256*512 + 512 + 2*512, 512*784 + 784
        533_505,  # 784*512 + 512, 512*256 + 256, 256 + 1
        [(256,), (512,), (784,)],
        [(512,), (256,), (1,)],
    ),
    "cs231n-dense": Case(
        CS231nDense(),
        MNIST,
        96,
        1_952_528,
        267_009,
        [(1024,), (1024,), (784,)],
        [(256,), (256,), (1,)],
    ),
    "cs231n-dcgan": Case(
        CS231nDCGAN(),
        MNIST,
        96,
        6_675_009,
        1_102_721,
        [(1024,), (6272,), (64, 14, 14), (1, 28, 28)],
        [(32, 24, 24), (32, 12, 12), (64, 8, 8), (64, 4, 4), (1024,), (1,)],
    ),
    "modern": Case(
        Modern(),
        MNIST,
        64,
        1_682_721,
        276_417,
        [(512,), (3136,), (32, 14, 14), (1, 28, 28)],
        [(16, 24, 24), (16, 12, 12), (32, 8, 8), (32, 4, 4), (512,), (1,)],
    ),
    "r3gan": Case(
        R3GAN(),
        MNIST,
        64,
        112_513,
        108_545,
        [
            (64,),
            (128, 7, 7),
            (128, 7, 7),
            (64, 7, 7),
            (128, 14, 14),
            (128, 14, 14),
            (64, 14, 14),
            (128, 28, 28),
            (128, 28, 28),
            (64, 28, 28),
            (1, 28, 28),
        ],
        [
            (64, 28, 28),
            (128, 28, 28),
            (128, 28, 28),
            (64, 28, 28),
            (128, 14, 14),
            (128, 14, 14),
            (64, 14, 14),
            (128, 7, 7),
            (128, 7, 7),
            (64, 7, 7),
            (64, 1, 1),
            (1,),
        ],
    ),
    "mnist-classes": Case(
        MNISTClassesNets(),
        MNIST,
        100,
        328_537,
        614_337,
        [(3136,), (50, 28, 28), (50, 56, 56), (25, 28, 28), (1, 28, 28)],
        [
            (32, 28, 28),
            (32, 14, 14),
            (64, 14, 14),
            (64, 7, 7),
            (64, 7, 7),
            (64, 4, 4),
            (512,),
            (1,),
        ],
    ),
    "firstgan-dense": Case(
        FirstGANDense(),
        MNIST,
        100,
        1_486_352,
        1_460_225,
        [(256,), (512,), (1024,), (784,)],
        [(1024,), (512,), (256,), (1,)],
    ),
    "firstgan-dcgan": Case(
        FirstGANDCGAN(),
        (1, 64, 64),
        100,
        3_574_656,
        2_763_520,
        [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (1, 64, 64)],
        [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (1, 1, 1)],
    ),
    "genzoo-mnist": Case(
        GenZooMNIST(),
        MNIST,
        100,
        2_305_472,
        212_672,
        [(12544,), (128, 7, 7), (64, 14, 14), (1, 28, 28)],
        [(64, 14, 14), (128, 7, 7), (1,)],
    ),
    "genzoo-cifar10": Case(
        GenZooCIFAR10(),
        CIFAR,
        100,
        4_941_952,
        4_113_792,
        [(8192,), (256, 8, 8), (128, 16, 16), (3, 32, 32)],
        [(128, 16, 16), (256, 8, 8), (512, 4, 4), (1,)],
    ),
}
SHAPED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, Enlarge2x)

# Sizes that a net takes besides the published one, and sizes that it refuses.
TAKEN = [
    ("modelzoo", (3, 5, 7)),
    ("cs231n-dense", (4, 9, 6)),
    ("cs231n-dcgan", (3, 16, 32)),
    ("mnist-classes", (3, 28, 20)),
    ("mnist-classes", (1, 9, 1)),
    ("firstgan-dense", (3, 5, 7)),
    ("firstgan-dcgan", (3, 16, 16)),
    ("firstgan-dcgan", (4, 32, 32)),
    ("genzoo-mnist", (4, 4, 20)),
    ("genzoo-cifar10", (1, 8, 24)),
]
REFUSED = [
    ("cs231n-dcgan", (1, 28, 30), "28x32"),
    ("cs231n-dcgan", (1, 12, 28), "16x28"),
    ("firstgan-dcgan", (1, 28, 28), "32"),
    ("firstgan-dcgan", (1, 8, 8), "16"),
    ("firstgan-dcgan", (1, 64, 32), "64"),
    ("genzoo-mnist", (1, 30, 28), "32x28"),
    ("genzoo-cifar10", (3, 28, 28), "32x32"),
]


def num_params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def output_shapes(net: nn.Module, x: torch.Tensor) -> list[tuple[int, ...]]:
    """What the layers of SHAPED put out when `x` goes in, in order, without the batch axis."""
    shapes: list[tuple[int, ...]] = []
    for module in net.modules():
        if isinstance(module, SHAPED):
            module.register_forward_hook(lambda *args: shapes.append(tuple(args[2].shape[1:])))
    net(x)
    return shapes


def test_every_model_has_a_case() -> None:
    assert sorted(CASES) == MODELS.names()
    assert all(MODELS.name_of(case.model) == name for name, case in CASES.items())


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    torch.manual_seed(0)
    return CASES[request.param]


def test_parameter_counts(case: Case) -> None:
    assert num_params(case.model.generator(case.shape, case.latent_dims)) == case.g_params
    assert num_params(case.model.discriminator(case.shape)) == case.d_params


def test_layer_shapes(case: Case) -> None:
    latents = torch.randn(2, case.latent_dims)
    G = case.model.generator(case.shape, case.latent_dims)
    assert output_shapes(G, latents) == case.g_shapes
    D = case.model.discriminator(case.shape)
    assert output_shapes(D, torch.rand(2, *case.shape)) == case.d_shapes


def test_output_range_and_gradients(case: Case) -> None:
    G = case.model.generator(case.shape, case.latent_dims)
    D = case.model.discriminator(case.shape)
    images = G(torch.randn(2, case.latent_dims))
    assert images.shape == (2, *case.shape)
    low, high = case.model.value_range
    if not isinstance(case.model, R3GAN):  # whose last convolution has no end
        assert low <= images.min() <= images.max() <= high

    logits = D(images)
    assert logits.shape == (2,)
    assert logits.isfinite().all()
    logits.mean().backward()
    for net in (G, D):
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_one_image_in_eval_mode(case: Case) -> None:
    G = case.model.generator(case.shape, case.latent_dims).eval()
    D = case.model.discriminator(case.shape).eval()
    with torch.no_grad():
        assert D(G(torch.randn(1, case.latent_dims))).shape == (1,)


@pytest.mark.parametrize(("name", "shape"), TAKEN)
def test_other_sizes(name: str, shape: Shape) -> None:
    model = CASES[name].model
    images = model.generator(shape, 8)(torch.randn(3, 8))
    assert images.shape == (3, *shape)
    assert model.discriminator(shape)(images).shape == (3,)


@pytest.mark.parametrize(("name", "shape", "suggestion"), REFUSED)
def test_sizes_refused(name: str, shape: Shape, suggestion: str) -> None:
    model = CASES[name].model
    start = f"model '{name}' cannot take {shape[1]}x{shape[2]} images: "
    for build in (lambda: model.generator(shape, 100), lambda: model.discriminator(shape)):
        with pytest.raises(UsageError) as error:
            build()
        assert str(error.value).startswith(start)
        assert str(error.value).endswith(f"; use --image-size {suggestion}")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "count"), [(CS231nDense(), 1_858_320), (CS231nDCGAN(), 6_580_801)]
)
def test_counts_of_the_assignment(model: Any, count: int) -> None:
    """The assignment checks its generators with 4 latent dimensions."""
    assert num_params(model.generator(MNIST, 4)) == count


@pytest.mark.parametrize(
    ("model", "shape", "count"),
    [
        (GenZooMNIST(d_bias="all"), MNIST, 212_865),
        (GenZooMNIST(d_bias="last"), MNIST, 212_673),
        (GenZooCIFAR10(d_bias="last"), CIFAR, 4_113_793),
    ],
)
def test_genzoo_biases(model: Any, shape: Shape, count: int) -> None:
    assert num_params(model.discriminator(shape)) == count


def test_genzoo_linear_output() -> None:
    tanh, linear = GenZooMNIST(), GenZooMNIST(output="linear")
    assert isinstance(list(tanh.generator(MNIST, 10).children())[-1], nn.Tanh)
    G = linear.generator(MNIST, 10)
    with torch.no_grad():
        for parameter in list(G.parameters())[-1:]:
            parameter.mul_(100)
        assert G(torch.randn(4, 10)).abs().max() > 1


def test_genzoo_slope_and_dropout() -> None:
    modules = list(GenZooCIFAR10(slope=0.2, dropout=0.25).discriminator(CIFAR).modules())
    assert [m.negative_slope for m in modules if isinstance(m, nn.LeakyReLU)] == [0.2] * 3
    assert [m.p for m in modules if isinstance(m, nn.Dropout)] == [0.25] * 3


# Settings that differ between the frameworks


@pytest.mark.parametrize(
    ("name", "eps", "momentum", "count"),
    [
        ("modelzoo", 1e-3, 0.2, 3),
        ("cs231n-dcgan", 1e-5, 0.1, 3),
        ("mnist-classes", 1e-5, 0.1, 3),
        ("firstgan-dcgan", 1e-5, 0.1, 4),
        ("genzoo-mnist", 1e-3, 0.01, 3),
        ("genzoo-cifar10", 1e-3, 0.01, 3),
    ],
)
def test_batch_norm(name: str, eps: float, momentum: float, count: int) -> None:
    case = CASES[name]
    found = [
        (module.eps, module.momentum)
        for module in case.model.generator(case.shape, case.latent_dims).modules()
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))
    ]
    assert found == [(eps, momentum)] * count


@pytest.mark.parametrize("name", ["cs231n-dense", "firstgan-dense"])
def test_no_batch_norm(name: str) -> None:
    case = CASES[name]
    assert not list(case.model.generator(case.shape, case.latent_dims).buffers())
    assert case.model.sample_mode == "inference"


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("modelzoo", [0.3, 0.3]),
        ("firstgan-dense", [0.3, 0.3, 0.3]),
        ("mnist-classes", [0.5]),
        ("genzoo-mnist", [0.5, 0.5]),
        ("genzoo-cifar10", [0.5, 0.5, 0.5]),
        ("cs231n-dense", []),
        ("cs231n-dcgan", []),
        ("firstgan-dcgan", []),
    ],
)
def test_dropout_in_discriminator(name: str, rates: list[float]) -> None:
    case = CASES[name]
    modules = case.model.discriminator(case.shape).modules()
    assert [module.p for module in modules if isinstance(module, nn.Dropout)] == rates


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("modelzoo", nn.LeakyReLU),
        ("cs231n-dcgan", nn.ReLU),
        ("mnist-classes", (nn.Conv2d, ToImage)),
        ("firstgan-dcgan", nn.ConvTranspose2d),
        ("genzoo-mnist", (nn.Linear, nn.ConvTranspose2d)),
    ],
)
def test_what_batch_norm_follows(name: str, before: Any) -> None:
    case = CASES[name]
    layers = list(case.model.generator(case.shape, case.latent_dims).children())
    for layer, following in zip(layers[:-1], layers[1:], strict=True):
        if isinstance(following, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert isinstance(layer, before)
