"""Stacked digits: each channel is a digit of MNIST, the class the number that they make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganvas.data import stacked
from ganvas.data.catalogue import fetch, list_datasets
from ganvas.data.datasets import MNIST
from ganvas.data.stacked import StackedMNIST


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacked, "COUNTS", {"train": 400, "test": 50})


def test_each_channel_is_the_digit_that_the_class_says(small_mnist: Path) -> None:
    digits = MNIST().load("train", small_mnist)
    raw = StackedMNIST().load("train", small_mnist)
    assert isinstance(raw.images, np.ndarray) and raw.images.shape == (400, 3, 28, 28)
    assert raw.labels is not None and digits.labels is not None
    assert raw.classes[7] == "007" and raw.classes[982] == "982" and len(raw.classes) == 1000
    pairs = zip(digits.images, digits.labels, strict=True)
    known = {image.tobytes(): int(label) for image, label in pairs}
    for image, label in zip(raw.images[:50], raw.labels[:50], strict=True):
        found = [known[channel.tobytes()] for channel in image]
        assert found == [int(letter) for letter in raw.classes[label]]
    assert len(np.unique(raw.labels)) > 250


def test_a_seed_makes_the_same_stacks_and_splits_have_their_own(small_mnist: Path) -> None:
    once, again = (StackedMNIST().load("train", small_mnist) for _ in range(2))
    other = StackedMNIST(seed=1).load("train", small_mnist)
    assert np.array_equal(once.images, again.images)
    assert not np.array_equal(once.labels, other.labels)
    test = StackedMNIST().load("test", small_mnist)
    assert len(test.images) == 50
    digits = {image.tobytes() for image in MNIST().load("test", small_mnist).images}
    assert {channel.tobytes() for image in test.images for channel in image} <= digits


def test_it_is_there_where_mnist_is(small_mnist: Path) -> None:
    def listed(root: Path | None) -> tuple[str, dict[str, int]]:
        one = next(one for one in list_datasets(root) if one.dataset == "stacked-mnist")
        return one.status, one.splits

    assert listed(None) == ("missing", {})
    assert listed(small_mnist) == ("drawn on first use", {"train": 400, "test": 50})
    assert fetch("stacked-mnist", small_mnist).files == fetch("mnist", small_mnist).files
