"""Nearest-neighbour metrics: scikit-learn, known answers."""

from __future__ import annotations

import numpy as np
import pytest

from ganvas.metrics.neighbours import DuplicateRate, Memorisation, NearestLabel, NearestTwoSample

sklearn_neighbors = pytest.importorskip("sklearn.neighbors")


def test_label_error_equals_scikit_learn(digits):
    fake = digits.fake + 0.2 * np.random.default_rng(0).standard_normal(digits.fake.shape)
    model = sklearn_neighbors.KNeighborsClassifier(1, algorithm="brute")
    model.fit(fake.reshape(len(fake), -1), digits.fake_labels)
    expected = 1 - model.score(digits.real.reshape(len(digits.real), -1), digits.real_labels)
    result = NearestLabel().measure(fake, digits.fake_labels, digits.real, digits.real_labels)
    assert result.error == pytest.approx(expected, abs=1e-12)
    assert 0 < result.low < result.error < result.high < 0.2


def test_two_sample_accuracy_equals_scikit_learn(digits):
    fake = digits.fake + 0.05 * np.random.default_rng(0).standard_normal(digits.fake.shape)
    both = np.concatenate([digits.real, fake]).reshape(2 * len(fake), -1)
    finder = sklearn_neighbors.NearestNeighbors(n_neighbors=1, algorithm="brute").fit(both)
    own = (finder.kneighbors(return_distance=False)[:, 0] < len(fake)) == (
        np.arange(len(both)) < len(fake)
    )
    result = NearestTwoSample().measure(digits.real, fake)
    assert result.accuracy == pytest.approx(own.mean(), abs=1e-12)
    assert result.real == pytest.approx(own[: len(fake)].mean(), abs=1e-12)
    assert result.fake == pytest.approx(own[len(fake) :].mean(), abs=1e-12)


def test_two_sample_accuracy_of_halves_copies_and_strangers(digits):
    metric = NearestTwoSample()
    assert metric.measure(digits.real, digits.fake).accuracy == pytest.approx(0.5, abs=0.05)
    assert metric.measure(digits.real, digits.real).accuracy == 0
    assert metric.measure(digits.real, digits.fake + 5).accuracy == 1


def test_duplicates_are_counted(digits):
    fake = digits.fake.copy()
    metric = DuplicateRate(quantile=0.05)
    clean = metric.measure(digits.real, fake)
    assert clean.exact == 0
    assert clean.near == pytest.approx(0.05, abs=0.04)
    assert clean.threshold > 0
    fake[:90] = fake[90:180]
    fake[180:270] = fake[270:360] + 1e-3
    result = metric.measure(digits.real, fake)
    assert result.exact == pytest.approx(180 / 898)
    assert result.near >= 360 / 898
    assert metric.measure(digits.real, digits.real[:1].repeat(50, axis=0)).exact == 1


def test_copies_of_training_images_are_found(digits):
    train, test = digits.real[:600], digits.real[600:]
    fake = digits.fake[:300].copy()
    metric = Memorisation(worst=5)
    clean = metric.measure(train, test, fake)
    assert clean.copied < 0.01
    assert clean.closer == pytest.approx(0.5, abs=0.1)
    assert clean.test_distance == pytest.approx(clean.fake_distance, rel=0.1)
    fake[10], fake[20] = train[33], train[44] + 0.01
    fake[30:150] = train[100:220] + 0.02
    result = metric.measure(train, test, fake)
    assert result.copied >= 122 / 300
    assert result.closer > clean.closer
    assert [(pair.fake, pair.train) for pair in result.pairs[:2]] == [(10, 33), (20, 44)]
    assert result.pairs[0].distance == result.pairs[0].ratio == 0
    assert result.pairs[1].distance == pytest.approx(0.01 * 8)
    assert len(result.pairs) == 5


def test_a_training_image_that_is_there_twice_is_still_a_copy(digits):
    train = np.concatenate([digits.real, digits.real[:1]])
    result = Memorisation().measure(train, digits.fake, digits.real[:1])
    assert result.copied == 1
    assert result.pairs[0].train == 0
