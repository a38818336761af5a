"""Intervals: known values."""

from __future__ import annotations

import numpy as np
import pytest

from ganvas.metrics.interval import (
    jackknife_error,
    quantile_of_t,
    share_interval,
    share_of_independent,
    standard_error,
)


def test_share_interval_known_values():
    assert share_interval(0.0, 10) == pytest.approx((0, 0.27753), abs=1e-5)
    assert share_interval(0.5, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert share_interval(1.0, 10) == pytest.approx((1 - 0.27753, 1), abs=1e-5)


def test_jackknife_of_a_mean_is_its_standard_error(rng):
    values = rng.standard_normal(40)
    left_out = np.array([np.delete(values, i).mean() for i in range(40)])
    assert jackknife_error(left_out) == pytest.approx(values.std(ddof=1) / 40**0.5)
    assert standard_error(values) == pytest.approx(values.std(ddof=1) / 40**0.5)


@pytest.mark.parametrize("num", [10, 100, 1000, 2000, 10_000])
def test_an_interval_holds_its_share_at_either_end(num):
    """Rounding used to put the low end of a share of 0 at 2e-19."""
    assert share_interval(0.0, num)[0] == 0
    assert share_interval(1.0, num)[1] == 1


def test_quantiles_of_students_t():
    table = {1: 12.7062047, 2: 4.3026527, 9: 2.2621572, 10: 2.2281389, 39: 2.0226909}
    for degrees, expected in table.items():
        assert quantile_of_t(degrees) == pytest.approx(expected, abs=1e-6)


def test_images_that_repeat_are_worth_less():
    """Each image four times: a share of 0.5 of 400 has the variance of one of 100."""
    assert share_of_independent(0.5, 0.25 / 100, 400) == pytest.approx(0.25)
    assert share_of_independent(0.5, 0.0, 400) == 1
    assert share_of_independent(0.0, 0.0, 400) == 1
