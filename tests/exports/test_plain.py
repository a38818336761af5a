"""Plain layers: each is the module that it stands for, and BatchNorm goes into the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganvas.batch import Latents
from ganvas.errors import UsageError
from ganvas.exports.plain import Affine, Classes, Layer, draw, inputs, plain_layers
from ganvas.exports.source import open_source
from ganvas.models.layers import SameConv2d, SameConvTranspose2d, ToImage
from ganvas.models.mnist_classes import Enlarge2x
from ganvas.models.modern import Crop
from ganvas.models.quickstart import Smooth
from ganvas.registry import MODELS

UNKNOWN = {"r3gan"}
"""Models whose generators the page cannot draw."""
pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients() -> Any:
    with torch.no_grad():
        yield


def used(module: nn.Module) -> nn.Module:
    """With running statistics, scales and shifts unlike those that a BatchNorm begins with."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
            if norm.affine:
                norm.weight.normal_(generator=generator)
                norm.bias.normal_(generator=generator)
    return module.eval()


def kinds(layers: list[Layer]) -> list[str]:
    return [layer.kind for layer in layers]


def test_each_net_draws_the_same(recipe: str, untrained: Callable[[str], Path]) -> None:
    source = open_source(untrained(recipe))
    latents = source.latents(3)
    found = draw(plain_layers(source.generator.net, latents.z.shape[1]), inputs(latents))
    torch.testing.assert_close(found, torch.from_numpy(source.images(latents)), atol=1e-5, rtol=0)


def test_every_model_is_among_the_nets(
    nets: tuple[str, ...], untrained: Callable[[str], Path]
) -> None:
    models = {MODELS.name_of(open_source(untrained(name)).generator.model) for name in nets}
    assert models == set(MODELS.names()) - UNKNOWN


def test_a_net_that_the_page_does_not_know_is_one_line() -> None:
    for name in UNKNOWN:
        net = MODELS.get(name)(width=8).generator((1, 16, 16), 4)
        with pytest.raises(UsageError, match="has a layer Basis, which the page does not know"):
            plain_layers(net, 4)


def test_classes_are_rows_of_a_table_and_what_lies_between() -> None:
    table = torch.tensor([[0.0, 1.0], [10.0, 3.0], [20.0, 5.0]])
    x = torch.tensor([[0.5, 1, 1, 0], [0.5, 0, 2, 0.25], [0.5, 2, 1, 1]])
    assert Classes(table, 2).apply(x).tolist() == [[0.5, 10, 3], [0.5, 5, 2], [0.5, 10, 3]]
    given = inputs(Latents(torch.tensor([[0.5], [0.7]]), torch.tensor([2, 0])))
    assert given.tolist() == [[0.5, 2, 2, 0], [pytest.approx(0.7), 0, 0, 0]]


MODULES = [
    nn.Conv2d(3, 4, 3),
    nn.Conv2d(3, 4, 3, stride=2, padding=1),
    nn.Conv2d(3, 4, 5, stride=2, padding=(2, 1), bias=False),
    SameConv2d(3, 4, 3),
    SameConv2d(3, 4, 4),
    SameConv2d(3, 4, 5, stride=2),
    SameConv2d(3, 4, 2, stride=3),
    nn.ConvTranspose2d(3, 4, 4),
    nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1),
    nn.ConvTranspose2d(3, 4, 5, stride=3, padding=(0, 2), bias=False),
    SameConvTranspose2d(3, 4, 4, stride=2),
    SameConvTranspose2d(3, 4, 5, stride=2, bias=False),
    SameConvTranspose2d(3, 4, 5),
    nn.BatchNorm2d(3),
    nn.BatchNorm2d(3, affine=False),
    nn.ReLU(),
    nn.LeakyReLU(0.3),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.Identity(),
    Smooth(),
    Enlarge2x(),
    Crop(3, 2),
]


@pytest.mark.parametrize("module", MODULES, ids=str)
@pytest.mark.parametrize("size", [(4, 4), (5, 6), (7, 3)])
def test_a_layer_is_its_module(module: nn.Module, size: tuple[int, int]) -> None:
    height, width = size
    net = nn.Sequential(ToImage((3, height, width)), used(module))
    z = torch.randn(2, 3 * height * width, generator=torch.Generator().manual_seed(1))
    found = draw(plain_layers(net, z.shape[1]), z)
    torch.testing.assert_close(found, net(z), atol=2e-6, rtol=1e-5)


# BatchNorm


@pytest.mark.parametrize(
    "module", [SameConv2d(3, 5, 3), SameConvTranspose2d(3, 5, 4, stride=2, bias=False)], ids=str
)
def test_batchnorm_behind_weights_goes_into_them(module: nn.Module) -> None:
    net = used(nn.Sequential(
        nn.Linear(4, 27), nn.BatchNorm1d(27), ToImage((3, 3, 3)), module, nn.BatchNorm2d(5)
    ))  # fmt: skip
    layers = plain_layers(net, 4)
    assert kinds(layers) == ["dense", "reshape", module_kind(module)]
    z = torch.randn(6, 4)
    torch.testing.assert_close(draw(layers, z), net(z), atol=1e-5, rtol=1e-5)


def module_kind(module: nn.Module) -> str:
    return "transposed" if isinstance(module, nn.ConvTranspose2d) else "convolution"


def test_batchnorm_elsewhere_stays() -> None:
    """Behind an activation its shift cannot go into a convolution whose border is zeros."""
    net = used(nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), ToImage((2, 2, 2)), nn.BatchNorm2d(2),
        nn.BatchNorm2d(2), SameConvTranspose2d(2, 1, 4, stride=2), nn.Tanh(),
    ))  # fmt: skip
    layers = plain_layers(net, 4)
    assert kinds(layers) == [
        "dense", "leaky", "affine", "reshape", "affine", "affine", "transposed", "tanh"
    ]  # fmt: skip
    z = torch.randn(6, 4)
    torch.testing.assert_close(draw(layers, z), net(z), atol=1e-5, rtol=1e-5)


def test_a_batchnorm_by_hand() -> None:
    norm = nn.BatchNorm1d(2, eps=0.0)
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.copy_(torch.tensor([1.0, 2.0]))
    norm.running_var.copy_(torch.tensor([4.0, 0.25]))
    norm.weight.copy_(torch.tensor([3.0, 1.0]))
    norm.bias.copy_(torch.tensor([0.5, 0.0]))
    (affine,) = plain_layers(norm.eval(), 2)
    assert isinstance(affine, Affine)
    assert affine.scale.tolist() == [1.5, 2.0] and affine.shift.tolist() == [-1.0, -4.0]


# Refusals


class Own(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class OwnLinear(nn.Linear):
    """Of a kind that is known, but who knows what it does."""


@pytest.mark.parametrize("module", [Own(), OwnLinear(3, 3), nn.GELU()], ids=str)
def test_a_layer_that_is_not_known_is_named(module: nn.Module) -> None:
    name = type(module).__name__
    with pytest.raises(UsageError, match=f"a layer {name}, which the page does not know") as error:
        plain_layers(nn.Sequential(nn.Linear(2, 3), module), 2)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(2, 2, (3, 1)),
        nn.Conv2d(2, 2, 3, dilation=2),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.ConvTranspose2d(2, 2, 3, stride=2, output_padding=1),
        nn.ConvTranspose2d(2, 2, 3, stride=(2, 1)),
    ],
    ids=str,
)
def test_a_convolution_of_another_kind_is_named(module: nn.Module) -> None:
    with pytest.raises(UsageError, match="does not know a layer like Conv"):
        plain_layers(nn.Sequential(ToImage((2, 5, 5)), module), 50)
