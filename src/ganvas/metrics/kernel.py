"""The kernel distance: the unbiased squared maximum mean discrepancy with a polynomial kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.metrics.inputs import Better, Features, Floats, Values, feature_pair
from ganvas.registry import CHECKED, METRICS
from ganvas.seeds import stream

BLOCK_BYTES: int = 16 << 20
"""Most that one block of kernel values takes."""


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

    def with_itself(self, x: Floats) -> Floats:
        """The kernel of each lifted row with itself, (..., N)."""
        values: Floats = np.square(x).sum(axis=-1) ** self.degree
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
        # a stream for each set, so that the draws do not depend on how many are made at once
        draws = [np.random.default_rng(stream(self.seed, "kernel", of)) for of in ("real", "fake")]
        at_once = max(1, min(self.subsets, BLOCK_BYTES // (8 * self.subset_size**2)))
        # one place for all kernel values: fresh memory costs as much time as the sums
        buffer = torch.empty(max(BLOCK_BYTES // 8, self.subset_size), dtype=torch.float64)
        values = np.empty(self.subsets)
        for start in range(0, self.subsets, at_once):
            part = values[start : start + at_once]
            x, y = (
                np.stack([self._subset(rows, random) for _ in part])
                for rows, random in zip(sets, draws, strict=True)
            )
            part[:] = self._unbiased(x, y, buffer)
        return KernelSubsets(float(values.mean()), float(values.std()))

    def _subset(self, rows: Features, random: np.random.Generator) -> Floats:
        return self.lifted(rows[random.choice(len(rows), self.subset_size, replace=False)])

    def _unbiased(self, x: Floats, y: Floats, buffer: torch.Tensor) -> Floats:
        """The distance of each subset, (subsets,), from lifted rows (subsets, size, D + 1)."""
        num = self.subset_size
        within = np.zeros(len(x))
        for rows in (x, y):
            within += self._totals(rows, rows, buffer) - self.with_itself(rows).sum(axis=1)
        distances: Floats = within / (num * (num - 1)) - 2 * self._totals(x, y, buffer) / num**2
        return distances

    def _totals(self, x: Floats, y: Floats, buffer: torch.Tensor) -> Floats:
        """Sums of the kernel over all pairs of rows within each subset, (subsets,)."""
        step = max(1, BLOCK_BYTES // (8 * len(x) * self.subset_size))
        across = torch.from_numpy(y).transpose(1, 2)
        factors = ",".join(["ij"] * self.degree)
        totals = np.zeros(len(x))
        for start in range(0, self.subset_size, step):
            some = torch.from_numpy(x[:, start : start + step])
            base = buffer[: len(x) * some.shape[1] * self.subset_size]
            base = base.view(len(x), some.shape[1], self.subset_size)
            torch.bmm(some, across, out=base)
            for i, values in enumerate(base.numpy()):
                totals[i] += np.einsum(f"{factors}->", *[values] * self.degree)
        return totals


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
        sums, _ = self._sums(x, x, same=True)
        means: Floats = (sums - self.with_itself(x)) / (len(x) - 1)
        return means

    def _sums(self, x: Floats, y: Floats, same: bool = False) -> tuple[Floats, Floats]:
        """Sums of the kernel over y for each row of x, (N,), and over x for each of y, (M,).

        With `same`, x and y are one set, and each pair of blocks is computed once.
        """
        of_x, of_y = np.zeros(len(x)), np.zeros(len(y))
        step = max(1, math.isqrt(BLOCK_BYTES // 16))  # two float64 arrays of step x step
        for i in range(0, len(x), step):
            for j in range(i if same else 0, len(y), step):
                rows, columns = torch.from_numpy(x[i : i + step]), torch.from_numpy(y[j : j + step])
                base = torch.mm(rows, columns.T).numpy()
                kernel = base.copy()
                for _ in range(self.degree - 1):
                    kernel *= base
                of_x[i : i + step] += kernel.sum(axis=1)
                if same and j > i:
                    of_x[j : j + step] += kernel.sum(axis=0)
                elif not same:
                    of_y[j : j + step] += kernel.sum(axis=0)
        return of_x, of_y
