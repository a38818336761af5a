"""1-NN two-sample accuracy: scikit-learn, known answers."""

from __future__ import annotations

import numpy as np
import pytest
from measuring import measured, value
from sklearn.neighbors import NearestNeighbors

from ganvas.metrics.two_sample import NearestTwoSample


def own_share(real, fake):
    """By brute force: of the real images, and of the fakes, those whose nearest is of their set."""
    both = np.concatenate([real, fake]).reshape(2 * len(fake), -1)
    finder = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(both)
    near = finder.kneighbors(return_distance=False)[:, 0]
    own = (near < len(fake)) == (np.arange(len(both)) < len(fake))
    return own[: len(fake)].mean(), own[len(fake) :].mean()


def test_two_sample_accuracy_equals_scikit_learn(digits):
    fake = digits.fake + 0.05 * np.random.default_rng(0).standard_normal(digits.fake.shape)
    real_share, fake_share = own_share(digits.real, fake)
    values = measured(NearestTwoSample(), digits.real, fake).values
    assert values["accuracy"] == pytest.approx((real_share + fake_share) / 2, abs=1e-12)
    assert values["real"] == pytest.approx(real_share, abs=1e-12)
    assert values["fake"] == pytest.approx(fake_share, abs=1e-12)


def test_of_equally_near_images_the_real_one_counts():
    """0 lies between a real image and a fake; so does the fake 4, between 6 and another fake."""
    real, fake = np.array([[0.0], [1], [6]]), np.array([[-1.0], [4], [2]])
    values = measured(NearestTwoSample(), real, fake).values
    # of the real ones 0 and 1 are nearest to each other (1 also to the fake 2), 6 to the fake 4;
    # of the fakes -1 is nearest to 0, 4 to 6 (and to the fake 2), 2 to 1
    assert values == {"accuracy": 1 / 3, "real": 2 / 3, "fake": 0.0}


def test_two_sample_accuracy_of_halves_copies_and_strangers(digits):
    metric = NearestTwoSample()
    assert value(metric, digits.real, digits.fake) == pytest.approx(0.5, abs=0.05)
    assert value(metric, digits.real, digits.real) == 0
    assert value(metric, digits.real, digits.fake + 5) == 1
