"""When a run ends: after a number of steps, or when its minutes are over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ganvas.config import Length, Lengths
from ganvas.training.state import State

ENDING: Final = 4.0
"""Seconds kept for the pictures at the end, or a tenth of the minutes if that is less."""
MARGIN: Final = 1.5
"""What is due at the end may take so many times as long as the longest that was due so far."""
EVER: Final = 1.0
"""What older checkpoints say in the place of the seconds that are over."""
MEASURED: Final = 0.02
"""Share of the minutes after which the first forecast is made."""


class Ending:
    """Where a run of some length ends. With minutes, `total` is a forecast until the time is up.

    The minutes began at `begun` (of `clock`), but for the seconds `used` in earlier
    sittings. The last step is the one after which what is due at the end can still be written in
    time; `longest` is what is known of that before anything was due.
    """

    def __init__(
        self,
        length: Length,
        lengths: Lengths,
        state: State,
        begun: float,
        *,
        clock: Callable[[], float] = time.perf_counter,
        used: float = 0.0,
        longest: float = 0.0,
    ) -> None:
        self.total = lengths.total_steps(length)
        """Steps, in all sittings; None until they can be told."""
        self._state = state
        self._clock = clock
        self._longest = longest
        self._deadline: float | None = None
        if length.minutes is not None:
            self._budget = 60 * length.minutes
            self._deadline = begun + self._budget - used
            self._first_step, self._start = state.step, self._clock()

    def over(self) -> bool:
        """Whether the step that was just made is the last one."""
        state = self._state
        if self._deadline is None:
            return state.step == self.total
        if state.step and self._clock() >= self._deadline - self._reserve():
            state.memory["over"] = self._budget  # resuming it does not lengthen it by itself
        if self._ended:
            self.total = state.step
        return self._ended

    @property
    def _ended(self) -> bool:
        """Whether these minutes were over in an earlier sitting, or are now."""
        over = self._state.memory.get("over", 0.0)
        return over == EVER or over >= self._budget

    def share(self) -> float:
        """How much of the run lies behind, in [0, 1]: of its steps, or of its time."""
        if self._deadline is None:
            assert self.total is not None
            return self._state.step / self.total
        until = self._deadline - self._clock()
        passed, left = self._budget - until, max(0.0, until - self._reserve())
        return passed / (passed + left) if passed > 0 else 0.0

    def took(self, seconds: float) -> None:
        """What was due at a step (a sheet, a checkpoint, ...) took so long."""
        self._longest = max(self._longest, seconds)

    def forecast(self) -> int | None:
        """Bring `total` up to date at a log line; steps that fit, the first time they can be told.

        None if the length is a number of steps, or the forecast is not the first.
        """
        now, steps = self._clock(), self._state.step
        if self._deadline is None or self._ended:
            return None
        elapsed = now - self._start
        if elapsed < MEASURED * self._budget:
            return None
        first = self.total is None
        left = max(0.0, self._deadline - self._reserve() - now)
        self.total = steps + round(left / elapsed * (steps - self._first_step))
        return self.total if first else None

    def _reserve(self) -> float:
        return min(ENDING, self._budget / 10) + MARGIN * self._longest
