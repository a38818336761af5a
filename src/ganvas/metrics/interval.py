"""How far a number may be off because it was measured on so many images and no more."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from ganvas.metrics.inputs import Floats

Z: Final = 1.959963984540054
"""Standard errors on either side of a value that make a 95 % interval."""


def around(value: float, error: float) -> tuple[float, float]:
    """95 % interval of a value with a normal error: low and high."""
    return value - Z * error, value + Z * error


def standard_error(values: Floats) -> float:
    """Standard error of the mean of independent values (N,): std / sqrt(N), std over N."""
    return float(values.std() / math.sqrt(len(values)))


def share_interval(share: float, num: int) -> tuple[float, float]:
    """95 % interval of a share of `num` independent images (Wilson 1927): low and high."""
    middle = share + Z * Z / (2 * num)
    half = Z * math.sqrt(share * (1 - share) / num + (Z / (2 * num)) ** 2)
    return max(0.0, (middle - half) / (1 + Z * Z / num)), min(
        1.0, (middle + half) / (1 + Z * Z / num)
    )


def jackknife_error(left_out: Floats) -> float:
    """Standard error of a number from its values, (groups,), each without one group of images.

    The delete-a-group jackknife: sqrt((g - 1) / g sum (value - mean)^2).
    """
    return float(math.sqrt(len(left_out) - 1) * np.std(left_out))
