"""Nearest neighbours and pairs within radii equal float64 brute force, in blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganvas.metrics import distances
from ganvas.metrics.distances import nearest, nearest_of_many, pairs_within


def brute(a, b):
    return np.sqrt(np.square(a[:, None].astype(float) - b[None].astype(float)).sum(axis=2))


def clouds(kind, rng):
    """Queries (300, 9) and points (2,100, 9) that try the screen in one way."""
    x, y = rng.standard_normal((300, 9)), rng.standard_normal((2100, 9))
    match kind:
        case "far away":
            return x + 1e4, y + 1e4
        case "huge":
            return x * 1e25, y * 1e25
        case "tiny":
            return x * 1e-25, y * 1e-25
        case "outlier":
            y[5] = 1e6
            return x, y
        case "whole numbers":
            return np.round(x).astype(np.float32), np.round(y).astype(np.float32)
        case "clusters":
            return rng.integers(0, 3, (300, 9)) + x * 1e-9, rng.integers(0, 3, (2100, 9)) + y * 1e-9
        case "copies":  # of some points, of a few, and of queries
            y[:900], y[900:1200] = y[rng.integers(0, 40, 900)], y[1300]
            x[:100], x[100:200] = y[:100], x[0]
            return np.round(2 * x) / 2, np.round(2 * y) / 2  # with exact distances
        case "near copies":
            y[:1500] = y[rng.integers(0, 5, 1500)] + 1e-4 * rng.standard_normal((1500, 9))
            return y[::7] + 1e-4, y
        case "one point":
            return np.ones((300, 9)), np.ones((2100, 9))
    return x, y


KINDS = [
    "plain",
    "far away",
    "huge",
    "tiny",
    "outlier",
    "whole numbers",
    "clusters",
    "copies",
    "near copies",
    "one point",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 6])
def test_nearest_equals_brute_force(kind, k, rng):
    x, y = clouds(kind, rng)
    found = nearest(x, y, k)
    exact = brute(x, y)
    order = np.argsort(exact, axis=1, kind="stable")[:, :k]
    np.testing.assert_allclose(
        found.distances, np.take_along_axis(exact, order, axis=1), rtol=1e-12
    )
    np.testing.assert_allclose(
        np.take_along_axis(exact, found.indices, axis=1), found.distances, rtol=1e-12
    )
    if kind in (
        "plain",
        "whole numbers",
        "copies",
        "one point",
    ):  # where brute force has no rounded ties
        np.testing.assert_array_equal(found.indices, order)


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_others_leave_out_the_row_itself(kind, rng):
    _, y = clouds(kind, rng)
    exact = brute(y[:700], y[:700])
    np.fill_diagonal(exact, np.inf)
    found = nearest(y[:700], y[:700], 3, exclude_self=True)
    np.testing.assert_allclose(found.distances, np.sort(exact, axis=1)[:, :3], rtol=1e-12)
    assert (found.indices != np.arange(700)[:, None]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_within_keep_the_surface_out(kind, rng):
    """Radii that are themselves distances of the sets, so that ties come up."""
    x, y = clouds(kind, rng)
    of_x = nearest(x, y, 5).distances[:, -1:]
    of_y = nearest(y, x, 2).distances[:, -1:].T
    inside = [np.zeros((len(x), len(y)), bool) for _ in range(2)]
    for rows, block in pairs_within(x, y, of_x, of_y):
        for mask, part in zip(inside, block, strict=True):
            mask[rows] = part
    exact = distances._exact(x, y)
    np.testing.assert_array_equal(inside[0], exact < of_x)
    np.testing.assert_array_equal(inside[1], exact < of_y)


@pytest.mark.parametrize("kind", KINDS)
def test_block_size_changes_nothing(kind, rng, monkeypatch):
    x, y = clouds(kind, rng)
    radii = np.full((1, len(y)), np.median(brute(x[:50], y[:50])))
    results = []
    for size in (64 << 20, 100_000, 9_000):  # all queries, 11 or 1 in a block
        monkeypatch.setattr(distances, "BLOCK_BYTES", size)
        found = nearest(x, y, 4)
        inside = np.concatenate([masks[0] for _, masks in pairs_within(x, y, radii)])
        results.append((found.distances, found.indices, inside))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 6])
def test_rows_block_by_block_change_nothing(kind, k, rng, monkeypatch):
    x, y = clouds(kind, rng)
    expected = nearest(x, y, k)
    for num in (2099, 700, 61):  # the last block would have one point, then none, then 26
        monkeypatch.setattr(distances, "ROW_BYTES", 4 * 9 * num)
        found = nearest_of_many(x, y, k)
        np.testing.assert_array_equal(found.distances, expected.distances)
        np.testing.assert_array_equal(found.indices, expected.indices)


def test_uint8_rows_stand_for_0_to_1(rng, monkeypatch):
    grey = rng.integers(0, 256, (50, 6), dtype=np.uint8)
    monkeypatch.setattr(distances, "ROW_BYTES", 4 * 6 * 15)
    rows = grey / np.float32(255)
    expected = nearest(rows[::2], rows, 2)
    np.testing.assert_array_equal(nearest_of_many(grey[::2], grey, 2).distances, expected.distances)


@pytest.mark.parametrize("kind", ["copies", "near copies"])
def test_alike_points_are_not_computed_pair_by_pair(kind, rng, monkeypatch):
    """What makes a collapsed set as quick as another: neither way computes a block whole."""
    monkeypatch.setattr(distances._Screen, "exact_block", None)
    x, y = clouds(kind, rng)
    kinds = distances.distinct(y)
    nearest(x, y, 3)
    radii = nearest(y, y, 3, exclude_self=True).distances[kinds.first, -1]
    list(pairs_within(x, y[kinds.first], radii[None]))


def test_distinct_rows():
    rows = np.array([[1.0, 2], [3, 4], [1, 2], [5, 6], [3, 4], [1, 2]])
    found = distances.distinct(rows)
    assert found.first.tolist() == [0, 1, 3]
    assert found.group.tolist() == [0, 1, 0, 2, 1, 0]
    assert found.sizes.tolist() == [3, 2, 1]


def test_reduced_precision_of_products_changes_nothing(rng):
    x, y = clouds("plain", rng)
    expected = nearest(x, y, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = nearest(x, y, 4)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)
