"""Shares over balls of neighbours, again for random halves of both sets: how far they swing.

The balls of a half are not looked for again. An image of the other set is in one if less than k of
the nearest images up to it are in the half; so the nearest few of each image, and the pairs within
the reach of those, are enough for all halves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ganvas.metrics.distances import Distinct, Indices, Neighbours, between
from ganvas.metrics.inputs import Features, Floats

Drawn = NDArray[np.bool_]
"""(N, halves): which images are in which half."""

MOST: Final = 100
"""Pairs for each image above which there are no halves: balls that hold most images of all."""
_AT_ONCE: Final = 8
"""Halves computed together."""


def reach(k: int, num: int) -> int:
    """Neighbours that hold k of a half, in all but one of some hundred images."""
    return min(4 * k + 4, num - 1)


def drawn(num: int, halves: int, random: np.random.Generator) -> Drawn:
    """Random halves of so many images."""
    return random.random((num, halves)).argsort(axis=0) < num // 2


class Pairs:
    """Pairs of distinct images of two sets, as long as they are not too many."""

    def __init__(self, own: Distinct, other: Distinct) -> None:
        self._own, self._other = own, other
        self._pairs: list[tuple[Indices, Indices]] = []
        self._num = 0

    def add(self, own: Indices, other: Indices) -> None:
        """Pairs by the numbers of their groups of equal images."""
        self._num += int((self._own.sizes[own] * self._other.sizes[other]).sum())
        if self.few:
            self._pairs.append((own, other))
        else:
            self._pairs.clear()

    @property
    def few(self) -> bool:
        return self._num <= MOST * len(self._own.group)

    def rows(self) -> tuple[Indices, Indices]:
        """All images of these pairs, by the rows of the first."""
        own, other = (np.concatenate(side) for side in zip(*self._pairs, strict=True))
        place, own = self._own.members(own)
        repeats, other = self._other.members(other[place])
        own = own[repeats]
        order = np.argsort(own, kind="stable")
        return own[order], other[order]


@dataclass(frozen=True)
class Within:
    """Images that lie near those of a set, closer than its farthest neighbours listed."""

    known: Indices
    """(N, reach): the neighbours of each image of the set, nearest first."""
    own: Indices
    """(pairs,): images of the set,"""
    other: Indices
    """(pairs,): an image of the other set near each,"""
    before: Indices
    """(pairs,): and how many of the neighbours are no farther than that."""

    @classmethod
    def of(cls, rows: Features, neighbours: Neighbours, others: Features, pairs: Pairs) -> Within:
        own, other = pairs.rows()
        gaps = between(rows, others, own, other)
        before = np.zeros(len(own), np.int64)
        for column in neighbours.distances.T:
            before += column[own] <= gaps
        return cls(neighbours.indices, own, other, before)

    def shares(self, k: int, own: Drawn, other: Drawn) -> tuple[Floats, Floats, Floats]:
        """Of halves: share of others in a ball, share of balls with one, balls an other is in."""
        found = [
            self._shares(k, own[:, part], other[:, part])
            for part in (slice(i, i + _AT_ONCE) for i in range(0, own.shape[1], _AT_ONCE))
        ]
        inside, filled, mean = (np.concatenate(values) for values in zip(*found, strict=True))
        return inside, filled, mean

    def _shares(self, k: int, own: Drawn, other: Drawn) -> tuple[Floats, Floats, Floats]:
        num, halves = own.shape
        counts = np.zeros((num, self.known.shape[1] + 1, halves), np.int16)
        np.cumsum(own[self.known], axis=1, out=counts[:, 1:])
        within = (counts[self.own, self.before] < k) & own[self.own] & other[self.other]
        inside, filled = (np.zeros(of.shape, bool) for of in (other, own))
        for half, column in enumerate(within.T):
            inside[self.other[column], half] = True
            filled[self.own[column], half] = True
        nums = other.sum(axis=0)
        return inside.sum(axis=0) / nums, filled.sum(axis=0) / own.sum(axis=0), within.sum(0) / nums
