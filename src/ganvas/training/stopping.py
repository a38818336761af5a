"""Ctrl-C, SIGTERM and a terminal that is closed end a run in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def signals(tell: Callable[[str], None]) -> Iterator[threading.Event]:
    """A signal sets the event, so that the step in progress ends; a second one kills.

    A terminal that is closed sends SIGHUP twice, so that a second one is none; under `nohup` it
    is ignored, and stays so.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before: dict[int, Any] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        again = " (again: at once, without saving)" if number == signal.SIGINT else ""
        first = not stopped.is_set()
        stopped.set()
        if signal.Signals(number).name != "SIGHUP":
            signal.signal(number, before[number])
        if first:
            try:
                tell(f"{signal.Signals(number).name}: stopping after this step{again}")
            except RuntimeError:
                pass  # it came in the middle of another line

    for number in SIGNALS:
        if signal.Signals(number).name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN:
            continue
        before[number] = signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)
