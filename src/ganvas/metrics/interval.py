"""How far a number may be off because it was measured on so many images and no more."""

from __future__ import annotations

import math

import numpy as np

from ganvas.metrics.inputs import Floats


def standard_error(values: Floats) -> float:
    """Standard error of the mean of independent values (N,): std / sqrt(N), std over N."""
    return float(values.std() / math.sqrt(len(values)))


def share_interval(share: float, num: int) -> tuple[float, float]:
    """95 % interval of a share of `num` independent images (Wilson 1927): low and high."""
    z = 1.959963984540054
    middle = share + z * z / (2 * num)
    half = z * math.sqrt(share * (1 - share) / num + (z / (2 * num)) ** 2)
    return max(0.0, (middle - half) / (1 + z * z / num)), min(
        1.0, (middle + half) / (1 + z * z / num)
    )


def jackknife_error(left_out: Floats) -> float:
    """Standard error of a number from its values, (groups,), each without one group of images.

    The delete-a-group jackknife: sqrt((g - 1) / g sum (value - mean)^2).
    """
    return float(math.sqrt(len(left_out) - 1) * np.std(left_out))
