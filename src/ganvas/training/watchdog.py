"""Watches a run and says in words what went wrong: NaN, a dead discriminator, collapse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ganvas.config import Watchdog
from ganvas.pixels import Pixels

DEAD_LOSS: Final = 1e-4
DEAD_LINES: Final = 5
COLLAPSED_SPREAD: Final = 0.05
COLLAPSED_SHEETS: Final = 3


@dataclass(frozen=True)
class Alarm:
    """What was seen, and whether the run is to stop for it."""

    message: str
    action: Literal["stop", "warn"]


def check_losses(
    settings: Watchdog, line: Mapping[str, float], memory: dict[str, float]
) -> list[Alarm]:
    """Look at a log line; `memory` carries counts from line to line."""
    where = f"at {line['images']:,.0f} images"
    bad = [key for key, value in line.items() if "loss" in key and not math.isfinite(value)]
    if bad:
        alarm = Alarm(
            f"{' and '.join(bad)} not finite {where}; "
            "try a lower --learning-rate, or resume from an earlier checkpoint",
            settings.not_finite,
        )
        return [alarm]
    dead = abs(line["D/loss"]) < DEAD_LOSS
    memory["dead_lines"] = memory.get("dead_lines", 0) + 1 if dead else 0
    if memory["dead_lines"] == DEAD_LINES:
        alarm = Alarm(
            f"D's loss has been below {DEAD_LOSS:g} for {DEAD_LINES} log lines {where}: it tells "
            "real from fake without effort and G learns nothing; try smoothed labels "
            "(--set loss.real_target=0.9) or a lower learning rate for D",
            settings.dead_discriminator,
        )
        return [alarm]
    return []


def check_samples(
    settings: Watchdog, images: int, fakes: Pixels, reals: Pixels, memory: dict[str, float]
) -> list[Alarm]:
    """Compare how much fakes differ from each other with how much reals do; uint8 (N, C, H, W)."""
    if len(fakes) < 4:
        return []
    collapsed = spread(fakes) < COLLAPSED_SPREAD * spread(reals)
    memory["collapsed_sheets"] = memory.get("collapsed_sheets", 0) + 1 if collapsed else 0
    if memory["collapsed_sheets"] == COLLAPSED_SHEETS:
        alarm = Alarm(
            f"the last {COLLAPSED_SHEETS} sample sheets show nearly one image only, at "
            f"{images:,} images: G has collapsed; try another --seed, a lower learning rate for "
            "D, or another loss",
            settings.collapse,
        )
        return [alarm]
    return []


def spread(images: Pixels) -> float:
    """Mean over pixels of the standard deviation over images, in grey levels."""
    return float(np.std(images.astype(np.float64), axis=0).mean())
