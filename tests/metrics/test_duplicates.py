"""Repeated fakes are counted."""

from __future__ import annotations

import numpy as np
import pytest
from measuring import measured

from ganvas.metrics.duplicates import DuplicateRate


def test_duplicates_are_counted(digits):
    fake = digits.fake.copy()
    metric = DuplicateRate(quantile=0.05)
    clean = measured(metric, digits.real, fake).values
    assert clean["exact"] == 0
    assert clean["near"] == pytest.approx(0.05, abs=0.04)
    fake[:90] = fake[90:180]
    fake[180:270] = fake[270:360] + 1e-3
    found = measured(metric, digits.real, fake).values
    assert found["exact"] == pytest.approx(180 / 898)
    assert found["near"] >= 360 / 898
    copies = digits.real[:1].repeat(50, axis=0)
    assert measured(metric, digits.real, copies).values["exact"] == 1


def test_as_many_real_images_as_fakes_set_the_threshold():
    """Real images at 0, 1, 3 and 3.1: among the first three no distance is below 1."""
    real, fake = np.array([[0.0], [1], [3], [3.1]]), np.array([[0.0], [0.5], [5]])
    assert measured(DuplicateRate(quantile=0.5), real, fake).values["near"] == 2 / 3
    found = measured(DuplicateRate(quantile=0.3), real, np.array([[0.0], [0.5], [5], [9]]))
    assert found.values["near"] == 0  # of all four 0.1 is the least distance, twice
