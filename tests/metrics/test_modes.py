"""Modes covered and their divergence, and the classifier of stacked digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganvas.data.datasets import Digits
from ganvas.data.stacked import CLASSES, StackedMNIST
from ganvas.errors import UsageError
from ganvas.metrics.extractors import choice
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.metrics.extractors.stacked import of_stacks
from ganvas.metrics.metric import Views
from ganvas.metrics.modes import Modes
from ganvas.pixels import ImageSet


def modes(probabilities: Any, counts: Any = (1, 1, 1, 1), **settings: Any) -> dict[str, float]:
    metric = Modes(**settings)
    statistics = metric.statistics(Views(class_counts=np.array(counts)))
    return metric.compare(statistics, Views(probabilities=probabilities)).values


def test_by_hand() -> None:
    """Three fakes of class 0 and one of class 2, of a data set of which half is class 0."""
    seen = np.eye(4)[[0, 0, 0, 2]]
    found = modes(seen, (6, 2, 2, 2))
    expected = 3 / 4 * math.log(3 / 4 / (1 / 2)) + 1 / 4 * math.log(1 / 4 / (1 / 6))
    assert found == pytest.approx({"modes": 2, "kl": expected})
    equal = 3 / 4 * math.log(3) + 1 / 4 * math.log(1)
    found = modes(seen, (6, 2, 2, 2), against="uniform")
    assert found == pytest.approx({"modes": 2, "kl": equal})
    assert modes(seen, hits=2)["modes"] == 1


def test_unsure_fakes_are_left_out() -> None:
    seen = np.array([[0.9, 0.1, 0, 0], [0.4, 0.6, 0, 0]])
    assert modes(seen)["modes"] == 2
    found = modes(seen, confidence=0.7)
    assert found == pytest.approx({"modes": 1, "kl": math.log(4)})
    assert modes(seen, confidence=0.95) == {"modes": 0, "kl": math.inf}


def test_a_perfect_generator_has_the_divergence_that_its_docstring_says() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 200, 4000)
    found = modes(np.eye(200, dtype=np.float32)[drawn], np.full(200, 9))
    assert found["modes"] == 200
    assert found["kl"] == pytest.approx(199 / 8000, rel=0.15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: modes(np.eye(3)), "found 3 classes, 4 in the data set"),
        (lambda: modes(np.eye(4), (1, 0, 1, 0)), "2 of 4 classes have no training image"),
        (lambda: modes(2 * np.eye(4)), "a row is no distribution"),
        (
            lambda: Modes().statistics(Views(class_counts=np.ones(4), own_classes=False)),
            "own classes",
        ),
    ],
)
def test_what_it_cannot_use_is_one_line(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


# The classifier


class Brightness(nn.Module):
    """Two classes, dark and bright, of one channel."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        bright = (images.mean(dim=(1, 2, 3)) + 1) / 2
        return bright[:, None], torch.stack([1 - bright, bright], dim=1)


def test_the_probability_of_a_stack_is_the_product_of_its_channels() -> None:
    one = Extractor("net", "0" * 64, Brightness(), (1, 8, 8), accuracy=0.9)
    three = of_stacks(one)
    images = np.empty((2, 3, 8, 8), np.uint8)
    images[0] = np.array([255, 0, 51])[:, None, None]
    images[1] = 255
    features, probabilities = three(images)
    assert features == pytest.approx(np.array([[1, 0, 0.2], [1, 1, 1]]), abs=1e-6)
    expected = np.zeros((2, 8))
    expected[0, [0b100, 0b101]] = 0.8, 0.2
    expected[1, 0b111] = 1
    assert probabilities == pytest.approx(expected, abs=1e-6)
    assert three.accuracy == pytest.approx(0.729) and three.sha256 != one.sha256
    assert three.name == "net, each channel" and three.shape == (3, 8, 8)


def test_stacked_digits_are_seen_by_the_classifier_of_mnist() -> None:
    digits = Digits().load("test", None)
    images = np.concatenate([digits.images[i : 297 + i : 3] for i in range(3)], axis=1)
    labels = sum(digits.labels[i : 297 + i : 3] * 10 ** (2 - i) for i in range(3))
    train = ImageSet(images, labels, CLASSES)
    extractor = choice.choose("auto", StackedMNIST(), train, None)
    assert extractor.name == "classifier-mnist, each channel"
    assert extractor.accuracy == pytest.approx(0.9974**3, abs=1e-3)
    features, probabilities = extractor(images)
    assert features.shape == (99, 384) and probabilities is not None
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.5  # scans are not quite MNIST
