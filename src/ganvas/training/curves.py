"""TensorBoard's curves of single steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from ganvas.training.events import Events

MOST: Final = 1000
"""Steps kept before they are written."""


class Curves:
    """Scalars of single steps, kept on the device and written many at a time.

    So nothing waits for the device at a step; all scalars of a step are one event, which takes a
    third of the time of an event each.
    """

    def __init__(self, events: Events, tags: Mapping[str, str]) -> None:
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
        if not self._kept:
            return
        values = iter(torch.cat([values for *_, values in self._kept]).tolist())
        for step, seconds, names, _ in self._kept:
            self._events.add_scalars({name: next(values) for name in names}, step, seconds)
        self._kept.clear()
