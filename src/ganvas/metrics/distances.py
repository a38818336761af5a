"""Euclidean distances between two sets of rows, in blocks: nearest neighbours, pairs within radii.

A float32 matrix product screens all pairs. Its rounding error is bounded, so it proves most pairs
in or out; the few between are computed again in float64, each pair by the same arithmetic whatever
block it is in. Hence the answers, ties included, are those of float64 differences over all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas.metrics.inputs import Features, Floats

Indices = NDArray[np.int64]

BLOCK_BYTES: int = 64 << 20
"""Size of one block of float32 distances; the results do not depend on it."""
_GROUP: Final = 32
"""Columns that share one minimum when the k-th smallest of a row is bounded."""
_DENSE: Final = 4
"""A block with more than 1 / _DENSE of its pairs undecided is computed whole."""


@dataclass(frozen=True)
class Neighbours:
    """The k nearest points of each query, nearest first; equally near ones by index."""

    distances: Floats
    """(N, k) Euclidean distances, in the features' unit."""
    indices: Indices
    """(N, k) row numbers of the points."""


def nearest(
    queries: Features, points: Features, k: int, *, exclude_self: bool = False
) -> Neighbours:
    """The k nearest of `points`, (M, D), for each of `queries`, (N, D).

    With `exclude_self`, queries and points are one set and no row is its own neighbour.
    """
    assert 0 < k <= len(points) - exclude_self, "fewer points than neighbours"
    screen = _Screen(queries, points)
    distances = np.empty((len(queries), k))
    indices = np.empty((len(queries), k), np.int64)
    for rows, squared in screen.blocks():
        num = len(rows)
        if exclude_self:
            squared[np.arange(num), rows] = np.inf
        # k pairs lie truly within bound + error, so only pairs screened within bound + 2 error do
        limit = _bound_of_kth(squared, k) + 2 * screen.error[rows]
        picked = np.flatnonzero(squared <= limit[:, None].astype(squared.dtype))
        if len(picked) > squared.size // _DENSE:
            exact = screen.exact_block(rows)
            if exclude_self:
                exact[np.arange(num), rows] = np.inf
            for place in range(k):
                best = exact.argmin(axis=1)
                indices[rows, place] = best
                distances[rows, place] = exact[np.arange(num), best]
                exact[np.arange(num), best] = np.inf
            continue
        row, column = np.divmod(picked, len(points))
        exact = screen.exact_pairs(rows[row], column)
        order = np.lexsort((exact, row))
        first = np.searchsorted(row, np.arange(num))
        chosen = order[first[:, None] + np.arange(k)]
        distances[rows], indices[rows] = exact[chosen], column[chosen]
    return Neighbours(distances, indices)


def pairs_within(
    queries: Features, points: Features, *radii: Floats
) -> Iterator[list[tuple[Indices, Indices]]]:
    """The pairs nearer than a radius, block by block of queries: |x_i - y_j| < radius.

    Each of `radii` is (N, 1), one for a query, or (1, M), one for a point. For each block yields,
    in their order, the row numbers of the queries and of the points of all such pairs.
    """
    screen = _Screen(queries, points)
    for rows, squared in screen.blocks():
        yield [
            screen.within(rows, squared, radius[rows] if len(radius) > 1 else radius)
            for radius in radii
        ]


def _bound_of_kth(squared: Features, k: int) -> Floats:
    """(N,): a number that at least k values of a row do not exceed, nearly the least such."""
    columns = squared.shape[1]
    if columns >= 8 * k * _GROUP:
        # the k smallest minima of distinct groups are k values of the row
        even = squared[:, : columns - columns % _GROUP]
        squared = even.reshape(len(squared), _GROUP, -1).min(axis=1)
    kth: Floats = np.partition(squared, k - 1, axis=1)[:, k - 1].astype(np.float64)
    return kth


class _Screen:
    """Squared distances by a float32 product of rows scaled to norms of at most 1.

    [-2x, |x|^2, 1] . [y, 1, |y|^2] = |x - y|^2. A float32 sum of D + 2 products, in any order, of
    factors that were rounded to float32, errs by at most (D + 4 + a little) 2^-24 (|x| + |y|)^2;
    2^-24 is half of `eps`.
    """

    def __init__(self, queries: Features, points: Features) -> None:
        self.queries, self.points = queries, points
        centre = points.mean(axis=0, dtype=np.float64)
        norms = [_norms(rows, centre) for rows in (queries, points)]
        self.scale = 1.0 / (max(norm.max() for norm in norms) or 1.0)
        dims, dtype = queries.shape[1], _precision()
        self.left = np.empty((len(queries), dims + 2), dtype)
        self.right = np.empty((len(points), dims + 2), dtype)
        for rows, out in ((queries, self.left), (points, self.right)):
            for part in _parts(len(rows), dims):
                out[part, :dims] = (rows[part] - centre) * self.scale
        self.left[:, :dims] *= -2
        self.left[:, dims] = (norms[0] * self.scale) ** 2
        self.left[:, dims + 1] = 1
        self.right[:, dims] = 1
        self.right[:, dims + 1] = (norms[1] * self.scale) ** 2
        reach = (norms[0] + norms[1].max()) * self.scale
        self.error: Floats = (dims + 8) * float(np.finfo(dtype).eps) / 2 * reach**2 + 1e-36
        """(N,): what a squared distance from a query can be off, in scaled units."""

    def blocks(self) -> Iterator[tuple[Indices, Features]]:
        """Row numbers of queries, and their scaled squared distances to all points.

        The array of one block is overwritten by the next.
        """
        num = max(1, BLOCK_BYTES // (4 * len(self.points)))
        buffer = np.empty((min(num, len(self.queries)), len(self.points)), self.left.dtype)
        right = torch.from_numpy(self.right).T
        for start in range(0, len(self.queries), num):
            rows = np.arange(start, min(start + num, len(self.queries)))
            left, squared = torch.from_numpy(self.left[rows]), buffer[: len(rows)]
            torch.mm(left, right, out=torch.from_numpy(squared))
            yield rows, squared

    def within(self, rows: Indices, squared: Features, radii: Floats) -> tuple[Indices, Indices]:
        """The pairs of a block with distance < radius; radii are (rows, 1) or (1, points)."""
        limit, error = (radii * self.scale) ** 2, self.error[rows].max()
        near = np.flatnonzero(squared <= (limit + error).astype(squared.dtype))
        row, column = np.divmod(near, len(self.points))
        sure = np.broadcast_to(limit - error, squared.shape)
        unsure = np.flatnonzero(squared[row, column] >= sure[row, column])
        if len(unsure) > squared.size // _DENSE:
            row, column = np.nonzero(self.exact_block(rows) < radii)
            return rows[row], column
        inside = np.ones(len(near), bool)
        i, j = row[unsure], column[unsure]
        radius = np.broadcast_to(radii, squared.shape)[i, j]
        inside[unsure] = self.exact_pairs(rows[i], j) < radius
        return rows[row[inside]], column[inside]

    def exact_pairs(self, i: Indices, j: Indices) -> Floats:
        """Distances |x_i - y_j| in float64."""
        exact = np.empty(len(i))
        for part in _parts(len(i), self.queries.shape[1]):
            exact[part] = _exact(self.queries[i[part], None], self.points[j[part], None])[:, 0, 0]
        return exact

    def exact_block(self, rows: Indices) -> Floats:
        """Distances of some queries to all points in float64."""
        exact = np.empty((len(rows), len(self.points)))
        for part in _parts(len(self.points), self.points.shape[1]):
            exact[:, part] = _exact(self.queries[rows], self.points[part])
        return exact


def _precision() -> type[np.float32] | type[np.float64]:
    """float64 where float32 products are cut to fewer bits, as autocast and some switches do.

    Those switches have several names, so it is tried out on a product whose error is bounded.
    """
    rows = torch.linspace(1, 2, 64 * 64).view(64, 64)
    error = torch.mm(rows, rows.T).double() - torch.mm(rows.double(), rows.double().T)
    return np.float32 if error.abs().max() < 72 * 2.0**-24 * 4 * 64 else np.float64


def _exact(a: Features, b: Features) -> Floats:
    """Distances by sums of squared differences, the same for a pair in whatever batch it is."""
    x, y = (torch.from_numpy(rows.astype(np.float64, copy=False)) for rows in (a, b))
    exact: Floats = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    return exact


def _norms(rows: Features, centre: Floats) -> Floats:
    norms = np.empty(len(rows))
    for part in _parts(len(rows), rows.shape[1]):
        norms[part] = np.linalg.norm(rows[part] - centre, axis=1)
    return norms


def _parts(num: int, dims: int) -> Iterator[slice]:
    """Slices of `num` rows of `dims` float64 numbers, each of at most a block's size."""
    step = max(1, BLOCK_BYTES // (8 * dims))
    return (slice(start, start + step) for start in range(0, num, step))
