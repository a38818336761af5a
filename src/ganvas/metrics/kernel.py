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
from torch import Tensor

from ganvas.config import Positive
from ganvas.metrics.inputs import Better, Features, Values, feature_pair
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

    coef: float = 1.0
    """Added to the scaled product."""

    better: ClassVar[Mapping[str, Better]] = {"distance": "lower"}

    def scaled(self, rows: Features) -> Tensor:
        """Rows in float64, scaled so that their products are gamma x.y."""
        gamma = 1 / rows.shape[1] if self.gamma is None else self.gamma
        return torch.from_numpy(rows).double() * math.sqrt(gamma)

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """The kernel of scaled rows (N, D) and (M, D): (N, M), float64."""
        base = torch.mm(x, y.T).add_(self.coef)
        power = base.clone()
        for _ in range(self.degree - 1):
            power.mul_(base)
        return power


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
                self.scaled(rows[random.permutation(len(rows))[: self.subset_size]])
                for rows in sets
            )
            values[i] = self._unbiased(x, y)
        return KernelSubsets(float(values.mean()), float(values.std()))

    def _unbiased(self, x: Tensor, y: Tensor) -> float:
        num = len(x)
        within = sum(
            float(kernel.sum() - kernel.trace())
            for kernel in (self.matrix(x, x), self.matrix(y, y))
        )
        return within / (num * (num - 1)) - 2 * float(self.matrix(x, y).sum()) / num**2


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
        x, y = (self.scaled(rows) for rows in feature_pair(real, fake, 2))
        mixed_x, mixed_y = self._mixed(x, y)
        # what each image adds: its mean kernel with its own set - with the other set
        of_x, of_y = self._own(x) - mixed_x, self._own(y) - mixed_y
        variance = of_x.var(correction=0) / len(x) + of_y.var(correction=0) / len(y)
        return KernelExact(float(of_x.mean() + of_y.mean()), 2 * math.sqrt(variance))

    def _own(self, x: Tensor) -> Tensor:
        """Mean kernel of each row with the other rows, (N,)."""
        sums, _ = self._sums(x, x)
        themselves = (x.square().sum(dim=1) + self.coef) ** self.degree
        return (sums - themselves) / (len(x) - 1)

    def _mixed(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean kernel of each row of x with y, (N,), and of each row of y with x, (M,)."""
        of_x, of_y = self._sums(x, y)
        return of_x / len(y), of_y / len(x)

    def _sums(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        of_x, of_y = x.new_zeros(len(x)), y.new_zeros(len(y))
        for i in range(0, len(x), BLOCK):
            for j in range(0, len(y), BLOCK):
                kernel = self.matrix(x[i : i + BLOCK], y[j : j + BLOCK])
                of_x[i : i + BLOCK] += kernel.sum(dim=1)
                of_y[j : j + BLOCK] += kernel.sum(dim=0)
        return of_x, of_y
