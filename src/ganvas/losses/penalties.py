"""Penalties on D's gradients, added to its loss."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from ganvas.batch import Batch
from ganvas.protocols import Judge
from ganvas.registry import CHECKED, PENALTIES


@PENALTIES.register("none")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NoPenalty:
    """Nothing is added to D's loss (Goodfellow et al. 2014, algorithm 1)."""

    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> float:
        return 0.0
