"""What metrics take, and the one line each for what they do not take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from measuring import measured

from ganvas.errors import UsageError
from ganvas.metrics.classes import ScoreAndShares
from ganvas.metrics.duplicates import DuplicateRate
from ganvas.metrics.frechet import FrechetDistance, Gaussian, Moments, distance
from ganvas.metrics.inputs import features
from ganvas.metrics.kernel import KernelDistance
from ganvas.metrics.label_error import NearestLabel
from ganvas.metrics.memorisation import Memorisation
from ganvas.metrics.metric import Views
from ganvas.metrics.parzen import ParzenLogLikelihood
from ganvas.metrics.prdc import PrecisionRecallDensityCoverage
from ganvas.metrics.two_sample import NearestTwoSample
from ganvas.registry import METRICS

ROWS = np.random.default_rng(0).random((60, 4))
LABELS = np.arange(60) % 3
PAIRWISE = [
    FrechetDistance(groups=2),
    KernelDistance(subset_size=50, subsets=2),
    PrecisionRecallDensityCoverage(),
    NearestTwoSample(),
    DuplicateRate(),
]


def labelled(fakes, real):
    metric = NearestLabel()
    statistics = metric.statistics(Views(pixels=ROWS, labels=real))
    return metric.compare(statistics, Views(pixels=ROWS, labels=fakes))


def trained(training, unseen):
    return Memorisation().statistics(Views(training=training, unseen=unseen))


def parzen(fakes, held_out, test, **settings):
    metric = ParzenLogLikelihood(**{"num_held_out": 9} | settings)
    return measured(metric, test, fakes, held_out=held_out)


def score(given, **settings):
    return ScoreAndShares(**settings).compare(None, Views(probabilities=given))


def spoiled(value: float) -> np.ndarray:
    rows = ROWS.copy()
    rows[7, 2] = value
    return rows


@pytest.mark.parametrize("metric", PAIRWISE, ids=METRICS.name_of)
def test_takes_arrays_and_tensors_alike(metric):
    fake = ROWS[::-1] * 0.5
    expected = measured(metric, ROWS, fake)
    assert measured(metric, torch.from_numpy(ROWS), torch.from_numpy(fake.copy())) == expected
    assert measured(metric, ROWS.reshape(60, 2, 2), fake) == expected


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
        measured(metric, ROWS, fake)


@pytest.mark.parametrize("name", METRICS.names())
def test_refuses_views_without_what_it_needs(name):
    metric = METRICS.get(name)()
    with pytest.raises(UsageError, match="none given"):
        metric.statistics(Views())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measured(FrechetDistance(groups=0), ROWS, ROWS[:1]), "at least 2 are needed"),
        (lambda: measured(FrechetDistance(groups=20), ROWS, ROWS), "at least 80 are needed"),
        (lambda: FrechetDistance(groups=1), "0 or at least 2 groups"),
        (lambda: Moments(3).update(ROWS), "found 4 numbers an image; 3 are expected"),
        (lambda: Moments(3).gaussian(), "found 0 images"),
        (
            lambda: distance(
                Gaussian(9, np.zeros(2), np.eye(2)), Gaussian(9, np.zeros(3), np.eye(3))
            ),
            "features of 2 and 3 numbers",
        ),
        (
            lambda: measured(KernelDistance(subset_size=1000), ROWS, ROWS),
            "at least 1000 are needed",
        ),
        (
            lambda: measured(PrecisionRecallDensityCoverage(k=60), ROWS, ROWS),
            "found 60 images; at least 61 are needed",
        ),
        (lambda: measured(NearestTwoSample(), ROWS, ROWS[:50]), "found 50 and 60 real images"),
        (lambda: measured(DuplicateRate(), ROWS[:50], ROWS), "at most as many fakes"),
        (lambda: labelled(LABELS[:59], LABELS), "fake labels: found shape"),
        (lambda: labelled(LABELS, LABELS / 2), "test labels: .* of float64; 60 whole numbers"),
        (lambda: trained(ROWS[:1], ROWS), "training images: found 1 "),
        (lambda: trained(ROWS, ROWS[:, :2]), "test images: found 2 numbers"),
        (lambda: parzen(ROWS, ROWS, ROWS, num_held_out=1000), "held-out images: found 60 "),
        (lambda: parzen(2 * ROWS - 1, ROWS, ROWS), r"fake images: found pixels from -0.99\d* to"),
        (lambda: parzen(ROWS, ROWS, ROWS[:, :2]), "held-out images: found 4 numbers"),
        (lambda: parzen(ROWS, ROWS, ROWS, low=2.0), "parzen.high: found 1.0"),
        (lambda: score(ROWS), "give softmax probabilities, not logits"),
        (lambda: score(np.ones((60, 1))), "found one class"),
        (lambda: score(np.eye(9), splits=99), "found 9 images; at least 99"),
        (
            lambda: measured(ScoreAndShares(splits=1), np.eye(3), np.eye(4)),
            "found 4 classes, 3 for real images",
        ),
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


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_says_what_it_is(name):
    metric = METRICS.get(name)()
    assert metric == METRICS.get(name)() and hash(metric) == hash(METRICS.get(name)())
    assert type(metric).__doc__
    assert metric.needs and set(metric.better.values()) <= {"higher", "lower", "half"}
