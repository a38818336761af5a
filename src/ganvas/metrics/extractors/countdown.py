"""How long features, or a net that they need, still take, where that is more than a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

PATIENCE: Final = 2.0
"""Seconds before anything is shown."""
PLAIN_SECONDS: Final = 10.0
"""Least time between two plain lines, where the output is no terminal."""


FEATURES: Final = "features of"
LEARNING: Final = "a small net for the features learns from"


def watched(starts: range, num: int, doing: str = FEATURES) -> Iterator[int]:
    """`starts` of blocks of `num` images, and on standard error how far the loop over them is."""
    console = Console(stderr=True)
    bar: Progress | None = None
    began, printed = time.monotonic(), 0.0
    try:
        for start in starts:
            yield start
            now = time.monotonic()
            if now - began < PATIENCE:
                continue
            text = summary(min(start + starts.step, num), num, now - began, doing)
            if console.is_terminal:
                if bar is None:
                    columns = BarColumn(bar_width=20), TextColumn("{task.description}")
                    bar = Progress(*columns, console=console, transient=True)
                    bar.add_task(text, total=num)
                    bar.start()
                bar.update(bar.task_ids[0], completed=start + starts.step, description=text)
            elif now - printed >= PLAIN_SECONDS:
                console.print(text, highlight=False, soft_wrap=True)
                printed = now
    finally:
        if bar is not None:
            bar.stop()


def told(starts: range, num: int, doing: str, say: Callable[[str], None]) -> Iterator[int]:
    """`starts` of blocks of `num` images; `say` is given a line now and then."""
    began = time.monotonic()
    due = began + PATIENCE
    for start in starts:
        yield start
        if (now := time.monotonic()) >= due:
            say(summary(min(start + starts.step, num), num, now - began, doing))
            due = now + PLAIN_SECONDS


def summary(done: int, num: int, seconds: float, doing: str = FEATURES) -> str:
    """'features of 1,200 of 10,000 images · 11.4 images/s · 0:12:51 left'."""
    left = timedelta(seconds=round((num - done) * seconds / done))
    return f"{doing} {done:,} of {num:,} images · {done / seconds:.1f} images/s · {left} left"
