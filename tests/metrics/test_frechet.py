"""Fréchet distance: closed forms, an independent formula, streaming."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from measuring import error, measured, value

from ganvas.metrics import frechet
from ganvas.metrics.frechet import FrechetDistance, Gaussian, Moments, distance
from ganvas.metrics.metric import Views


def gaussian(mean, covariance):
    return Gaussian(1000, np.asarray(mean, float), np.asarray(covariance, float))


def random_gaussian(rng, dims):
    root = rng.standard_normal((dims, 2 * dims))
    return gaussian(rng.standard_normal(dims), root @ root.T / dims)


def test_equal_sets_are_at_distance_zero(rng):
    rows = rng.standard_normal((500, 20)) * np.logspace(-6, 3, 20) + 1e3
    found = value(FrechetDistance(), rows, rows[::-1])
    assert 0 <= found < 1e-9 * rows.var(axis=0).sum()


def test_closed_forms():
    shifted = distance(gaussian([0, 0], np.eye(2)), gaussian([3, 4], np.eye(2)))
    assert shifted == pytest.approx(25, abs=1e-12)
    # axis-parallel Gaussians: the sum of squared differences of their standard deviations
    wide = distance(gaussian([0, 0], np.diag([4, 9])), gaussian([0, 0], np.diag([1, 0])))
    assert wide == pytest.approx((2 - 1) ** 2 + 3**2, abs=1e-12)
    point = distance(gaussian([0, 0], np.zeros((2, 2))), gaussian([1, 0], np.diag([4, 9])))
    assert point == pytest.approx(1 + 13, abs=1e-12)


def test_shifted_samples_come_near_the_closed_form(rng):
    real = rng.standard_normal((20_000, 3))
    fake = 2 * rng.standard_normal((20_000, 3)) + [1, 0, 0]
    found = measured(FrechetDistance(), real, fake)
    assert found.values["distance"] == pytest.approx(1 + 3, abs=5 * error(found, "distance"))
    assert 0.005 < error(found, "distance") < 0.1


def test_error_is_the_spread_over_fresh_samples(rng):
    values, errors = [], []
    for _ in range(60):
        real, fake = rng.standard_normal((400, 4)), 1.5 * rng.standard_normal((400, 4))
        found = measured(FrechetDistance(), real, fake)
        values.append(found.values["distance"])
        errors.append(error(found, "distance"))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)
    assert measured(FrechetDistance(groups=0), real, fake).intervals == {}


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
    assert distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_agrees_with_eigenvalues_of_the_product(rng):
    a, b = random_gaussian(rng, 24), random_gaussian(rng, 24)
    root = np.sqrt(np.linalg.eigvals(a.covariance @ b.covariance).real).sum()
    expected = np.square(a.mean - b.mean).sum() + np.trace(a.covariance + b.covariance) - 2 * root
    assert distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_batches_change_nothing(rng):
    rows = rng.standard_normal((3000, 7)).astype(np.float32) + 100
    whole = Moments.of(rows)
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
    result = Moments.of(rows)
    np.testing.assert_allclose(result.mean, rows.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(result.covariance, np.cov(rows.T), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("num", "dims", "groups"), [(40, 3, 10), (39, 3, 0), (600, 513, 0)])
def test_few_images_and_many_features_have_no_interval(num, dims, groups, rng):
    rows = rng.standard_normal((num, dims))
    assert FrechetDistance().fitted(Views(features=rows)) == FrechetDistance(groups=groups)
    statistics = FrechetDistance().statistics(Views(features=rows))
    assert len(statistics.without) == groups
    assert FrechetDistance(groups=2).fitted(Views(features=rows)) == FrechetDistance(groups=2)


def test_real_images_are_decomposed_once(rng, monkeypatch):
    """22 Gaussians in all, those of the fakes alone for the next ones."""
    calls = []
    triangular = frechet._triangular
    monkeypatch.setattr(
        frechet, "_triangular", lambda *given: calls.append(1) or triangular(*given)
    )
    metric = FrechetDistance()
    statistics = metric.statistics(Views(features=rng.standard_normal((90, 4))))
    for expected in (22, 33):
        metric.compare(statistics, Views(features=rng.standard_normal((90, 4))))
        assert len(calls) == expected


@pytest.mark.parametrize("rank", [3, 20])
def test_covariances_without_full_rank_are_as_exact(rank, rng):
    """All features in a space of few dimensions: the distance is that of those dimensions."""
    a, b = random_gaussian(rng, rank), random_gaussian(rng, rank)
    turned = np.linalg.qr(rng.standard_normal((60, rank)))[0]
    wide = [gaussian(turned @ g.mean, turned @ g.covariance @ turned.T) for g in (a, b)]
    assert distance(*wide) == pytest.approx(distance(a, b), rel=1e-12)


def test_nearly_singular_covariances_are_decomposed_into_eigenvectors(rng):
    scales = np.logspace(0, -9, 30)  # variances from 1 to 1e-18
    turned = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    covariance = torch.from_numpy(turned * scales**2 @ turned.T)
    assert frechet._triangular(covariance, 30 * 2.2e-16) is None
    factor = frechet._triangular(covariance + torch.eye(30, dtype=torch.float64), 30 * 2.2e-16)
    assert factor is not None
    expected = covariance + torch.eye(30, dtype=torch.float64)
    torch.testing.assert_close(factor @ factor.T, expected, rtol=1e-13, atol=1e-14)


def test_the_interval_does_not_mind_images_sorted_by_class(rng):
    """In groups of every tenth image, each would hold one class alone."""
    real = rng.standard_normal((400, 3)) + 5 * np.arange(400)[:, None] % 10
    fake = rng.standard_normal((400, 3)) + 5 * np.arange(400)[:, None] % 10
    expected = measured(FrechetDistance(), real, fake).intervals["distance"]
    order = rng.permutation(400)
    found = measured(FrechetDistance(), real[order], fake[order[::-1]]).intervals["distance"]
    assert found == pytest.approx(expected, rel=1e-9)
