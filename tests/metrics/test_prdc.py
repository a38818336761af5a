"""Precision, recall, density, coverage: known answers, independent implementations."""

from __future__ import annotations

import numpy as np
import prdc
import pytest
from measuring import measured

from ganvas.metrics import distances, halves
from ganvas.metrics.prdc import Balls, Compared, PrecisionRecallDensityCoverage


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


def test_halves_are_measured_as_sets_of_their_own(rng):
    real, fake = rng.standard_normal((400, 5)), rng.standard_normal((360, 5)) * 0.9
    real[:30], fake[:100] = real[30:60], fake[100:110].repeat(10, axis=0)  # with copies
    x, y = Balls.of(real, 5), Balls.of(fake, 5)
    pairs = Compared.of(x, y, 5)
    in_real, in_fake = halves.drawn(400, 3, rng), halves.drawn(360, 3, rng)
    within_real = halves.Within.of(real, x.near, fake, pairs.of_real)
    within_fake = halves.Within.of(fake, y.near, real, pairs.of_fake)
    precision, coverage, balls = within_real.shares(5, in_real, in_fake)
    recall, _, _ = within_fake.shares(5, in_fake, in_real)
    for half in range(3):
        assert in_real[:, half].sum() == 200
        expected = found(real[in_real[:, half]], fake[in_fake[:, half]])
        shares = precision[half], recall[half], balls[half] / 5, coverage[half]
        assert dict(zip(expected, shares, strict=True)) == pytest.approx(expected, abs=1e-12)


def test_intervals_of_equal_sets_are_as_wide_as_their_spread(rng):
    """Wilson's for independent images were two thirds of it."""
    metric = PrecisionRecallDensityCoverage()
    results = [
        measured(metric, rng.standard_normal((200, 4)), rng.standard_normal((200, 4)))
        for _ in range(40)
    ]
    for key in ("precision", "recall", "density", "coverage"):
        values = [result.values[key] for result in results]
        held = [
            low <= np.mean(values) <= high
            for low, high in (
                result.intervals[key] for result in results if key in result.intervals
            )
        ]
        assert len(held) > 20
        assert np.mean(held) > 0.85


def test_where_sets_lie_apart_there_is_no_interval_of_what_outliers_decide(rng):
    real = rng.standard_normal((300, 4))
    dropped = real[real[:, 0] < 0.5][:200]
    assert set(measured(PrecisionRecallDensityCoverage(), real, dropped + 1e-3).intervals) == {
        "precision", "density", "coverage",
    }  # fmt: skip
    far = measured(PrecisionRecallDensityCoverage(), real, real + 3)
    assert set(far.intervals) == {"coverage"}


def test_few_images_have_no_intervals(rng):
    rows = rng.standard_normal((90, 4))
    assert measured(PrecisionRecallDensityCoverage(), rows, rows).intervals == {}


def test_balls_that_hold_nearly_all_images_are_not_halved(rng):
    """Fakes on a sphere about the real images: each ball of theirs holds all of these."""
    sphere = rng.standard_normal((400, 50))
    sphere *= 10 / np.linalg.norm(sphere, axis=1, keepdims=True)
    result = measured(
        PrecisionRecallDensityCoverage(), rng.standard_normal((400, 50)) / 100, sphere
    )
    assert result.values["recall"] == 1
    assert result.intervals == {}


def test_a_remark_where_few_outliers_hold_the_fakes(rng):
    """Ten real images far out, with balls as wide as they lie apart, and fakes about them."""
    real = rng.standard_normal((1000, 4))
    real[:10] *= 30
    noise = 15 * rng.standard_normal((500, 4))
    result = measured(PrecisionRecallDensityCoverage(), real, noise)
    assert result.values["precision"] > 0.5 > result.values["density"]
    assert "one real image in a hundred" in result.remark
    assert measured(PrecisionRecallDensityCoverage(), real, real[::2] + 0.01).remark == ""
