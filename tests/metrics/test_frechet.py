"""Fréchet distance: closed forms, an independent formula, streaming."""

from __future__ import annotations

import numpy as np
import pytest

from ganvas.metrics.frechet import FrechetDistance, Gaussian, Moments


def gaussian(mean, covariance):
    return Gaussian(1000, np.asarray(mean, float), np.asarray(covariance, float))


def random_gaussian(rng, dims):
    root = rng.standard_normal((dims, 2 * dims))
    return gaussian(rng.standard_normal(dims), root @ root.T / dims)


def test_equal_sets_are_at_distance_zero(rng):
    rows = rng.standard_normal((500, 20)) * np.logspace(-6, 3, 20) + 1e3
    result = FrechetDistance().measure(rows, rows[::-1])
    assert 0 <= result.distance < 1e-9 * rows.var(axis=0).sum()


def test_closed_forms():
    distance = FrechetDistance().distance
    shifted = distance(gaussian([0, 0], np.eye(2)), gaussian([3, 4], np.eye(2)))
    assert shifted.distance == pytest.approx(25, abs=1e-12)
    assert shifted.covariances == pytest.approx(0, abs=1e-12)
    # axis-parallel Gaussians: the sum of squared differences of their standard deviations
    wide = distance(gaussian([0, 0], np.diag([4, 9])), gaussian([0, 0], np.diag([1, 0])))
    assert wide.distance == pytest.approx((2 - 1) ** 2 + 3**2, abs=1e-12)
    point = distance(gaussian([0, 0], np.zeros((2, 2))), gaussian([1, 0], np.diag([4, 9])))
    assert point.distance == pytest.approx(1 + 13, abs=1e-12)


def test_shifted_samples_come_near_the_closed_form(rng):
    real = rng.standard_normal((20_000, 3))
    fake = 2 * rng.standard_normal((20_000, 3)) + [1, 0, 0]
    result = FrechetDistance().measure(real, fake)
    assert result.distance == pytest.approx(1 + 3, abs=5 * result.error)
    assert 0.005 < result.error < 0.1


def test_error_is_the_spread_over_fresh_samples(rng):
    values, errors = [], []
    for _ in range(60):
        real, fake = rng.standard_normal((400, 4)), 1.5 * rng.standard_normal((400, 4))
        result = FrechetDistance().measure(real, fake)
        values.append(result.distance)
        errors.append(result.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)
    assert FrechetDistance(groups=0).measure(real, fake).error is None


@pytest.mark.parametrize("dims", [2, 32, 128])
def test_agrees_with_the_matrix_square_root(dims, rng):
    linalg = pytest.importorskip("scipy.linalg")
    a, b = random_gaussian(rng, dims), random_gaussian(rng, dims)
    root = linalg.sqrtm(a.covariance @ b.covariance)
    expected = (
        np.square(a.mean - b.mean).sum()
        + np.trace(a.covariance)
        + np.trace(b.covariance)
        - 2 * np.trace(root).real
    )
    assert FrechetDistance().distance(a, b).distance == pytest.approx(expected, rel=1e-9)


def test_agrees_with_eigenvalues_of_the_product(rng):
    a, b = random_gaussian(rng, 24), random_gaussian(rng, 24)
    root = np.sqrt(np.linalg.eigvals(a.covariance @ b.covariance).real).sum()
    expected = np.square(a.mean - b.mean).sum() + np.trace(a.covariance + b.covariance) - 2 * root
    assert FrechetDistance().distance(a, b).distance == pytest.approx(expected, rel=1e-9)
    assert FrechetDistance().distance(b, a).distance == pytest.approx(expected, rel=1e-9)


def test_batches_change_nothing(rng):
    rows = rng.standard_normal((3000, 7)).astype(np.float32) + 100
    whole = FrechetDistance().statistics(rows)
    for size in (1, 7, 1024, 2999):
        moments = Moments(7)
        for start in range(0, len(rows), size):
            moments.update(rows[start : start + size])
        streamed = moments.gaussian()
        assert streamed.num == 3000
        np.testing.assert_array_equal(streamed.mean, whole.mean)
        np.testing.assert_array_equal(streamed.covariance, whole.covariance)


def test_moments_equal_numpy_far_from_zero(rng):
    rows = rng.standard_normal((2500, 5)) + 1e6
    result = FrechetDistance().statistics(rows)
    np.testing.assert_allclose(result.mean, rows.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(result.covariance, np.cov(rows.T), rtol=1e-8, atol=1e-9)
