"""Mean and spread over seeds, and whether two groups differ by more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

LEAST_SEEDS: Final = 3
"""Fewer runs in a group say too little of its spread to compare it with another."""


@dataclass(frozen=True)
class Spread:
    """Values of independent runs, as one."""

    mean: float
    deviation: float | None
    """Standard deviation, divided by num - 1; None for a single value."""
    num: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(fmean(values), stdev(values) if len(values) > 1 else None, len(values))

    def __str__(self) -> str:
        """'6.43 ± 0.52', with two digits of the deviation; four of a value that stands alone."""
        mean = self.text_of(self.mean)
        return mean if self.deviation is None else f"{mean} ± {self.text_of(self.deviation)}"

    def text_of(self, value: float) -> str:
        """A value with as many decimals as two digits of the deviation have."""
        if not self.deviation:
            return number_text(value)
        digits = max(0, 1 - math.floor(math.log10(self.deviation)))
        return f"{value:,.{digits}f}" if digits <= 8 else f"{value:.3e}"


def number_text(value: float) -> str:
    """Four digits, no power of ten up to a million."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{round(value, 9):.4g}"


@dataclass(frozen=True)
class Difference:
    """The difference of two groups' means, with its 95 % interval."""

    difference: float
    """The second group's mean less the first's."""
    low: float
    high: float

    @property
    def is_larger_than_chance(self) -> bool:
        """Whether zero lies outside the interval: Welch's test, two-sided, at 5 %."""
        return not self.low <= 0.0 <= self.high


def welch(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Welch's interval for the difference of two means (Welch 1947, with Satterthwaite's degrees
    of freedom); None if a group has fewer than LEAST_SEEDS values, or neither has any spread."""
    if min(len(first), len(second)) < LEAST_SEEDS:
        return None
    shares = [stdev(values) ** 2 / len(values) for values in (first, second)]
    variance = sum(shares)
    if variance == 0:
        return None
    freedom = variance**2 / sum(
        share**2 / (len(values) - 1) for share, values in zip(shares, (first, second), strict=True)
    )
    difference = fmean(second) - fmean(first)
    from scipy.special import stdtrit  # here: pages that only write numbers start without it

    half = float(stdtrit(freedom, 0.975)) * math.sqrt(variance)
    return Difference(difference, difference - half, difference + half)
