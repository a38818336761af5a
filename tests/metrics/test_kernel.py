"""Kernel distance: a plain formula, blocks, no bias."""

from __future__ import annotations

import numpy as np
import pytest
from measuring import error, measured, value

from ganvas.metrics import kernel
from ganvas.metrics.kernel import KernelDistance
from ganvas.metrics.metric import Views


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
    assert value(KernelDistance(**options), *sets) == pytest.approx(
        plain_distance(*sets, **options), rel=1e-10
    )


def test_one_subset_of_all_images_is_the_exact_distance(sets):
    x, y = sets[0], sets[1][:230]
    found = measured(KernelDistance(subsets=1, subset_size=230), x, y).values
    assert found["subsets"] == pytest.approx(plain_distance(x, y), rel=1e-10)
    assert found["spread"] == 0


def test_block_size_changes_nothing(sets, monkeypatch):
    metric = KernelDistance(subset_size=100, subsets=5)
    expected = measured(metric, *sets)
    for size in (200_000, 20_000):  # 2 subsets at once, 25 rows of one subset
        monkeypatch.setattr(kernel, "BLOCK_BYTES", size)
        found = measured(metric, *sets)
        assert found.values == pytest.approx(expected.values, rel=1e-11)
        assert found.intervals["distance"] == pytest.approx(expected.intervals["distance"])


def test_subsets_estimate_the_exact_distance(sets):
    metric = KernelDistance(subset_size=100, subsets=200)
    found = measured(metric, *sets)
    exact, spread = found.values["distance"], found.values["spread"]
    assert found.values["subsets"] == pytest.approx(exact, abs=5 * spread / 200**0.5)
    assert found == measured(metric, *sets)
    other = measured(KernelDistance(subset_size=100, subsets=200, seed=1), *sets)
    assert found.values["subsets"] != other.values["subsets"]
    assert found.values["distance"] == other.values["distance"]


@pytest.mark.parametrize(("num", "size"), [(2100, 1000), (230, 115), (4, 2), (3, None)])
def test_a_subset_has_at_most_half_of_the_images(num, size, rng):
    real = Views(features=rng.standard_normal((num, 2)))
    assert KernelDistance().fitted(real) == KernelDistance(subset_size=size)
    if num < 100:
        values = measured(KernelDistance(), real.features, real.features + 1).values
        assert list(values) == ["distance", "subsets", "spread"][: 1 if size is None else 3]


def test_equal_distributions_are_at_zero_on_average(rng):
    values = [
        value(KernelDistance(subsets=1), rng.standard_normal((50, 5)), rng.standard_normal((40, 5)))
        for _ in range(300)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 300**0.5
    assert min(values) < 0


def test_error_is_the_spread_over_fresh_samples(rng):
    results = [
        measured(
            KernelDistance(subsets=1),
            rng.standard_normal((150, 5)),
            rng.standard_normal((100, 5)) + 1,
        )
        for _ in range(200)
    ]
    spread = np.std([found.values["distance"] for found in results])
    assert np.mean([error(found, "distance") for found in results]) == pytest.approx(
        spread, rel=0.2
    )
