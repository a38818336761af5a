"""Euclidean distances between two sets of rows, in blocks: nearest neighbours, pairs within radii.

A float32 matrix product screens all pairs. Its rounding error is bounded, so it proves most pairs
in or out; the few between are computed again in float64, each pair by the same arithmetic whatever
block it is in. Hence the answers, ties included, are those of float64 differences over all pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas.metrics.inputs import Features, Floats, as_floats

Indices = NDArray[np.int64]
Precision = type[np.float32] | type[np.float64]

BLOCK_BYTES: int = 32 << 20
"""Size of one block of float32 distances; the results do not depend on it."""
ROW_BYTES: int = 32 << 20
"""Size of a block of pixels as float32, where they come in blocks; nor on that."""
_GROUP: Final = 32
"""Columns that share one minimum when the k-th smallest of a row is bounded."""
_MANY: Final = 64
"""A block with more than 1 / _MANY of its pairs undecided is screened again in float64."""
_DENSE: Final = 4
"""One with more than 1 / _DENSE of its pairs undecided even so is computed whole."""


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
    known = distinct(points)
    if len(known.first) < len(points):
        return _nearest_of_groups(queries, points, k, known, exclude_self)
    return _nearest(queries, points, k, exclude_self)


def to_nearest_other(rows: Features) -> Floats:
    """(N,): the distance of each row to the nearest other one."""
    return nearest(rows, rows, 1, exclude_self=True).distances[:, 0]


def nearest_of_many(queries: NDArray[Any], points: NDArray[Any], k: int) -> Neighbours:
    """`nearest`, for rows of pixels that are too many to have as floats at once.

    uint8 stands for 0 to 1; it becomes floats block by block.
    """
    parts = [
        _nearest_by_blocks(as_floats(queries[rows]), points, k)
        for rows in _blocks(len(queries), ROW_BYTES // (4 * queries.shape[1]))
    ]
    return Neighbours(
        np.concatenate([part.distances for part in parts]),
        np.concatenate([part.indices for part in parts]),
    )


def _nearest_by_blocks(queries: Features, points: NDArray[Any], k: int) -> Neighbours:
    found: Neighbours | None = None
    for rows in _blocks(len(points), ROW_BYTES // (4 * points.shape[1]), at_least=k):
        block = nearest(queries, as_floats(points[rows]), k)
        block = Neighbours(block.distances, block.indices + rows.start)
        found = block if found is None else _nearer(found, block)
    assert found
    return found


def _blocks(num: int, size: int, at_least: int = 1) -> list[slice]:
    """Slices of `num` rows, of about `size` rows each, none of fewer than `at_least`."""
    starts = range(0, max(1, num - at_least + 1), max(size, at_least))
    return [slice(a, b) for a, b in zip(starts, (*starts[1:], num), strict=True)]


def _nearer(a: Neighbours, b: Neighbours) -> Neighbours:
    """The nearest points of two blocks; equally near ones by index."""
    distances = np.concatenate([a.distances, b.distances], axis=1)
    indices = np.concatenate([a.indices, b.indices], axis=1)
    order = np.lexsort((indices, distances), axis=1)[:, : a.distances.shape[1]]
    return Neighbours(
        np.take_along_axis(distances, order, axis=1), np.take_along_axis(indices, order, axis=1)
    )


def _nearest(queries: Features, points: Features, k: int, exclude_self: bool) -> Neighbours:
    screen = _Screen(queries, points, _precision())
    distances = np.empty((len(queries), k))
    indices = np.empty((len(queries), k), np.int64)
    for rows in screen.blocks():
        num, own = len(rows), (np.arange(len(rows)), rows)
        for finer in screen, screen.finer:
            squared = finer.product(rows)
            if exclude_self:
                squared[own] = np.inf
            # k pairs lie truly within bound + error, so only pairs within bound + 2 error do
            limit = _bound_of_kth(squared, k) + 2 * finer.error[rows]
            picked = np.flatnonzero(squared <= limit[:, None].astype(squared.dtype))
            if len(picked) <= squared.size // finer.many + k * num:
                break
        else:
            exact = screen.exact_block(rows)
            if exclude_self:
                exact[own] = np.inf
            for place in range(k):
                best = exact.argmin(axis=1)
                indices[rows, place] = best
                distances[rows, place] = exact[own[0], best]
                exact[own[0], best] = np.inf
            continue
        row, column = np.divmod(picked, len(points))
        exact = screen.exact_pairs(rows[row], column)
        order = np.lexsort((exact, row))
        first = np.searchsorted(row, np.arange(num))
        chosen = order[first[:, None] + np.arange(k)]
        distances[rows], indices[rows] = exact[chosen], column[chosen]
    return Neighbours(distances, indices)


@dataclass(frozen=True)
class Distinct:
    """Which rows of a set are equal."""

    first: Indices
    """(groups,): the first row of each group of equal rows, in ascending order."""
    group: Indices
    """(N,): the group of each row."""

    @property
    def sizes(self) -> Indices:
        """(groups,): the rows in each group."""
        return np.bincount(self.group)

    def members(self, groups: Indices) -> tuple[Indices, Indices]:
        """The place among `groups` of each of their rows, (rows,), and the rows."""
        order = np.argsort(self.group, kind="stable")
        starts = np.searchsorted(self.group[order], np.arange(len(self.first)))
        sizes = self.sizes[groups]
        place = np.repeat(np.arange(len(groups)), sizes)
        within = np.arange(len(place)) - np.repeat(sizes.cumsum() - sizes, sizes)
        return place, order[starts[groups][place] + within]


def distinct(rows: Features) -> Distinct:
    """Groups of equal rows, so that a set with many copies costs no more than one without."""
    seen: dict[bytes, int] = {}
    group = np.array(
        [seen.setdefault(hashlib.blake2b(row, digest_size=16).digest(), len(seen)) for row in rows]
    )
    return Distinct(np.unique(group, return_index=True)[1], group)


def _nearest_of_groups(
    queries: Features, points: Features, k: int, known: Distinct, exclude_self: bool
) -> Neighbours:
    """`nearest` among points some of which are equal: each is compared with once."""
    asked = known if exclude_self else distinct(queries)
    # with its own group, that of a row alone included, k + 1 groups hold k other rows
    wanted = min(k + exclude_self, len(known.first))
    found = _nearest(queries[asked.first], points[known.first], wanted, False)
    # (groups, members): the first rows of each group, as many as can be asked for
    order = np.argsort(known.group, kind="stable")
    starts = np.searchsorted(known.group[order], np.arange(len(known.first)))
    place = starts[:, None] + np.arange(k + exclude_self)
    inside = place < (starts + known.sizes)[:, None]
    members = np.where(inside, order[np.minimum(place, len(order) - 1)], len(points))

    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for part in _parts(len(queries), 4 * wanted * (k + exclude_self)):
        of = asked.group[part]
        rows = members[found.indices[of]].reshape(len(of), -1)
        far = np.repeat(found.distances[of], k + exclude_self, axis=1)
        out = rows == len(points)
        if exclude_self:
            out |= rows == np.arange(len(queries))[part, None]
        far[out] = np.inf
        chosen = np.lexsort((rows, far), axis=1)[:, :k]
        distances[part] = np.take_along_axis(far, chosen, axis=1)
        indices[part] = np.take_along_axis(rows, chosen, axis=1)
    return Neighbours(distances, indices)


def pairs_within(
    queries: Features, points: Features, *radii: Floats
) -> Iterator[tuple[Indices, list[NDArray[np.bool_]]]]:
    """Which pairs are nearer than a radius, block by block of queries: |x_i - y_j| < radius.

    Each of `radii` is (N, 1), one for a query, or (1, M), one for a point. Yields the row numbers
    of a block's queries and, in the order of `radii`, whether each point is within, (rows, M).
    """
    screen = _Screen(queries, points, _precision())
    for rows in screen.blocks():
        squared = screen.product(rows)
        yield (
            rows,
            [
                screen.within(rows, squared, radius[rows] if len(radius) > 1 else radius)
                for radius in radii
            ],
        )


def between(x: Features, y: Features, i: Indices, j: Indices) -> Floats:
    """Distances |x_i - y_j| of some pairs, (pairs,)."""
    gaps = np.empty(len(i))
    for part in _parts(len(i), x.shape[1]):
        gaps[part] = _exact(x[i[part], None], y[j[part], None])[:, 0, 0]
    return gaps


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

    def __init__(self, queries: Features, points: Features, dtype: Precision) -> None:
        self.queries, self.points, self.dtype = queries, points, dtype
        self.many = _MANY if dtype == np.float32 else _DENSE
        centre = points.mean(axis=0, dtype=np.float64)
        norms = [_norms(rows, centre) for rows in (queries, points)]
        self.scale = 1.0 / (max(norm.max() for norm in norms) or 1.0)
        dims = queries.shape[1]
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

    @cached_property
    def finer(self) -> _Screen:
        """The screen in float64, for rows too close together for float32 to tell apart."""
        return self if self.dtype == np.float64 else _Screen(self.queries, self.points, np.float64)

    @cached_property
    def _buffer(self) -> Features:
        return np.empty((self._step, len(self.points)), self.left.dtype)

    @property
    def _step(self) -> int:
        return min(max(1, BLOCK_BYTES // (4 * len(self.points))), len(self.queries))

    def blocks(self) -> Iterator[Indices]:
        """Row numbers of queries, block by block."""
        for start in range(0, len(self.queries), self._step):
            yield np.arange(start, min(start + self._step, len(self.queries)))

    def product(self, rows: Indices) -> Features:
        """Scaled squared distances of a block of queries to all points; the next overwrites it."""
        squared = self._buffer[: len(rows)]
        left, right = torch.from_numpy(self.left[rows]), torch.from_numpy(self.right).T
        torch.mm(left, right, out=torch.from_numpy(squared))
        return squared

    def within(self, rows: Indices, squared: Features, radii: Floats) -> NDArray[np.bool_]:
        """The pairs of a block with distance < radius; radii are (rows, 1) or (1, points)."""
        limit, error = (radii * self.scale) ** 2, self.error[rows].max()
        inside: NDArray[np.bool_] = squared < (limit - error).astype(squared.dtype)
        unsure = np.flatnonzero((squared <= (limit + error).astype(squared.dtype)) != inside)
        if len(unsure) > squared.size // self.many:
            if self.finer is not self:
                return self.finer.within(rows, self.finer.product(rows), radii)
            return self.exact_block(rows) < radii
        i, j = np.divmod(unsure, len(self.points))
        inside[i, j] = self.exact_pairs(rows[i], j) < np.broadcast_to(radii, squared.shape)[i, j]
        return inside

    def exact_pairs(self, i: Indices, j: Indices) -> Floats:
        """Distances |x_i - y_j| in float64."""
        return between(self.queries, self.points, i, j)

    def exact_block(self, rows: Indices) -> Floats:
        """Distances of some queries to all points in float64."""
        exact = np.empty((len(rows), len(self.points)))
        for part in _parts(len(self.points), self.points.shape[1]):
            exact[:, part] = _exact(self.queries[rows], self.points[part])
        return exact


def _precision() -> Precision:
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
