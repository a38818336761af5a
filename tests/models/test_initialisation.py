"""Fresh nets have the weights that each system starts from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from ganvas.models.cs231n import CS231nDCGAN
from ganvas.models.firstgan import FirstGANDCGAN
from ganvas.models.genzoo import GenZooMNIST
from ganvas.models.mnist_classes import MNISTClassesNets
from ganvas.models.modelzoo import ModelZoo
from ganvas.registry import MODELS

MNIST, LARGE = (1, 28, 28), (1, 64, 64)


@pytest.mark.parametrize(
    ("net", "layer", "limit"),
    [
        (lambda: ModelZoo().generator(MNIST, 100), 0, 0.12982),  # dense 100 -> 256
        (lambda: GenZooMNIST().generator(MNIST, 100), 0, 0.02178),  # dense 100 -> 12544
        (lambda: GenZooMNIST().generator(MNIST, 100), 1, 0.02500),  # 256 -> 128, 5x5
        (lambda: GenZooMNIST().discriminator(MNIST), 0, 0.06076),  # 1 -> 64, 5x5
    ],
)
def test_glorot_limits(net: Callable[[], nn.Module], layer: int, limit: float) -> None:
    torch.manual_seed(0)
    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    weight = [module.weight for module in net().modules() if isinstance(module, kinds)][layer]
    assert 0.99 * limit < weight.abs().max() <= limit + 5e-6
    assert weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize(
    "model", [ModelZoo(), MNISTClassesNets(), GenZooMNIST(d_bias="all")], ids=MODELS.name_of
)
def test_zero_biases(model: Any) -> None:
    for net in (model.generator(MNIST, 10), model.discriminator(MNIST)):
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                assert not parameter.any(), name


def test_truncated_normal_of_mnist_classes() -> None:
    torch.manual_seed(0)
    model = MNISTClassesNets()
    for net in (model.generator(MNIST, 100), model.discriminator(MNIST)):
        weights = torch.cat([p.flatten() for n, p in net.named_parameters() if "weight" in n])
        assert weights.abs().max() <= 0.04
        assert weights.std().item() == pytest.approx(0.8796 * 0.02, rel=0.01)


def test_cs231n_dcgan_initialisation() -> None:
    torch.manual_seed(0)
    conv, _, _, second, _, _, _, dense, *_ = CS231nDCGAN().discriminator(MNIST).children()
    assert conv.weight.abs().max() <= 1 / 5  # PyTorch's own: 1 / sqrt(fan_in)
    assert 0.98 / math.sqrt(800) < second.weight.abs().max() <= 1 / math.sqrt(800)
    assert 0.99 * math.sqrt(6 / 2048) < dense.weight.abs().max() <= math.sqrt(6 / 2048)
    assert 0 < dense.bias.abs().max() <= 1 / 32
    transposed = list(CS231nDCGAN().generator(MNIST, 96).children())[7]
    limit = math.sqrt(6 / ((128 + 64) * 16))
    assert 0.99 * limit < transposed.weight.abs().max() <= limit


def test_dcgan_initialisation() -> None:
    torch.manual_seed(0)
    for net in (
        FirstGANDCGAN().generator(LARGE, 100),
        FirstGANDCGAN().discriminator(LARGE),
    ):
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
                assert module.bias is None
            elif isinstance(module, nn.BatchNorm2d):
                assert module.weight.mean().item() == pytest.approx(1, abs=0.01)
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.5)
                assert not module.bias.any()
    plain = FirstGANDCGAN(init="default").discriminator(LARGE)
    first, *_, last = (m for m in plain.modules() if isinstance(m, nn.Conv2d))
    assert first.weight.abs().max().item() == pytest.approx(1 / 4, rel=0.01)  # 1 / sqrt(fan_in)
    assert last.weight.abs().max().item() == pytest.approx(1 / math.sqrt(8192), rel=0.01)
    assert all((m.weight == 1).all() for m in plain.modules() if isinstance(m, nn.BatchNorm2d))
