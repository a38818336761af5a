"""Output is best effort: a pipe that closes or a terminal that goes away ends no run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ganvas.training.progress import Reporter, Silent


class BestEffort:
    """A reporter that falls silent when nothing can be written any more."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def start(self, text: str, step: int, total: int | None) -> None:
        self._try(self._reporter.start, text, step, total)

    def tick(self, step: int) -> None:
        self._try(self._reporter.tick, step)

    def line(self, values: Mapping[str, float], total: int | None, note: str) -> None:
        self._try(self._reporter.line, values, total, note)

    def say(self, message: str) -> None:
        self._try(self._reporter.say, message)

    def warn(self, message: str) -> None:
        self._try(self._reporter.warn, message)

    def stop(self) -> None:
        self._try(self._reporter.stop)

    def _try(self, tell: Callable[..., None], *arguments: Any) -> None:
        try:
            tell(*arguments)
        except (OSError, UnicodeError, SystemExit):  # the last is what rich makes of a closed pipe
            self._reporter = Silent()
        except ValueError as error:
            if "closed file" not in str(error):
                raise
            self._reporter = Silent()
