"""The worse the fakes, the worse the numbers: five strengths of each fault, on 8x8 digits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from measuring import measured
from numpy.typing import NDArray

from ganvas.metrics.classes import ScoreAndShares
from ganvas.metrics.duplicates import DuplicateRate
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.kernel import KernelDistance
from ganvas.metrics.label_error import NearestLabel
from ganvas.metrics.memorisation import Memorisation
from ganvas.metrics.metric import Views
from ganvas.metrics.parzen import ParzenLogLikelihood
from ganvas.metrics.prdc import PrecisionRecallDensityCoverage
from ganvas.metrics.two_sample import NearestTwoSample

linear_model = pytest.importorskip("sklearn.linear_model")
ndimage = pytest.importorskip("scipy.ndimage")

STRENGTHS = 5
PRDC = PrecisionRecallDensityCoverage()
KERNEL = KernelDistance(subsets=50, subset_size=600)
PARZEN = ParzenLogLikelihood(num_held_out=400)


class Tools(NamedTuple):
    axes: NDArray[np.float64]
    """PCA axes of the real pixels, (64, 16)."""
    classifier: object

    @staticmethod
    def pixels(images):
        return images.reshape(len(images), -1)

    def features(self, images):
        return self.pixels(images) @ self.axes

    def probabilities(self, images):
        return self.classifier.predict_proba(self.pixels(images))


@pytest.fixture(scope="module")
def tools(digits):
    pixels = digits.real.reshape(len(digits.real), -1)
    axes = np.linalg.svd(pixels - pixels.mean(axis=0))[2][:16].T
    return Tools(axes, linear_model.LogisticRegression(C=1.0).fit(pixels, digits.real_labels))


def noise(digits, strength):
    draws = np.random.default_rng(1).standard_normal(digits.fake.shape)
    return digits.fake + 0.4 * strength * draws, digits.fake_labels


def light_noise(digits, strength):
    """For the classifier score: heavy noise makes a linear classifier sure of itself again."""
    return noise(digits, strength / 4)


def blur(digits, strength):
    sigma = 0.5 * strength
    return ndimage.gaussian_filter(digits.fake, (0, sigma, sigma)), digits.fake_labels


def dropped_classes(digits, strength):
    """As many fakes as ever, all of the last 10 - strength classes."""
    left = np.flatnonzero(digits.fake_labels >= strength)
    rows = np.resize(left, len(digits.fake))
    return digits.fake[rows], digits.fake_labels[rows]


def duplicates(digits, strength):
    """As many fakes as ever, of which half, a quarter, ... are different."""
    rows = np.resize(np.arange(len(digits.fake) >> strength), len(digits.fake))
    return digits.fake[rows], digits.fake_labels[rows]


FAULTS = [noise, blur, dropped_classes, duplicates]
OF_FEATURES = {
    "fd": (FrechetDistance(groups=0), "distance", FAULTS),
    "kd": (KERNEL, "distance", FAULTS),
    "kd-subsets": (KERNEL, "subsets", FAULTS),
    "precision": (PRDC, "precision", [noise]),
    "density": (PRDC, "density", [noise]),
    "recall": (
        PRDC,
        "recall",
        [blur, dropped_classes, duplicates],
    ),  # noise widens the fakes' balls
    "coverage": (PRDC, "coverage", FAULTS),
    "two-sample": (NearestTwoSample(), "accuracy", FAULTS),
    "exact": (DuplicateRate(), "exact", [duplicates]),
    "near": (DuplicateRate(), "near", [duplicates]),
}


def worsens(metric, key, results):
    values = [result.values[key] for result in results]
    better = metric.better["distance" if key == "subsets" else key]
    if better == "half":
        values = [abs(value - 0.5) for value in values]
    steps = np.diff(values) * (-1 if better == "higher" else 1)
    assert (steps >= 0).all(), values
    assert values[-1] != values[0], values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fault"),
    [(name, fault) for name, (_, _, faults) in OF_FEATURES.items() for fault in faults],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_feature_metrics_worsen(name, fault, digits, tools):
    metric, key, _ = OF_FEATURES[name]
    # duplicates are told by their pixels, as in the command: a product of matrices rounds equal
    # rows in different ways where its blocks end
    rows = Tools.pixels if isinstance(metric, DuplicateRate) else tools.features
    real = rows(digits.real)
    results = [
        measured(metric, real, rows(fault(digits, strength)[0]))
        for strength in range(STRENGTHS + 1)
    ]
    worsens(metric, key, results)


@pytest.mark.parametrize("fault", FAULTS)
def test_parzen_worsens(fault, digits):
    results = [
        measured(
            PARZEN,
            digits.real[400:],
            np.clip(fault(digits, strength)[0], 0, 1),
            held_out=digits.real[:400],
        )
        for strength in range(STRENGTHS + 1)
    ]
    worsens(PARZEN, "log_likelihood", results)


@pytest.mark.parametrize("fault", FAULTS)
def test_label_error_worsens(fault, digits):
    metric = NearestLabel()
    statistics = metric.statistics(Views(pixels=digits.real, labels=digits.real_labels))
    results = []
    for strength in range(STRENGTHS + 1):
        fakes, labels = fault(digits, strength)
        results.append(metric.compare(statistics, Views(pixels=fakes, labels=labels)))
    worsens(metric, "error", results)


@pytest.mark.parametrize("fault", [light_noise, blur, dropped_classes])
def test_classifier_score_worsens(fault, digits, tools):
    metric = ScoreAndShares(splits=1)
    real = tools.probabilities(digits.real)
    results = [
        measured(metric, real, tools.probabilities(fault(digits, strength)[0]))
        for strength in range(STRENGTHS + 1)
    ]
    worsens(metric, "score", results)


@pytest.mark.parametrize("key", ["kl", "classes_hit"])
def test_class_shares_worsen(key, digits, tools):
    metric = ScoreAndShares(confidence=0.5)
    real = tools.probabilities(digits.real)
    results = [
        measured(metric, real, tools.probabilities(dropped_classes(digits, strength)[0]))
        for strength in range(STRENGTHS + 1)
    ]
    worsens(metric, key, results)


def test_memorisation_worsens(digits):
    """More and more fakes are training images with a little noise."""
    metric = Memorisation()
    draws = 0.01 * np.random.default_rng(1).standard_normal(digits.fake.shape)
    statistics = metric.statistics(Views(training=digits.real, unseen=digits.fake[448:]))
    results = []
    for strength in range(STRENGTHS + 1):
        fake = digits.fake[:448].copy()
        num = 80 * strength
        fake[:num] = digits.real[:num] + draws[:num]
        results.append(metric.compare(statistics, Views(pixels=fake)))
    worsens(metric, "copied", results)
    assert (np.diff([result.values["closer"] for result in results]) > 0.05).all()
