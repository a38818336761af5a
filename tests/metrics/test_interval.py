"""Intervals: known values."""

from __future__ import annotations

import numpy as np
import pytest

from ganvas.metrics.interval import jackknife_error, share_interval, standard_error


def test_share_interval_known_values():
    assert share_interval(0.0, 10) == pytest.approx((0, 0.27753), abs=1e-5)
    assert share_interval(0.5, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert share_interval(1.0, 10) == pytest.approx((1 - 0.27753, 1), abs=1e-5)


def test_jackknife_of_a_mean_is_its_standard_error(rng):
    values = rng.standard_normal(40)
    left_out = np.array([np.delete(values, i).mean() for i in range(40)])
    assert jackknife_error(left_out) == pytest.approx(values.std(ddof=1) / 40**0.5)
    assert standard_error(values) == pytest.approx(values.std() / 40**0.5)
