"""Classifiers that learn from fakes: what they get right, and what spoils it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ganvas.errors import UsageError
from ganvas.metrics.cas import ClassificationAccuracy
from ganvas.metrics.metric import Measured, Views
from ganvas.pixels import ImageSet


def bars(num: int, seed: int) -> tuple[Any, Any]:
    """10x10 images of a bar, upright in class 0 and lying in class 1, somewhere on noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (num, 1, 10, 10), dtype=np.uint8)
    labels = np.arange(num) % 2
    for image, label, at in zip(images, labels, rng.integers(1, 8, num), strict=True):
        image[0, :, at : at + 2] = 255
        if label:
            image[0] = image[0].T
    return images, labels


def score(images: Any, labels: Any) -> Measured:
    metric = ClassificationAccuracy(shown=1200)
    test, known = bars(60, 1), bars(120, 2)
    views = Views(images=test[0], labels=test[1], labelled=ImageSet(*known), classes=("up", "flat"))
    return metric.compare(metric.statistics(views), Views(images=images, labels=labels))


def test_good_fakes_teach_bad_ones_do_not() -> None:
    images, labels = bars(120, 3)
    good = score(images, labels)
    assert list(good.values) == ["accuracy", "with_real", "worst", "class up", "class flat"]
    assert good.values["accuracy"] > 0.9 and good.values["with_real"] > 0.9
    shifted = score(images, 1 - labels)
    assert shifted.values["accuracy"] < 0.1
    assert shifted.values["with_real"] > shifted.values["accuracy"]
    for found in (good, shifted):
        assert found.values["worst"] == min(found.values["class up"], found.values["class flat"])
        for key, (low, high) in found.intervals.items():
            assert low - 1e-9 <= found.values[key] <= high + 1e-9


def test_it_is_the_same_each_time() -> None:
    images, labels = bars(40, 3)
    assert score(images, labels) == score(images, labels)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 1, 9, 10), np.uint8), np.zeros(4, int), "found shape .1, 9, 10., .1, 10, 10"),
        (np.zeros((4, 1, 10, 10)), np.zeros(4, int), "found float64 of shape"),
        (np.zeros((4, 1, 7, 10), np.uint8), np.zeros(4, int), "needs 8x8 at least"),
        (np.zeros((4, 1, 10, 10), np.uint8), np.full(4, 2), "found 2, which no real image has"),
        (np.zeros((4, 1, 10, 10), np.uint8), np.zeros(3, int), "fake labels: found shape"),
    ],
)
def test_what_it_cannot_use_is_one_line(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        score(images, labels)
