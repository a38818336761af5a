"""The layer table, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganvas.models.genzoo import GenZooMNIST
from ganvas.models.summary import layers, num_parameters

MNIST = (1, 28, 28)


def test_the_rows_of_genzoo_mnist() -> None:
    with torch.device("meta"):
        G = GenZooMNIST().generator(MNIST, 100)
        D = GenZooMNIST(d_bias="last").discriminator(MNIST)
        g_rows, d_rows = layers(G, torch.empty(2, 100)), layers(D, torch.empty(2, *MNIST))
    assert [row.multiply_adds for row in g_rows if row.multiply_adds] == [
        100 * 12_544,
        256 * 128 * 25 * 49,  # 7x7 go in
        128 * 64 * 25 * 49,  # and here, to 14x14
        64 * 25 * 196,
    ]
    assert [(row.output, row.parameters, row.multiply_adds) for row in d_rows] == [
        ([64, 14, 14], 64 * 25, 64 * 25 * 196),
        ([64, 14, 14], 0, 0),
        ([64, 14, 14], 0, 0),
        ([128, 7, 7], 64 * 128 * 25, 64 * 128 * 25 * 49),
        ([128, 7, 7], 0, 0),
        ([128, 7, 7], 0, 0),
        ([6272], 0, 0),
        ([1], 6273, 6272),
        ([], 0, 0),
    ]
    assert d_rows[0].layer.startswith("SameConv2d(1, 64, kernel_size=(5, 5), stride=(2, 2)")
    assert sum(row.parameters for row in g_rows) == num_parameters(G) == 2_305_472


def test_a_net_that_fails_keeps_no_hooks() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2))
    with pytest.raises(RuntimeError):
        layers(net, torch.ones(1, 3))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_layer_that_runs_twice_has_two_rows() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(self.dense(x))

    assert [row.multiply_adds for row in layers(Twice(), torch.ones(5, 3))] == [9, 9]
