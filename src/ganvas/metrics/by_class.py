"""Numbers of each class beside one of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ganvas.metrics.inputs import Floats
from ganvas.metrics.interval import share_interval
from ganvas.metrics.metric import Measured

OF_CLASS: Final = "class "
"""What the values of single classes begin with."""
LISTED: Final = 20
"""Classes at most that get a value each."""


def name_of(classes: Sequence[str], index: int) -> str:
    """What the value of a class is called: 'class Trouser'."""
    return f"{OF_CLASS}{classes[index] if index < len(classes) else index}"


def values_of(of_class: Floats, classes: Sequence[str]) -> dict[str, float]:
    """A value for each class that has one, (classes,), NaN where it has none; if they are few."""
    if len(of_class) > LISTED:
        return {}
    known = np.flatnonzero(np.isfinite(of_class))
    return {name_of(classes, int(index)): float(of_class[index]) for index in known}


def shares(
    right: NDArray[np.bool_],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    num_classes: int,
    name: str,
) -> Measured:
    """The share of images (N,) that are right: of all, of the worst class and of each class.

    Intervals are Wilson's.
    """
    counts = np.bincount(labels, minlength=num_classes)
    hits = np.bincount(labels[right], minlength=num_classes)
    with np.errstate(invalid="ignore"):
        of_class: Floats = np.where(counts > 0, hits / counts, np.nan)
    worst = int(np.nanargmin(of_class))
    values = {name: float(right.mean()), "worst": float(of_class[worst])}
    nums = {name: len(right), "worst": int(counts[worst])}
    values |= values_of(of_class, classes)
    nums |= {name_of(classes, index): int(counts[index]) for index in range(num_classes)}
    return Measured(
        values, {key: share_interval(value, nums[key]) for key, value in values.items()}
    )
