"""TensorBoard's event file: written at once and by the run itself; no run ends for lack of it."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

from ganvas.pixels import Pixels

VERSION: Final = "brain.Event:2"
"""What the first event of a file says."""
_NUMBERS: Final = itertools.count()


class Events:
    """The scalars and sheets of one sitting, for TensorBoard.

    torch's own writer leaves writing to a thread, whose errors end the run somewhere else, and in
    other words. Here the first one is told to `warn`, and the run goes on without.
    """

    def __init__(
        self, folder: Path, warn: Callable[[str], None], *, purge_step: int | None = None
    ) -> None:
        """Begin a file in `folder`; with `purge_step`, events from there on in older ones lapse."""
        numbers = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS)}"
        self._path = folder / f"events.out.tfevents.{numbers}"
        self._warn = warn
        self._file: RecordWriter | None = None
        try:
            self._file = RecordWriter(self._path.open("wb"))
        except OSError as error:
            self._give_up(error)
        self._add(Event(file_version=VERSION))
        if purge_step is not None:
            self._add(Event(step=purge_step, file_version=VERSION))
            self._add(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        made = summary.scalar(tag, value)  # type: ignore[no-untyped-call]
        self._add(Event(step=step, summary=made))

    def add_scalars(self, values: Mapping[str, float], step: int, seconds: float) -> None:
        """Several scalars as one event of so many `seconds` since 1970."""
        made = Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in values.items()])
        self._add(Event(step=step, wall_time=seconds, summary=made))

    def add_image(self, tag: str, image: Pixels, step: int) -> None:
        """`image` is uint8 (C, H, W)."""
        made = summary.image(tag, image, dataformats="CHW")  # type: ignore[no-untyped-call]
        self._add(Event(step=step, summary=made))

    def close(self) -> None:
        self._do(lambda file: file.close())
        self._file = None

    def _add(self, event: Any) -> None:
        event.wall_time = event.wall_time or time.time()

        def write(file: RecordWriter) -> None:
            file.write(event.SerializeToString())
            file.flush()

        self._do(write)

    def _do(self, work: Callable[[RecordWriter], None]) -> None:
        if self._file is None:
            return
        try:
            work(self._file)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError:
            pass  # what it could not write, it cannot write on closing either
        reason = error.strerror or str(error)
        self._warn(f"cannot write '{self._path}': {reason}; the run goes on without TensorBoard")
