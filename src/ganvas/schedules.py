"""Settings that change while a run goes on: pure functions of the real images seen.

Nothing of a schedule is saved: what holds at an image count follows from the count alone, so a
resumed run goes on with the value that an uninterrupted one would have had.
"""

from __future__ import annotations

from collections.abc import Callable

Schedule = Callable[[int], float]
"""From the number of real images seen to a value."""


def constant(value: float) -> Schedule:
    """The same value from the first image to the last."""
    return lambda images: value
