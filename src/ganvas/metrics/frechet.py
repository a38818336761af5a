"""The Fréchet distance between Gaussians fitted to the features of two sets of images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain
from dataclasses import replace
from functools import cached_property
from typing import Annotated, ClassVar, Final, Self

import numpy as np
import torch
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.errors import UsageError
from ganvas.metrics.inputs import Better, Features, Floats, Values, features, same_width
from ganvas.metrics.interval import around, jackknife_error
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS

_BLOCK: Final = 1024
"""Rows that enter the sums together, however many come in a batch."""
_ITERATIONS: Final = 10
"""That tell a covariance's least eigenvalue,"""
_MARGIN: Final = 1000
"""which may be less than found by no more than this factor."""
_FEW: Final = 40
"""Below so many images there is no interval, unless groups are asked for."""
_WIDE: Final = 512
"""Nor above so many features, where 20 distances more take long."""


@plain(frozen=True)
class Gaussian:
    """Mean and covariance of a set of features."""

    num: int
    """Images."""
    mean: Floats
    """(D,)"""
    covariance: Floats
    """(D, D), divided by num - 1."""

    @cached_property
    def factor(self) -> Tensor:
        """A, (D, rank), with A A' = covariance."""
        # torch's threads, unlike those of NumPy's library, do not starve each other on a busy
        # machine
        covariance = torch.from_numpy(self.covariance)
        least = len(covariance) * float(np.finfo(np.float64).eps)  # of the largest eigenvalue
        triangular = _triangular(covariance, least)
        if triangular is not None:
            return triangular
        values, vectors = torch.linalg.eigh(covariance)
        kept = values > max(float(values[-1]), 0.0) * least
        factor: Tensor = vectors[:, kept] * values[kept].sqrt()
        return factor


def _triangular(covariance: Tensor, least: float) -> Tensor | None:
    """Cholesky's factor; None unless all eigenvalues are well above `least` of the largest.

    It is as exact there as a decomposition into eigenvectors, at a tenth of its cost. Where
    eigenvalues are zero, it would leave square roots of rounding errors.
    """
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        return None
    inverse: Tensor = torch.ones(len(factor), 1, dtype=factor.dtype)
    for _ in range(_ITERATIONS):  # of inverse iteration, towards the least eigenvalue
        inverse = torch.cholesky_solve(inverse / inverse.norm(), factor)
    smallest = 1 / float(inverse.norm())
    largest = float(covariance.diagonal().sum())  # it is at most this
    return factor if smallest > _MARGIN * least * largest else None


@plain(frozen=True)
class Gaussians:
    """The Gaussian of a set of images, and those without each of some groups of them."""

    whole: Gaussian
    without: tuple[Gaussian, ...]


class Moments:
    """Mean and covariance of features that come in batches; how they are cut changes nothing."""

    def __init__(self, dims: int) -> None:
        self._rows = np.empty((_BLOCK, dims))
        self._filled = 0
        self._num = 0
        self._shift = np.zeros(dims)
        self._sum = np.zeros(dims)
        self._products = np.zeros((dims, dims))

    def update(self, batch: Values) -> None:
        """Add features (N, D); UsageError if they are not finite or not D long."""
        rows = features(batch, "features")
        if rows.shape[1] != len(self._sum):
            raise UsageError(
                f"features: found {rows.shape[1]} numbers an image; {len(self._sum)} are expected"
            )
        self._add(rows)

    def gaussian(self) -> Gaussian:
        """The Gaussian of all features so far; UsageError with fewer than two."""
        self._sum_up()
        if self._num < 2:
            raise UsageError(f"features: found {self._num} images; at least 2 are needed")
        offset = self._sum / self._num
        products = np.triu(self._products)
        products += np.triu(products, 1).T
        covariance = (products - self._num * np.outer(offset, offset)) / (self._num - 1)
        return Gaussian(self._num, self._shift + offset, covariance)

    @classmethod
    def of(cls, rows: Features) -> Gaussian:
        """The Gaussian of rows that were checked before."""
        moments = cls(rows.shape[1])
        moments._add(rows)
        return moments.gaussian()

    def _add(self, rows: Features) -> None:
        while len(rows):
            taken = rows[: _BLOCK - self._filled]
            self._rows[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rows = rows[len(taken) :]
            if self._filled == _BLOCK:
                self._sum_up()

    def _sum_up(self) -> None:
        rows = self._rows[: self._filled]
        if self._num == 0 and len(rows):
            self._shift = rows.mean(axis=0)  # sums about a typical point lose no digits
        rows -= self._shift
        self._sum += rows.sum(axis=0)
        rows_of, products = torch.from_numpy(rows), torch.from_numpy(self._products)
        step = max(32, len(self._sum) // 8)
        for start in range(0, len(self._sum), step):  # on and above the diagonal
            part = slice(start, start + step)
            products[part, start:].addmm_(rows_of[:, part].T, rows_of[:, start:])
        self._num += self._filled
        self._filled = 0


def _not_one(groups: int | None) -> int | None:
    if groups == 1:
        raise ValueError("0 or at least 2 groups are needed")
    return groups


@METRICS.register("fd", "frechet")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class FrechetDistance(Metric):
    """Fréchet distance (Heusel et al. 2017, equation 6).

    |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)), from features (N, D). It sees any change of the
    features' means, spreads and correlations. It misses what leaves those as they are, such as a
    copied training set, and it is biased upwards, the more the fewer images are measured.
    """

    groups: Annotated[int | None, Field(ge=0, le=100), AfterValidator(_not_one)] = None
    """Groups left out in turn for the interval, 2 distances each; 0: no interval; unset: 10, but 0
    below 40 images or above 512 features."""

    needs: ClassVar[tuple[Need, ...]] = ("features",)
    better: ClassVar[Mapping[str, Better]] = {"distance": "lower"}
    in_inception: ClassVar[str] = "fid"

    def fitted(self, real: Views) -> Self:
        return replace(self, groups=self._groups(features(real.features, "real images")))

    def statistics(self, real: Views) -> Gaussians:
        rows = features(real.features, "real images", max(2, 4 * (self.groups or 0)))
        return _gaussians(rows, self._groups(rows))

    def compare(self, statistics: Gaussians, fakes: Views) -> Measured:
        whole, groups = statistics.whole, len(statistics.without)
        rows = features(fakes.features, "fake images", max(2, 4 * groups))
        fake = _gaussians(same_width(rows, len(whole.mean), "fake images"), groups)
        value = distance(whole, fake.whole)
        if not groups:
            return Measured({"distance": value})
        of_real = [distance(part, fake.whole) for part in statistics.without]
        of_fake = [distance(whole, part) for part in fake.without]
        one, other = (jackknife_error(np.array(values)) for values in (of_real, of_fake))
        return Measured(
            {"distance": value}, {"distance": around(value, float(np.hypot(one, other)))}
        )

    def _groups(self, rows: Features) -> int:
        if self.groups is not None:
            return self.groups
        return 0 if len(rows) < _FEW or rows.shape[1] > _WIDE else 10


def distance(real: Gaussian, fake: Gaussian) -> float:
    """The squared Fréchet distance between two Gaussians, in the features' unit squared."""
    if real.mean.shape != fake.mean.shape:
        raise UsageError(
            f"Fréchet distance: found features of {len(real.mean)} and {len(fake.mean)} "
            "numbers; take both from the same extractor"
        )
    means = float(np.square(real.mean - fake.mean).sum())
    # with C1 = A A' and C2 = B B' the trace of (C1 C2)^(1/2) is the sum of A'B's singular
    # values; taking no square roots of rounded products, it is exact to the last few digits
    product = real.factor.T @ fake.factor
    root = float(torch.linalg.svdvals(product).sum()) if product.numel() else 0.0
    traces = np.trace(real.covariance) + np.trace(fake.covariance)
    return means + max(0.0, float(traces - 2 * root))


def _gaussians(rows: Features, groups: int) -> Gaussians:
    whole = Moments.of(rows)
    if not groups:
        return Gaussians(whole, ())
    # by what the rows are, not by their order, which may be that of their classes
    order = np.argsort([hashlib.blake2b(row, digest_size=8).digest() for row in rows])
    parts = [Moments.of(rows[order[i::groups]]) for i in range(groups)]
    return Gaussians(whole, tuple(_without_one(parts)))


def _without_one(parts: Sequence[Gaussian]) -> list[Gaussian]:
    """The Gaussians of all groups but the first, all but the second, and so on."""
    return [_merged([*parts[:i], *parts[i + 1 :]]) for i in range(len(parts))]


def _merged(parts: Sequence[Gaussian]) -> Gaussian:
    num = sum(part.num for part in parts)
    mean = np.add.reduce([part.num * part.mean for part in parts]) / num
    scatter = np.zeros_like(parts[0].covariance)
    for part in parts:
        scatter += (part.num - 1) * part.covariance
        scatter += part.num * np.outer(part.mean - mean, part.mean - mean)
    return Gaussian(num, mean, scatter / (num - 1))
