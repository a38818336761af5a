"""What a test, a benchmark or a page may want to know of a run in progress, without patching it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ganvas.training.state import State


def _nothing(state: State) -> None:
    pass


@dataclass
class Hooks:
    """The clock that a run goes by, what is called after each step, and where the time went."""

    clock: Callable[[], float] = time.perf_counter
    after_step: Callable[[State], None] = _nothing
    """Called when a step has been taken, before anything that is due at it."""
    spent: dict[str, float] = field(default_factory=dict)
    """Seconds by the name of what they went to: log, sample, evaluate, checkpoint, pictures."""

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Count the time inside under a name."""
        begun = self.clock()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + self.clock() - begun
