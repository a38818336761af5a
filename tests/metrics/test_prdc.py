"""Precision, recall, density, coverage: known answers, independent implementations."""

from __future__ import annotations

import numpy as np
import prdc
import pytest
from measuring import measured

from ganvas.metrics import distances
from ganvas.metrics.prdc import PrecisionRecallDensityCoverage


def found(real, fake, k=5):
    return measured(PrecisionRecallDensityCoverage(k=k), real, fake).values


def plain_prdc(real, fake, k):
    """The definitions, on whole matrices of differences."""

    def between(a, b):
        return np.sqrt(np.square(a[:, None] - b[None]).sum(axis=2))

    real_radii = np.sort(between(real, real), axis=1)[:, k]
    fake_radii = np.sort(between(fake, fake), axis=1)[:, k]
    cross = between(real, fake)
    inside = cross < real_radii[:, None]
    return dict(
        precision=inside.any(axis=0).mean(),
        recall=(cross < fake_radii).any(axis=1).mean(),
        density=inside.sum(axis=0).mean() / k,
        coverage=inside.any(axis=1).mean(),
    )


def test_a_line_by_hand():
    real, fake = np.array([[0.0], [1], [2], [10]]), np.array([[0.5], [2.5], [30]])
    # radii 1, 1, 1, 8 and 2, 2, 27.5; 0.5 lies in the balls of 0 and 1, 2.5 in those of 2 and 10
    expected = {"precision": 2 / 3, "recall": 1.0, "density": 4 / 3, "coverage": 1.0}
    assert found(real, fake, k=1) == expected


def test_equal_sets_are_at_their_best(rng):
    rows = rng.standard_normal((300, 8))
    assert found(rows, rows) == {
        "precision": 1.0, "recall": 1.0, "density": pytest.approx(1.0), "coverage": 1.0
    }  # fmt: skip


def test_sets_far_apart_are_at_their_worst(rng):
    rows = rng.standard_normal((300, 8))
    assert set(found(rows, rows + 100).values()) == {0.0}


def test_a_collapse_has_no_recall(rng):
    real = rng.standard_normal((400, 8))
    result = found(real, np.repeat(real[:1], 400, axis=0))
    assert result["precision"] == 1
    assert result["recall"] == 0
    assert result["coverage"] < 0.1


@pytest.mark.parametrize("k", [1, 3, 5, 10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_definitions(k, dtype, rng):
    real = rng.standard_normal((350, 10)).astype(dtype)
    fake = (rng.standard_normal((280, 10)) * 0.9).astype(dtype)
    expected = plain_prdc(real.astype(float), fake.astype(float), k)
    assert found(real, fake, k) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("dims", [3, 64])
def test_agrees_with_prdc(k, dims, rng):
    real, fake = rng.standard_normal((1500, dims)), rng.standard_normal((1200, dims)) * 0.95
    expected = prdc.compute_prdc(real, fake, nearest_k=k)
    assert found(real, fake, k) == pytest.approx(expected, abs=1e-9)


def test_agrees_with_prdc_on_ties(rng):
    """Whole numbers, where distances are exact and ties many."""
    real, fake = (rng.integers(0, 4, (900, 6)).astype(float) for _ in range(2))
    expected = prdc.compute_prdc(real, fake, nearest_k=5)
    assert found(real, fake) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("copied", ["real", "fake", "both"])
def test_agrees_with_the_definitions_on_copies(copied, rng):
    """More copies than neighbours of one image, few of others, and one in both sets."""
    real, fake = rng.standard_normal((300, 4)), rng.standard_normal((250, 4))
    for rows in [real] * (copied != "fake") + [fake] * (copied != "real"):
        rows[:100] = rows[rng.integers(100, 130, 100)]
        rows[200:220] = rows[0]
    real[5] = fake[6]
    expected = plain_prdc(real, fake, 5)
    assert found(real, fake) == pytest.approx(expected, abs=1e-12)


def test_block_size_changes_nothing(rng, monkeypatch):
    real, fake = rng.standard_normal((700, 5)), rng.standard_normal((650, 5))
    fake[:200] = real[:200]
    expected = found(real, fake)
    for size in (2_000, 30_000):
        monkeypatch.setattr(distances, "BLOCK_BYTES", size)
        assert found(real, fake) == expected
