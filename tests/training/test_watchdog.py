"""The watchdog: what it says of bad runs, and that it says nothing of good ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ganvas.config import Watchdog
from ganvas.training.watchdog import (
    COLLAPSED_SHEETS,
    DEAD_LINES,
    check_losses,
    check_samples,
    spread,
)

GOOD = {"images": 12_800.0, "D/loss": 1.2, "D/loss_real": 0.6, "G/loss": 0.8, "D/real": 0.5}
RNG = np.random.default_rng(0)
REALS = RNG.integers(0, 256, (16, 1, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("action", ["stop", "warn"])
@pytest.mark.parametrize("key", ["D/loss", "G/loss", "D/loss_real"])
def test_a_loss_that_is_not_finite(key: str, value: float, action: Any) -> None:
    (alarm,) = check_losses(Watchdog(not_finite=action), GOOD | {key: value}, {})
    assert alarm.action == action
    assert f"{key} not finite at 12,800 images" in alarm.message
    assert "\n" not in alarm.message


def test_it_stops_by_default() -> None:
    (alarm,) = check_losses(Watchdog(), GOOD | {"D/loss": math.nan}, {})
    assert alarm.action == "stop"


@pytest.mark.parametrize("value", [0.0, 9e-5, -9e-5])
def test_a_dead_discriminator_is_noticed_once_after_so_many_lines(value: float) -> None:
    memory: dict[str, float] = {}
    alarms = [check_losses(Watchdog(), GOOD | {"D/loss": value}, memory) for _ in range(12)]
    assert [len(found) for found in alarms] == [i == DEAD_LINES - 1 for i in range(12)]
    (alarm,) = alarms[DEAD_LINES - 1]
    assert alarm.action == "warn" and "12,800 images" in alarm.message


def test_one_good_line_starts_the_count_again() -> None:
    memory: dict[str, float] = {}
    for loss in [0.0] * (DEAD_LINES - 1) + [1.0] + [0.0] * (DEAD_LINES - 1):
        assert check_losses(Watchdog(), GOOD | {"D/loss": loss}, memory) == []
    assert check_losses(Watchdog(), GOOD | {"D/loss": 0.0}, memory) != []


def test_the_action_on_a_dead_discriminator_is_a_setting() -> None:
    memory: dict[str, float] = {"dead_lines": DEAD_LINES - 1}
    settings = Watchdog(dead_discriminator="stop")
    (alarm,) = check_losses(settings, GOOD | {"D/loss": 0.0}, memory)
    assert alarm.action == "stop"


def test_collapse_is_noticed_once_after_so_many_sheets() -> None:
    memory: dict[str, float] = {}
    same = np.repeat(REALS[:1], 16, 0)
    alarms = [check_samples(Watchdog(), 640, same, REALS, memory) for _ in range(7)]
    assert [len(found) for found in alarms] == [i == COLLAPSED_SHEETS - 1 for i in range(7)]
    (alarm,) = alarms[COLLAPSED_SHEETS - 1]
    assert alarm.action == "warn" and "640 images" in alarm.message


def test_one_varied_sheet_starts_the_count_again() -> None:
    memory: dict[str, float] = {}
    same = np.repeat(REALS[:1], 16, 0)
    for sheet in [same] * (COLLAPSED_SHEETS - 1) + [REALS] + [same] * (COLLAPSED_SHEETS - 1):
        assert check_samples(Watchdog(), 640, sheet, REALS, memory) == []


def test_the_action_on_collapse_is_a_setting() -> None:
    same = np.repeat(REALS[:1], 16, 0)
    memory: dict[str, float] = {"collapsed_sheets": COLLAPSED_SHEETS - 1}
    (alarm,) = check_samples(Watchdog(collapse="stop"), 640, same, REALS, memory)
    assert alarm.action == "stop"


def test_collapse_is_relative_to_the_reals() -> None:
    """Dull fakes of dull reals have not collapsed."""
    dull = (REALS // 64 + 100).astype(np.uint8)
    memory: dict[str, float] = {"collapsed_sheets": COLLAPSED_SHEETS - 1}
    assert check_samples(Watchdog(), 640, dull, dull, dict(memory)) == []
    barely = (REALS // 128 + 100).astype(np.uint8)
    assert spread(barely) < 0.05 * spread(REALS)
    assert check_samples(Watchdog(), 640, barely, REALS, dict(memory)) != []


def test_a_sheet_of_few_images_says_nothing() -> None:
    memory: dict[str, float] = {"collapsed_sheets": COLLAPSED_SHEETS - 1}
    assert check_samples(Watchdog(), 640, np.repeat(REALS[:1], 3, 0), REALS, memory) == []


def test_good_runs_are_left_in_peace() -> None:
    memory: dict[str, float] = {}
    for i in range(50):
        line = GOOD | {"D/loss": 0.2 + i % 7, "G/loss": 3.0, "images": 128.0 * i}
        assert check_losses(Watchdog(), line, memory) == []
        assert check_samples(Watchdog(), i, RNG.permuted(REALS), REALS, memory) == []


def test_spread_is_the_mean_deviation_over_images() -> None:
    images = np.array([[[[0, 10]]], [[[4, 10]]]], np.uint8)
    assert spread(images) == 1.0  # deviations 2 and 0
