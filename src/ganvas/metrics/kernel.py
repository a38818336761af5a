"""The kernel distance: the unbiased squared maximum mean discrepancy with a polynomial kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.metrics.inputs import Better, Features, Floats, Values, feature_pair
from ganvas.registry import CHECKED, METRICS
from ganvas.seeds import stream

BLOCK: int = 1024
"""Rows and columns of one block of the kernel matrix."""


@plain(frozen=True)
class KernelSubsets:
    """A kernel distance over random subsets; without bias, so it can be below zero."""

    distance: float
    """Mean over the subsets."""
    spread: float
    """Standard deviation over the subsets."""


@plain(frozen=True)
class KernelExact:
    """A kernel distance over all pairs; without bias, so it can be below zero."""

    distance: float
    """Over all pairs of images."""
    error: float
    """Standard error, to first order; too small where the distance is about zero."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Polynomial:
    """k(x, y) = (gamma x.y + coef)^degree."""

    degree: Positive = 3
    """Power of the kernel."""

    gamma: Annotated[float, Field(gt=0)] | None = None
    """Factor on the product of two features; unset: 1 / their length."""

    coef: Annotated[float, Field(ge=0)] = 1.0
    """Added to the scaled product."""

    better: ClassVar[Mapping[str, Better]] = {"distance": "lower"}

    def lifted(self, rows: Features) -> Floats:
        """Rows in float64, (N, D + 1), whose products are gamma x.y + coef."""
        gamma = 1 / rows.shape[1] if self.gamma is None else self.gamma
        lifted = np.full((len(rows), rows.shape[1] + 1), math.sqrt(self.coef))
        lifted[:, :-1] = rows
        lifted[:, :-1] *= math.sqrt(gamma)
        return lifted

    def total(self, x: Floats, y: Floats) -> float:
        """Sum of the kernel over all pairs of lifted rows."""
        base = x @ y.T
        pairs = ",".join(["ij"] * self.degree)
        return float(np.einsum(f"{pairs}->", *[base] * self.degree))

    def with_itself(self, x: Floats) -> Floats:
        """The kernel of each lifted row with itself, (N,)."""
        values: Floats = np.square(x).sum(axis=1) ** self.degree
        return values


@METRICS.register("kernel")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class KernelDistance(Polynomial):
    """Kernel distance over random subsets (KID of Bińkowski et al. 2018, section 4).

    Mean of k over pairs of real images + over pairs of fakes - 2 x over mixed pairs, no image with
    itself. It sees means, spreads and third moments of the features, and its mean does not depend
    on the number of images. It misses changes in higher moments, and small dropped modes.
    """

    subsets: Positive = 100
    """Subsets drawn; images repeat between subsets, not within one."""

    subset_size: Annotated[int, Field(ge=2)] = 1000
    """Real images, and as many fakes, in a subset."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Which subsets are drawn."""

    def measure(self, real: Values, fake: Values) -> KernelSubsets:
        """The distance of fake features (M, D) from real ones (N, D).

        Raises:
            UsageError: fewer images than a subset has; not finite; rows differ in length.
        """
        sets = feature_pair(real, fake, self.subset_size)
        random = np.random.default_rng(stream(self.seed, "kernel"))
        values = np.empty(self.subsets)
        for i in range(self.subsets):
            x, y = (
                self.lifted(rows[random.permutation(len(rows))[: self.subset_size]])
                for rows in sets
            )
            values[i] = self._unbiased(x, y)
        return KernelSubsets(float(values.mean()), float(values.std()))

    def _unbiased(self, x: Floats, y: Floats) -> float:
        num = len(x)
        within = sum(self.total(rows, rows) - self.with_itself(rows).sum() for rows in (x, y))
        return float(within / (num * (num - 1)) - 2 * self.total(x, y) / num**2)


@METRICS.register("kernel-exact")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class KernelDistanceExact(Polynomial):
    """Kernel distance over all pairs of images (Gretton et al. 2012, equation 3).

    What `kernel` estimates, with the least possible spread: the sets may differ in size, and the
    time grows with the product of their sizes. It sees and misses what `kernel` does.
    """

    def measure(self, real: Values, fake: Values) -> KernelExact:
        """The distance of fake features (M, D) from real ones (N, D).

        Raises:
            UsageError: fewer than 2 images; not finite; rows differ in length.
        """
        x, y = (self.lifted(rows) for rows in feature_pair(real, fake, 2))
        mixed_x, mixed_y = self._sums(x, y)
        # what each image adds: its mean kernel with its own set - with the other set
        of_x = self._own(x) - mixed_x / len(y)
        of_y = self._own(y) - mixed_y / len(x)
        error = 2 * math.sqrt(of_x.var() / len(x) + of_y.var() / len(y))
        return KernelExact(float(of_x.mean() + of_y.mean()), error)

    def _own(self, x: Floats) -> Floats:
        """Mean kernel of each row with the other rows, (N,)."""
        sums, _ = self._sums(x, x)
        means: Floats = (sums - self.with_itself(x)) / (len(x) - 1)
        return means

    def _sums(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Sums of the kernel over y for each row of x, (N,), and over x for each of y, (M,)."""
        of_x, of_y = np.zeros(len(x)), np.zeros(len(y))
        for i in range(0, len(x), BLOCK):
            for j in range(0, len(y), BLOCK):
                base = x[i : i + BLOCK] @ y[j : j + BLOCK].T
                kernel = base.copy()
                for _ in range(self.degree - 1):
                    kernel *= base
                of_x[i : i + BLOCK] += kernel.sum(axis=1)
                of_y[j : j + BLOCK] += kernel.sum(axis=0)
        return of_x, of_y
