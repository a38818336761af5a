"""A penalty whose weight changes while a run goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganvas.batch import Batch
from ganvas.config import Ramp
from ganvas.protocols import Judge, Penalty
from ganvas.schedules import START, Progress, schedule


class Weighted:
    """A penalty that is proportional to its `weight`, which is a ramp.

    The weight of the moment lies on the device, where a captured step reads it anew each time.
    """

    def __init__(self, penalty: Any, device: torch.device) -> None:
        self._penalty = replace(penalty, weight=1.0)
        self._schedule = schedule(penalty.weight)
        self._now = self._schedule(START)
        self._on_device = torch.tensor(self._now, device=device)

    def follow(self, progress: Progress) -> None:
        """Take the weight that the ramp has for a place in the run."""
        if (weight := self._schedule(progress)) != self._now:
            self._now = weight
            self._on_device.fill_(weight)

    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> Tensor:
        value: Tensor = self._penalty(judge, real, fake)
        return self._on_device * value


def weighted(penalty: Penalty, device: torch.device) -> Penalty:
    """A penalty as training calls it: itself, or one that follows the ramp of its weight."""
    has_ramp = isinstance(getattr(penalty, "weight", None), Ramp)
    return Weighted(penalty, device) if has_ramp else penalty
