"""How good a result is, in words: against what real images reach in its place."""

from __future__ import annotations

import math
from typing import Final

from ganvas.errors import UsageError
from ganvas.metrics.rows import Row
from ganvas.registry import METRICS

DISTANCES: Final = (
    (1.25, "as near to real images as these are to each other"),
    (3.0, "near to real images"),
    (10.0, "some way from real images"),
    (math.inf, "far from real images"),
)
"""Up to so many times the floor, a distance is said to be so."""
SHARES: Final = (
    (0.95, "as good as real images"),
    (0.8, "close to real images"),
    (0.5, "some way from real images"),
    (-math.inf, "far from real images"),
)
"""From such a share of the floor on, a value of which more is better."""
TOLD_APART: Final = "told apart from real images"
NOT_TOLD_APART: Final = "not to be told from real images by so few"
"""Of a kernel distance, whose interval does or does not reach what real images have."""


def verdict(row: Row) -> str:
    """One sentence on a row's first value that has a better direction; "" if there is none.

    'near to real images: fd2k 25.1 is 2.2 times the 11.2 of real images'
    """
    if "kd" in row.settings:
        return _of_kernel(row)
    better = _directions(row)
    for key, value in row.values.items():
        floor = row.floor.get(key, math.nan)
        if better.get(key) not in ("lower", "higher") or not math.isfinite(value):
            continue
        if not (math.isfinite(floor) and floor > 0):
            return ""
        ratio = value / floor
        name = row.metric if len(row.values) == 1 else f"{row.metric} {key}"
        if better[key] == "lower":
            word = next(word for limit, word in DISTANCES if ratio <= limit)
            real = _number(floor)
            return f"{word}: {name} {_number(value)} is {_times(ratio)} the {real} of real images"
        word = next(word for limit, word in SHARES if ratio >= limit)
        return f"{word}: {name} {_number(value)} where real images have {_number(floor)}"
    return ""


def _of_kernel(row: Row) -> str:
    """A kernel distance is zero on average for real images, so it is read by its interval.

    'told apart from real images: kd59 1.3 (0.9 to 1.7), real images 0.02'
    """
    value, interval = row.values.get("distance", math.nan), row.intervals.get("distance")
    if not math.isfinite(value) or interval is None:
        return ""
    floor = row.floor.get("distance", 0.0)
    word = TOLD_APART if interval[0] > max(floor, 0.0) else NOT_TOLD_APART
    between = f"{interval[0]:.3g} to {interval[1]:.3g}"
    return f"{word}: {row.metric} {value:.3g} ({between}), real images {floor:.3g}"


def _number(value: float) -> str:
    """Three digits, or as many as a larger number has before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _times(ratio: float) -> str:
    return f"{ratio:.2g} times" if ratio < 100 else f"{ratio:,.0f} times"


def _directions(row: Row) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in row.settings:
        try:
            found |= getattr(METRICS.get(name), "better", {})
        except UsageError:
            continue  # one of the user's own, which is not imported
    return found
