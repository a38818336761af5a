"""1-NN error on labelled fakes: scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ganvas.metrics.label_error import NearestLabel
from ganvas.metrics.metric import Views


def test_label_error_equals_scikit_learn(digits):
    fake = digits.fake + 0.2 * np.random.default_rng(0).standard_normal(digits.fake.shape)
    model = KNeighborsClassifier(1, algorithm="brute")
    model.fit(fake.reshape(len(fake), -1), digits.fake_labels)
    expected = 1 - model.score(digits.real.reshape(len(digits.real), -1), digits.real_labels)
    metric = NearestLabel()
    statistics = metric.statistics(Views(pixels=digits.real, labels=digits.real_labels))
    found = metric.compare(statistics, Views(pixels=fake, labels=digits.fake_labels))
    assert found.values["error"] == pytest.approx(expected, abs=1e-12)
    low, high = found.intervals["error"]
    assert 0 < low < found.values["error"] < high < 0.2
