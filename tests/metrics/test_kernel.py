"""Kernel distance: a plain formula, blocks, no bias."""

from __future__ import annotations

import numpy as np
import pytest

from ganvas.metrics import kernel
from ganvas.metrics.kernel import KernelDistance, KernelDistanceExact


def plain_distance(x, y, degree=3, gamma=None, coef=1.0):
    """The sum over pairs, written out."""
    gamma = gamma or 1 / x.shape[1]
    m, n = len(x), len(y)

    def k(a, b):
        return (gamma * a @ b.T + coef) ** degree

    def others(a):
        full = k(a, a)
        return (full.sum() - np.trace(full)) / (len(a) * (len(a) - 1))

    return others(x) + others(y) - 2 * k(x, y).sum() / (m * n)


@pytest.fixture
def sets(rng):
    return rng.standard_normal((230, 6)), rng.standard_normal((310, 6)) * 1.2 + 0.3


@pytest.mark.parametrize("options", [{}, {"degree": 1}, {"degree": 2, "gamma": 0.7, "coef": 0.0}])
def test_exact_equals_the_sum_over_pairs(sets, options):
    result = KernelDistanceExact(**options).measure(*sets)
    assert result.distance == pytest.approx(plain_distance(*sets, **options), rel=1e-10)


def test_one_subset_of_all_images_is_the_exact_distance(sets):
    x, y = sets[0], sets[1][:230]
    result = KernelDistance(subsets=1, subset_size=230).measure(x, y)
    assert result.distance == pytest.approx(plain_distance(x, y), rel=1e-10)
    assert result.spread == 0


def test_block_size_changes_nothing(sets, monkeypatch):
    metric = KernelDistance(subset_size=100, subsets=5)
    exact, drawn = KernelDistanceExact().measure(*sets), metric.measure(*sets)
    for size in (200_000, 20_000):  # 2 subsets at once, 25 rows of one subset
        monkeypatch.setattr(kernel, "BLOCK_BYTES", size)
        result = KernelDistanceExact().measure(*sets)
        assert result.distance == pytest.approx(exact.distance, rel=1e-11)
        assert result.error == pytest.approx(exact.error, rel=1e-11)
        result = metric.measure(*sets)
        assert result.distance == pytest.approx(drawn.distance, rel=1e-11)
        assert result.spread == pytest.approx(drawn.spread, rel=1e-11)


def test_subsets_estimate_the_exact_distance(sets):
    exact = KernelDistanceExact().measure(*sets)
    result = KernelDistance(subset_size=100, subsets=200).measure(*sets)
    assert result.distance == pytest.approx(exact.distance, abs=5 * result.spread / 200**0.5)
    assert result == KernelDistance(subset_size=100, subsets=200).measure(*sets)
    assert result != KernelDistance(subset_size=100, subsets=200, seed=1).measure(*sets)


def test_equal_distributions_are_at_zero_on_average(rng):
    values = [
        KernelDistanceExact()
        .measure(rng.standard_normal((50, 5)), rng.standard_normal((40, 5)))
        .distance
        for _ in range(300)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 300**0.5
    assert min(values) < 0


def test_error_is_the_spread_over_fresh_samples(rng):
    results = [
        KernelDistanceExact().measure(
            rng.standard_normal((150, 5)), rng.standard_normal((100, 5)) + 1
        )
        for _ in range(200)
    ]
    spread = np.std([result.distance for result in results])
    assert np.mean([result.error for result in results]) == pytest.approx(spread, rel=0.2)
