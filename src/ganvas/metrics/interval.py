"""How far a number may be off because it was measured on so many images and no more."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from ganvas.metrics.inputs import Floats

Z: Final = 1.959963984540054
"""Standard errors on either side of a value that make a 95 % interval."""


def quantile_of_t(degrees: int) -> float:
    """Standard errors on either side that make a 95 % interval, the error being estimated too: the
    97.5 % quantile of Student's t with so many degrees of freedom."""
    from scipy.special import stdtrit  # here: what needs no such interval starts without it

    return float(stdtrit(degrees, 0.975))


def around(value: float, error: float, width: float = Z) -> tuple[float, float]:
    """95 % interval of a value with a normal error: low and high, `width` errors away."""
    return value - width * error, value + width * error


def standard_error(values: Floats) -> float:
    """Standard error of the mean of independent values (N,), two or more."""
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def share_interval(share: float, num: float, width: float = Z) -> tuple[float, float]:
    """95 % interval of a share of `num` independent images (Wilson 1927): low and high."""
    scale = 1 + width * width / num
    middle = (share + width * width / (2 * num)) / scale
    half = width * math.sqrt(share * (1 - share) / num + (width / (2 * num)) ** 2) / scale
    # rounding must not leave the share itself out where it is 0 or 1
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def share_of_independent(share: float, variance: float, num: float) -> float:
    """How many independent images are worth one of `num` whose share has this variance.

    One over the design effect (Kish 1965): share (1 - share) / num / variance, at most 1.
    """
    independent = share * (1 - share) / num
    return min(1.0, independent / variance) if variance > 0 else 1.0


def jackknife_error(left_out: Floats) -> float:
    """Standard error of a number from its values, (groups,), each without one group of images.

    The delete-a-group jackknife: sqrt((g - 1) / g sum (value - mean)^2).
    """
    return float(math.sqrt(len(left_out) - 1) * np.std(left_out))
