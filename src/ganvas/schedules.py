"""Settings that change while a run goes on: pure functions of how far it is.

Nothing of a schedule is saved: what holds at a place in a run follows from the place alone, so a
resumed run goes on with the value that an uninterrupted one would have had.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ganvas.config import Ramp


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    images: int
    """Real images shown."""
    share: float = 0.0
    """Of the run's length, in [0, 1]: of its steps, or of its time where a clock ends it."""


Schedule = Callable[[Progress], float]
"""From how far a run is to a value."""

START: Final = Progress(0)


def schedule(value: float | Ramp) -> Schedule:
    """What a setting says: the same value throughout, or one on its way to another."""
    if not isinstance(value, Ramp):
        return constant(value)
    return {"linear": linear, "cosine": cosine}[value.shape](value)


def constant(value: float) -> Schedule:
    """The same value from the first image to the last."""
    return lambda progress: value


def linear(ramp: Ramp) -> Schedule:
    """In equal steps from one value to the other."""
    return lambda progress: _between(ramp, _passed(ramp, progress))


def cosine(ramp: Ramp) -> Schedule:
    """Slowly at either end and fastest in the middle, along half a cosine wave."""
    return lambda progress: _between(ramp, (1 - math.cos(math.pi * _passed(ramp, progress))) / 2)


def _passed(ramp: Ramp, progress: Progress) -> float:
    """The share of the ramp that lies behind, in [0, 1]."""
    at = progress.images if ramp.ends.unit == "images" else 100 * progress.share
    return min(1.0, max(0.0, (at - ramp.begins.amount) / (ramp.ends.amount - ramp.begins.amount)))


def _between(ramp: Ramp, share: float) -> float:
    return (1 - share) * ramp.start + share * ramp.end
