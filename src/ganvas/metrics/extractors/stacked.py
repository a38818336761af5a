"""The classifier of stacked digits: that of single ones, on each channel."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from ganvas.metrics import cache
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.registry import DATASETS

SINGLE: Final = {"stacked-mnist": "mnist"}
"""Data sets whose channels are images of another one."""


def single(dataset: object) -> str:
    """The name of a data set, or of that whose images its channels are."""
    name = DATASETS.name_of(dataset)
    return SINGLE.get(name, name)


def is_stacked(dataset: object) -> bool:
    return DATASETS.name_of(dataset) in SINGLE


def of_stacks(extractor: Extractor) -> Extractor:
    """From a classifier of one channel that of three: features side by side, a class for each
    three, whose probability is the product of theirs.

    Its accuracy is the third power of the other's: digits of a stack are drawn one by one.
    """
    assert extractor.shape and extractor.accuracy
    return replace(
        extractor,
        name=f"{extractor.name}, each channel",
        sha256=cache.sha256(f"stacked {extractor.sha256}".encode()),
        net=StackedView(extractor.net),
        shape=(3, *extractor.shape[1:]),
        accuracy=extractor.accuracy**3,
        num_test=None,
    )


class StackedView(nn.Module):
    """(N, 3, H, W) -> features (N, 3 d) and probabilities (N, classes^3)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        num = len(images)
        features, shares = self.net(images.flatten(0, 1)[:, None])
        first, second, third = shares.view(num, 3, -1).unbind(1)
        together = torch.einsum("na,nb,nc->nabc", first, second, third)
        return features.view(num, -1), together.flatten(1)
