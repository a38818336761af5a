"""The Fréchet distance between Gaussians fitted to the features of two sets of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar, Final

import numpy as np
import torch
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.errors import UsageError
from ganvas.metrics.inputs import Better, Floats, Values, feature_pair, features
from ganvas.metrics.interval import jackknife_error
from ganvas.registry import CHECKED, METRICS

_BLOCK: Final = 1024
"""Rows that enter the sums together, however many come in a batch."""


@plain(frozen=True)
class Gaussian:
    """Mean and covariance of a set of features."""

    num: int
    """Images."""
    mean: Floats
    """(D,)"""
    covariance: Floats
    """(D, D), divided by num - 1."""


@plain(frozen=True)
class Frechet:
    """A Fréchet distance, in the features' unit squared."""

    distance: float
    """The sum of the next two."""
    means: float
    """The share of the means: |m1 - m2|^2."""
    covariances: float
    """The share of the covariances."""
    error: float | None
    """Standard error by leaving out groups of images; None if there are no groups."""


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
        while len(rows):
            taken = rows[: _BLOCK - self._filled]
            self._rows[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rows = rows[len(taken) :]
            if self._filled == _BLOCK:
                self._sum_up()

    def gaussian(self) -> Gaussian:
        """The Gaussian of all features so far; UsageError with fewer than two."""
        self._sum_up()
        if self._num < 2:
            raise UsageError(f"features: found {self._num} images; at least 2 are needed")
        offset = self._sum / self._num
        covariance = (self._products - self._num * np.outer(offset, offset)) / (self._num - 1)
        return Gaussian(self._num, self._shift + offset, covariance)

    def _sum_up(self) -> None:
        rows = self._rows[: self._filled]
        if self._num == 0 and len(rows):
            self._shift = rows.mean(axis=0)  # sums about a typical point lose no digits
        centred = rows - self._shift
        self._sum += centred.sum(axis=0)
        rows_of = torch.from_numpy(centred)
        self._products += torch.mm(rows_of.T, rows_of).numpy()
        self._num += self._filled
        self._filled = 0


def _not_one(groups: int) -> int:
    if groups == 1:
        raise ValueError("0 or at least 2 groups are needed")
    return groups


@METRICS.register("frechet")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class FrechetDistance:
    """Fréchet distance (Heusel et al. 2017, equation 6).

    |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)), from features (N, D). It sees any change of the
    features' means, spreads and correlations. It misses what leaves those as they are, such as a
    copied training set, and it is biased upwards, the more the fewer images are measured.
    """

    groups: Annotated[int, Field(ge=0, le=100), AfterValidator(_not_one)] = 10
    """Groups left out in turn for the standard error, 2 distances each; 0: no error."""

    better: ClassVar[Mapping[str, Better]] = {"distance": "lower"}

    def measure(self, real: Values, fake: Values) -> Frechet:
        """The distance of fake features (M, D) from real ones (N, D).

        Raises:
            UsageError: fewer than 2 images, or 4 a group; not finite; rows differ in length.
        """
        sets = feature_pair(real, fake, max(2, 4 * self.groups))
        real_all, fake_all = (self.statistics(rows) for rows in sets)
        error = None
        if self.groups:
            real_parts, fake_parts = (
                [self.statistics(rows[i :: self.groups]) for i in range(self.groups)]
                for rows in sets
            )
            of_real = [self.distance(g, fake_all).distance for g in _without_one(real_parts)]
            of_fake = [self.distance(real_all, g).distance for g in _without_one(fake_parts)]
            error = float(
                np.hypot(jackknife_error(np.array(of_real)), jackknife_error(np.array(of_fake)))
            )
        result = self.distance(real_all, fake_all)
        return Frechet(result.distance, result.means, result.covariances, error)

    def statistics(self, batch: Values) -> Gaussian:
        """The Gaussian of features (N, D); for batches that come one by one see `Moments`."""
        rows = features(batch, "features", 2)
        moments = Moments(rows.shape[1])
        moments.update(rows)
        return moments.gaussian()

    def distance(self, real: Gaussian, fake: Gaussian) -> Frechet:
        """The distance between two Gaussians, without its error."""
        if real.mean.shape != fake.mean.shape:
            raise UsageError(
                f"Fréchet distance: found features of {len(real.mean)} and {len(fake.mean)} "
                "numbers; take both from the same extractor"
            )
        means = float(np.square(real.mean - fake.mean).sum())
        # with C1 = A A' and C2 = B B' the trace of (C1 C2)^(1/2) is the sum of A'B's singular
        # values; taking no square roots of rounded products, it is exact to the last few digits
        product = _factor(real.covariance).T @ _factor(fake.covariance)
        root = float(torch.linalg.svdvals(product).sum()) if product.numel() else 0.0
        traces = np.trace(real.covariance) + np.trace(fake.covariance)
        covariances = max(0.0, float(traces - 2 * root))
        return Frechet(means + covariances, means, covariances, None)


def _factor(covariance: Floats) -> Tensor:
    """A, (D, rank), with A A' = covariance."""
    # torch's threads, unlike those of NumPy's library, do not starve each other on a busy machine
    values, vectors = torch.linalg.eigh(torch.from_numpy(covariance))
    kept = values > max(float(values[-1]), 0.0) * len(values) * np.finfo(np.float64).eps
    factor: Tensor = vectors[:, kept] * values[kept].sqrt()
    return factor


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
