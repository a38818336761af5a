"""TensorBoard's curves of single steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import torch
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

MOST: Final = 1000
"""Steps kept before they are written."""


class Curves:
    """Scalars of single steps, kept on the device and written many at a time.

    So nothing waits for the device at a step; all scalars of a step are one event, which takes a
    third of the time of an event each.
    """

    def __init__(self, events: SummaryWriter, tags: Mapping[str, str]) -> None:
        self._events = events
        self._tags = tags
        self._kept: list[tuple[int, float, list[str], Tensor]] = []

    def keep(self, step: int, scalars: Mapping[str, Tensor]) -> None:
        """Note a step's scalars as they are now; the next step may overwrite them."""
        names = [self._tags.get(key, key) for key in scalars]
        self._kept.append((step, time.time(), names, torch.stack(list(scalars.values()))))
        if len(self._kept) == MOST:
            self.write()

    def write(self) -> None:
        """Hand what was kept to TensorBoard."""
        if not self._kept or self._events.file_writer is None:
            return
        values = iter(torch.cat([values for *_, values in self._kept]).tolist())
        for step, seconds, names, _ in self._kept:
            summary = Summary(
                value=[Summary.Value(tag=name, simple_value=next(values)) for name in names]
            )
            self._events.file_writer.add_summary(summary, step, seconds)
        self._kept.clear()
