"""The kernel distance: the unbiased squared maximum mean discrepancy with a polynomial kernel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.metrics.inputs import Better, Features, Floats, features, same_width
from ganvas.metrics.interval import around
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.registry import CHECKED, METRICS
from ganvas.seeds import stream

BLOCK_BYTES: int = 16 << 20
"""Most that one block of kernel values takes."""
_PARTS: Final = 8
"""Parts of a subset's rows, each of which is multiplied with what comes after it."""
_SUBSET: Final = 1000
"""Images in a subset where that is no more than half of them; of all, every subset is the same."""


@plain(frozen=True)
class Subsets:
    """Random subsets of real images."""

    rows: NDArray[np.int64]
    """(subsets, size): which images."""
    within: Floats
    """(subsets,): sums of the kernel over all pairs of different images of a subset."""


@plain(frozen=True)
class RealKernel:
    """Real features and the kernel between them."""

    features: Features
    """(N, D)"""
    own: Floats
    """(N,): mean kernel of each image with the others."""
    subsets: Subsets | None
    """None where there are too few images for any."""


@METRICS.register("kd", "kernel", "kernel-exact")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class KernelDistance(Metric):
    """Kernel distance (Gretton et al. 2012, equation 3; KID: Bińkowski et al. 2018, section 4).

    Mean of k(x, y) = (gamma x.y + coef)^degree over pairs of real images + over pairs of fakes -
    2 x over mixed pairs, no image with itself: of all pairs, with the least possible spread, and of
    random subsets. It sees means, spreads and third moments of the features (N, D), and its mean
    does not depend on the number of images. It misses changes in higher moments, and small dropped
    modes.
    """

    degree: Positive = 3
    """Power of the kernel."""

    gamma: Annotated[float, Field(gt=0)] | None = None
    """Factor on the product of two features; unset: 1 / their length."""

    coef: Annotated[float, Field(ge=0)] = 1.0
    """Added to the scaled product."""

    subsets: Positive = 100
    """Subsets drawn; images repeat between subsets, not within one."""

    subset_size: Annotated[int, Field(ge=2)] | None = None
    """Real images, and as many fakes, in a subset; unset: 1,000, or half of the images."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Which subsets are drawn."""

    needs: ClassVar[tuple[Need, ...]] = ("features",)
    better: ClassVar[Mapping[str, Better]] = {"distance": "lower"}
    in_inception: ClassVar[str] = "kid"

    def fitted(self, real: Views) -> Self:
        return replace(self, subset_size=self._size(features(real.features, "real images")))

    def statistics(self, real: Views) -> RealKernel:
        rows = features(real.features, "real images", self.subset_size or 2)
        lifted = self.lifted(rows)
        return RealKernel(rows, self._own(lifted), self.subsets_of(lifted))

    def compare(self, statistics: RealKernel, fakes: Views) -> Measured:
        fake = features(fakes.features, "fake images", self.subset_size or 2)
        same_width(fake, statistics.features.shape[1], "fake images")
        x, y = self.lifted(statistics.features), self.lifted(fake)
        mixed_x, mixed_y = self._sums(x, y)
        # what each image adds: its mean kernel with its own set - with the other set
        of_x = statistics.own - mixed_x / len(y)
        of_y = self._own(y) - mixed_y / len(x)
        distance = float(of_x.mean() + of_y.mean())
        error = 2 * math.sqrt(of_x.var() / len(x) + of_y.var() / len(y))  # to first order
        values = {"distance": distance}
        subsets = statistics.subsets
        if subsets is not None and len(y) >= subsets.rows.shape[1]:
            drawn = self.over_subsets(x, subsets, y)
            values |= {"subsets": float(drawn.mean()), "spread": float(drawn.std())}
        return Measured(values, {"distance": around(distance, error)})

    def lifted(self, rows: Features) -> Floats:
        """Rows in float64, (N, D + 1), whose products are gamma x.y + coef."""
        gamma = 1 / rows.shape[1] if self.gamma is None else self.gamma
        lifted = np.full((len(rows), rows.shape[1] + 1), math.sqrt(self.coef))
        lifted[:, :-1] = rows
        lifted[:, :-1] *= math.sqrt(gamma)
        return lifted

    def _with_itself(self, x: Floats) -> Floats:
        """The kernel of each lifted row with itself, (..., N)."""
        values: Floats = np.square(x).sum(axis=-1) ** self.degree
        return values

    # Over all pairs

    def _own(self, x: Floats) -> Floats:
        """Mean kernel of each row with the other rows, (N,)."""
        sums, _ = self._sums(x, x, same=True)
        means: Floats = (sums - self._with_itself(x)) / (len(x) - 1)
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

    # Over subsets

    def _size(self, rows: Features) -> int | None:
        if self.subset_size is not None:
            return self.subset_size
        size = min(_SUBSET, len(rows) // 2)
        return size if size >= 2 else None

    def subsets_of(self, x: Floats) -> Subsets | None:
        """Subsets of the lifted rows of real images; None where there are too few of them."""
        size = self._size(x)
        if size is None:
            return None
        rows = self._drawn("real", len(x), size)
        buffer = self._buffer(size)
        within = [self._within(x[rows[part]], buffer) for part in self._parts(size)]
        return Subsets(rows, np.concatenate(within))

    def over_subsets(self, x: Floats, subsets: Subsets, y: Floats) -> Floats:
        """The distance of each subset, (subsets,), from lifted rows of real images and of fakes."""
        num = subsets.rows.shape[1]
        rows = self._drawn("fake", len(y), num)
        buffer = self._buffer(num)
        distances = np.empty(self.subsets)
        for part in self._parts(num):
            real, fake = x[subsets.rows[part]], y[rows[part]]
            within = subsets.within[part] + self._within(fake, buffer)
            mixed = self._totals(real, fake, buffer)
            distances[part] = within / (num * (num - 1)) - 2 * mixed / num**2
        return distances

    def _drawn(self, of: str, num: int, size: int) -> NDArray[np.int64]:
        """Which of `num` images are in each subset, (subsets, size): a stream for each set."""
        random = np.random.default_rng(stream(self.seed, "kernel", of))
        return np.stack([random.choice(num, size, replace=False) for _ in range(self.subsets)])

    def _parts(self, size: int) -> Iterator[slice]:
        """Subsets that are computed together."""
        at_once = max(1, min(self.subsets, BLOCK_BYTES // (8 * size**2)))
        return (slice(start, start + at_once) for start in range(0, self.subsets, at_once))

    def _buffer(self, size: int) -> torch.Tensor:
        """One place for all kernel values: fresh memory costs as much time as the sums."""
        return torch.empty(max(BLOCK_BYTES // 8, size), dtype=torch.float64)

    def _within(self, x: Floats, buffer: torch.Tensor) -> Floats:
        """Sums over pairs of different rows within each subset, (subsets,).

        Each pair is computed once: rows are multiplied with themselves and those after them.
        """
        num, size, _ = x.shape
        step = max(1, min(size // _PARTS, BLOCK_BYTES // (8 * num * size)))
        totals = np.zeros(num)
        for start in range(0, size, step):
            rows, after = x[:, start : start + step], x[:, start + step :]
            own = self._totals(rows, rows, buffer) - self._with_itself(rows).sum(axis=1)
            totals += own + (2 * self._totals(rows, after, buffer) if after.shape[1] else 0.0)
        return totals

    def _totals(self, x: Floats, y: Floats, buffer: torch.Tensor) -> Floats:
        """Sums of the kernel over all pairs of rows of x and y in each subset, (subsets,).

        From lifted rows (subsets, size, D + 1).
        """
        num, size = x.shape[:2]
        step = max(1, BLOCK_BYTES // (8 * num * y.shape[1]))
        across = torch.from_numpy(y).transpose(1, 2)
        factors = ",".join(["i"] * self.degree)
        totals = np.zeros(num)
        for start in range(0, size, step):
            some = torch.from_numpy(x[:, start : start + step])
            shape = num, some.shape[1], y.shape[1]
            base = buffer[: math.prod(shape)].view(shape)
            torch.bmm(some, across, out=base)
            for i, values in enumerate(base.view(num, -1).numpy()):
                totals[i] += np.einsum(f"{factors}->", *[values] * self.degree)
        return totals
