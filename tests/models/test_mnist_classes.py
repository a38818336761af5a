"""The parts of the MNIST-classes generator against the original's form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganvas.models.mnist_classes import Enlarge2x, MNISTClassesNets

MNIST = (1, 28, 28)


def test_short_form_of_mnist_classes() -> None:
    """The original enlarges to 56x56 before a 1x1 convolution with stride 2."""
    torch.manual_seed(0)
    short = MNISTClassesNets().generator(MNIST, 100)
    *body, last, sigmoid = short.children()
    strided = nn.Conv2d(25, 1, 1, stride=2)
    strided.load_state_dict(last.state_dict())
    long = nn.Sequential(*body, Enlarge2x(), strided, sigmoid)
    with torch.no_grad():
        last.weight.mul_(50)
        strided.weight.mul_(50)
        latents = torch.randn(8, 100)
        images = short(latents)
        assert images.std() > 0.1
        torch.testing.assert_close(images, long(latents), atol=1e-6, rtol=0)


def test_batch_norm_of_mnist_classes_uses_batch_statistics() -> None:
    torch.manual_seed(0)
    layers = list(MNISTClassesNets().generator(MNIST, 100).children())
    norm = layers[2]
    x = torch.randn(6, 1, 56, 56) * 3 + 1
    centred = x - x.mean()
    plain = centred / (centred.square().mean() + 1e-5).sqrt()
    for _ in range(2):  # what ran before leaves no trace
        torch.testing.assert_close(norm(x), plain)
    assert not list(norm.parameters())


@pytest.mark.parametrize("size", [(3, 5), (1, 4), (7, 7)])
def test_enlarging_as_tensorflow_1(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    expected = torch.empty(2, 3, 2 * size[0], 2 * size[1])
    for row in range(2 * size[0]):
        for column in range(2 * size[1]):
            top, left = row // 2, column // 2
            bottom, right = min(top + 1, size[0] - 1), min(left + 1, size[1] - 1)
            down, across = row / 2 - top, column / 2 - left
            upper = x[..., top, left] * (1 - across) + x[..., top, right] * across
            lower = x[..., bottom, left] * (1 - across) + x[..., bottom, right] * across
            expected[..., row, column] = upper * (1 - down) + lower * down
    torch.testing.assert_close(Enlarge2x()(x), expected)


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 2, 3), (1, 1, 5)])
def test_without_the_enlarged_map_the_generator_is_the_same(shape: tuple[int, int, int]) -> None:
    found = []
    for fast in (True, False):
        torch.manual_seed(0)
        G = MNISTClassesNets().generator(shape, 10).double()
        for module in G.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
        G.fast = fast
        images = G(torch.randn(6, 10, dtype=torch.float64))
        weighted = images * torch.randn(images.shape, dtype=torch.float64)
        found.append([images, *torch.autograd.grad(weighted.sum(), list(G.parameters()))])
    for short, plain in zip(*found, strict=True):
        torch.testing.assert_close(short, plain, rtol=1e-9, atol=1e-9)


def test_the_short_form_is_taken_in_training_where_it_may_be() -> None:
    from ganvas import config
    from ganvas.batch import Batch
    from ganvas.training.state import new_state

    for wanted in (True, False):
        tables = config.read_recipe("mnist-classes").tables
        run = config.build(config.override(tables, [("train.fast_layers", wanted)]))
        state = new_state(run, MNIST, torch.device("cpu"))
        calls: list[int] = []
        enlarge = next(layer for layer in state.players.G if isinstance(layer, Enlarge2x))
        enlarge.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        with torch.no_grad():
            state.players.generate(Batch(torch.zeros(2, *MNIST)))
        assert len(calls) == (not wanted)


def test_pooling_before_the_relu_is_the_original_to_the_bit() -> None:
    torch.manual_seed(0)
    D = MNISTClassesNets().discriminator(MNIST).eval()
    layers = list(D.children())
    for place in [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]:
        assert isinstance(layers[place + 1], nn.ReLU)
        layers[place : place + 2] = reversed(layers[place : place + 2])
    images = torch.rand(8, *MNIST).requires_grad_()
    found, expected = (
        [y, *torch.autograd.grad(y.sum(), [images, *D.parameters()])]
        for y in (D(images), nn.Sequential(*layers)(images))
    )
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)
