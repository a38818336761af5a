"""What metrics take, and the one line each for what they do not take."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganvas.errors import UsageError
from ganvas.metrics.classes import ClassifierScore, ClassShares
from ganvas.metrics.frechet import FrechetDistance, Gaussian, Moments
from ganvas.metrics.inputs import features
from ganvas.metrics.kernel import KernelDistance, KernelDistanceExact
from ganvas.metrics.neighbours import DuplicateRate, Memorisation, NearestLabel, NearestTwoSample
from ganvas.metrics.parzen import ParzenLogLikelihood
from ganvas.metrics.prdc import PrecisionRecallDensityCoverage
from ganvas.registry import METRICS

ROWS = np.random.default_rng(0).random((60, 4))
LABELS = np.arange(60) % 3
PAIRWISE = [
    FrechetDistance(groups=2),
    KernelDistance(subset_size=50, subsets=2),
    KernelDistanceExact(),
    PrecisionRecallDensityCoverage(),
    NearestTwoSample(),
    DuplicateRate(),
]


def spoiled(value: float) -> np.ndarray:
    rows = ROWS.copy()
    rows[7, 2] = value
    return rows


@pytest.mark.parametrize("metric", PAIRWISE, ids=METRICS.name_of)
def test_takes_arrays_and_tensors_alike(metric):
    fake = ROWS[::-1] * 0.5
    expected = metric.measure(ROWS, fake)
    assert metric.measure(torch.from_numpy(ROWS), torch.from_numpy(fake.copy())) == expected
    assert metric.measure(ROWS.reshape(60, 2, 2), fake) == expected


@pytest.mark.parametrize("metric", PAIRWISE, ids=METRICS.name_of)
@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (spoiled(np.nan), "fake images: 1 of 60 rows hold NaN or infinity, the first is row 7"),
        (spoiled(np.inf), "NaN or infinity"),
        (ROWS[:, :3], "fake images: found 3 numbers an image and 4"),
        (ROWS[:1], "."),
        (ROWS[:0], "fake images: found shape"),
        (ROWS[:, 0], "one row an image is expected"),
    ],
)
def test_refuses_bad_features(metric, fake, message):
    with pytest.raises(UsageError, match=message):
        metric.measure(ROWS, fake)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FrechetDistance(groups=0).measure(ROWS, ROWS[:1]), "at least 2 are needed"),
        (lambda: FrechetDistance(groups=20).measure(ROWS, ROWS), "at least 80 are needed"),
        (lambda: FrechetDistance(groups=1), "0 or at least 2 groups"),
        (lambda: Moments(3).update(ROWS), "found 4 numbers an image; 3 are expected"),
        (lambda: Moments(3).gaussian(), "found 0 images"),
        (
            lambda: FrechetDistance().distance(
                Gaussian(9, np.zeros(2), np.eye(2)), Gaussian(9, np.zeros(3), np.eye(3))
            ),
            "features of 2 and 3 numbers",
        ),
        (lambda: KernelDistance().measure(ROWS, ROWS), "at least 1000 are needed"),
        (
            lambda: PrecisionRecallDensityCoverage(k=60).measure(ROWS, ROWS),
            "found 60 images; at least 61 are needed",
        ),
        (lambda: NearestTwoSample().measure(ROWS, ROWS[:50]), "found 50 and 60 real images"),
        (lambda: DuplicateRate().measure(ROWS[:50], ROWS), "at most as many fakes"),
        (
            lambda: NearestLabel().measure(ROWS, LABELS[:59], ROWS, LABELS),
            "fake labels: found shape",
        ),
        (
            lambda: NearestLabel().measure(ROWS, LABELS, ROWS, LABELS / 2),
            "test labels: .* of float64; 60 whole numbers",
        ),
        (lambda: Memorisation().measure(ROWS[:1], ROWS, ROWS), "training images: found 1 "),
        (lambda: Memorisation().measure(ROWS, ROWS[:, :2], ROWS), "test images: found 2 numbers"),
        (lambda: ParzenLogLikelihood().measure(ROWS, ROWS, ROWS), "held-out images: found 60 "),
        (
            lambda: ParzenLogLikelihood(num_held_out=9).measure(2 * ROWS - 1, ROWS, ROWS),
            r"samples: found pixels from -0.99\d* to",
        ),
        (
            lambda: ParzenLogLikelihood(num_held_out=9).measure(ROWS, ROWS, ROWS[:, :2]),
            "test images: found 2 numbers",
        ),
        (
            lambda: ParzenLogLikelihood(num_held_out=9, low=2.0).measure(ROWS, ROWS, ROWS),
            "parzen.high: found 1.0",
        ),
        (lambda: ClassifierScore().measure(ROWS), "give softmax probabilities, not logits"),
        (lambda: ClassifierScore().measure(np.ones((60, 1))), "found one class"),
        (lambda: ClassifierScore(splits=99).measure(np.eye(9)), "found 9 images; at least 99"),
        (
            lambda: ClassShares().measure(np.eye(3), np.eye(4)),
            "found 4 classes, 3 for real images",
        ),
        (lambda: ClassShares().measure(np.eye(3)[:2], np.eye(3)), "in 1 of 3 classes"),
    ],
)
def test_refuses_what_a_metric_cannot_use(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_features_keep_their_precision_and_grey_levels():
    assert features(torch.zeros(2, 3, dtype=torch.bfloat16), "x").dtype == np.float32
    assert features(np.zeros((2, 3)), "x").dtype == np.float64
    grey = features(np.full((2, 1, 4, 4), 255, np.uint8), "x")
    assert grey.shape == (2, 16)
    assert grey.max() == 255


def test_every_metric_is_registered_and_says_what_is_better():
    for name in METRICS.names():
        metric = METRICS.get(name)()
        assert metric == METRICS.get(name)()
        assert type(metric).__doc__
        assert set(metric.better.values()) <= {"higher", "lower", "half"}
