"""What a user sees while a run goes on: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ganvas.errors import printable

PLAIN_SECONDS: Final = 5.0
"""Least time between two plain lines."""


class Reporter(Protocol):
    """Is told how a run goes."""

    def start(self, text: str, step: int, total: int | None) -> None: ...
    def tick(self, step: int) -> None: ...
    def line(self, values: Mapping[str, float], total: int | None, note: str) -> None: ...
    def say(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...
    def stop(self) -> None: ...


class Silent:
    """Says nothing."""

    def start(self, text: str, step: int, total: int | None) -> None:
        pass

    def tick(self, step: int) -> None:
        pass

    def line(self, values: Mapping[str, float], total: int | None, note: str) -> None:
        pass

    def say(self, message: str) -> None:
        pass

    def warn(self, message: str) -> None:
        pass

    def stop(self) -> None:
        pass


class Live:
    """A progress line on a terminal; a line every few seconds where the output is none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._printed = 0.0

    def start(self, text: str, step: int, total: int | None) -> None:
        self.say(text)
        if self._console.is_terminal:
            self._progress = Progress(
                BarColumn(bar_width=20), TextColumn("{task.description}"), console=self._console
            )
            self._progress.add_task("starting", completed=step, total=total)
            self._progress.start()

    def tick(self, step: int) -> None:
        """Move the bar; on a terminal alone, between two lines."""
        if self._progress:
            self._progress.update(self._progress.task_ids[0], completed=step)

    def line(self, values: Mapping[str, float], total: int | None, note: str) -> None:
        text = summary(values, total, note)
        if self._progress:
            self._progress.update(
                self._progress.task_ids[0],
                completed=int(values["step"]),
                total=total,
                description=text,
            )
        elif time.monotonic() - self._printed >= PLAIN_SECONDS or values["step"] == total:
            self.say(text)
            self._printed = time.monotonic()

    def say(self, message: str) -> None:
        for line in message.split("\n"):  # as text: a path may hold what is markup to rich
            self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def warn(self, message: str) -> None:
        self.say(f"warning: {message}")

    def stop(self) -> None:
        if self._progress:
            self._progress.stop()
            self._progress = None


def summary(values: Mapping[str, float], total: int | None, note: str) -> str:
    """'epoch 3.0 · step 1,404 of 23,400 · D 0.67 · G 0.71 · 21,300 images/s · 0:02:11 left'.

    Without what follows from the total, as long as that is not known. `note` is the newest
    evaluation, between G and the speed; empty if there was none.
    """
    of, left = "", ""
    if total is not None:
        seconds = round((total - values["step"]) * values["seconds_per_step"])
        of = f" of {total:,}"
        left = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} left"
    parts = [
        f"epoch {values['epoch']:.1f}",
        f"step {values['step']:,.0f}{of}",
        f"D {values['D/loss']:.3f}",
        f"G {values['G/loss']:.3f}",
        note,
        f"{values['images_per_second']:,.0f} images/s",
        left,
    ]
    return " · ".join(part for part in parts if part)
