"""The watchdog: what it says of bad runs, and that it says nothing of good ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ganvas import config
from ganvas.config import Run
from ganvas.losses.adversarial import Saturating
from ganvas.metrics.rows import Row
from ganvas.training.plan import Criterion
from ganvas.training.watchdog import (
    ALIKE_SHEETS,
    DEAD_LINES,
    EARLY,
    Alarm,
    Place,
    action_on,
    check_data,
    check_finite,
    check_losses,
    check_rows,
    check_samples,
    check_weights,
    diversity,
    not_finite,
)

GOOD = {"D/loss": 1.2, "D/loss_real": 0.6, "G/loss": 0.8, "D/real": 0.5, "D/fake": 0.4}
RNG = np.random.default_rng(0)
REALS = RNG.integers(0, 256, (16, 1, 8, 8), dtype=np.uint8)
ONE = np.repeat(REALS[:1], 16, 0)
PLACE = Place(100, 12_800)
LATE = Place(EARLY, 128_000)
RUN = config.build(config.read_recipe("quickstart").tables)


def run_with(**settings: Any) -> Run:
    changes = [(key.replace("__", "."), value) for key, value in settings.items()]
    return config.build(config.override(config.read_recipe("quickstart").tables, changes))


def only(alarms: Iterator[Alarm]) -> Alarm:
    (alarm,) = alarms
    assert "\n" not in alarm.message and "images" in alarm.seen
    return alarm


# What is done


@pytest.mark.parametrize(
    ("settings", "actions"),
    [
        ({}, ("stop", "warn", "warn", "warn")),
        ({"watchdog__collapse": "rollback"}, ("stop", "rollback", "warn", "warn")),
        ({"train__on_failure": "stop"}, ("stop", "stop", "stop", "warn")),
        ({"train__on_failure": "rollback"}, ("rollback", "rollback", "rollback", "warn")),
        ({"train__on_failure": "continue"}, ("warn", "warn", "warn", "warn")),
        (
            {"train__on_failure": "continue", "watchdog__collapse": "stop"},
            ("warn", "warn", "warn", "warn"),
        ),
    ],
)
def test_one_setting_stands_above_those_of_the_faults(
    settings: dict[str, str], actions: tuple[str, ...]
) -> None:
    run = run_with(**settings)
    found = (action_on(run, of) for of in ("not_finite", "collapse", "worse", "data"))  # type: ignore[arg-type]
    assert tuple(found) == actions


# NaN and infinity


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["D/loss", "G/loss", "D/loss_real"])
def test_a_loss_that_is_not_finite(key: str, value: float) -> None:
    assert not_finite(GOOD | {key: value}) == [key]
    alarm = only(check_finite(RUN, PLACE, [key], "in D, layer 2 (Linear)", {}))
    assert alarm.seen == (f"{key} not finite at step 100, 12,800 images: in D, layer 2 (Linear)")
    assert "--learning-rate" in alarm.advice
    assert (alarm.action, alarm.since) == ("stop", 99)


def test_it_is_said_once_and_again_after_it_was_gone() -> None:
    memory: dict[str, float] = {}
    said = [
        len(list(check_finite(RUN, PLACE, losses, "", memory)))
        for losses in (["D/loss"], ["D/loss"], [], ["G/loss"])
    ]
    assert said == [1, 0, 0, 1]


# D at zero loss, G starved


@pytest.mark.parametrize(
    ("loss", "pace", "words"),
    [
        (0.0, 0.3, "D's loss has been below 0.0001"),
        (-9e-5, 0.3, "D's loss has been below 0.0001"),
        (0.02, 9e-4, "G has stood still"),
    ],
)
def test_a_dead_discriminator_is_noticed_once_after_so_many_lines(
    loss: float, pace: float, words: str
) -> None:
    memory: dict[str, float] = {}
    list(check_losses(RUN, Place(50, 6_400), GOOD, 0.3, memory))
    line = GOOD | {"D/loss": loss}
    alarms = [list(check_losses(RUN, PLACE, line, pace, memory)) for _ in range(12)]
    assert [len(found) for found in alarms] == [i == DEAD_LINES - 1 for i in range(12)]
    (alarm,) = alarms[DEAD_LINES - 1]
    assert alarm.action == "warn" and alarm.since == 50
    assert f"{words} for 5 log lines at 12,800 images" in alarm.seen
    assert f"its steps are {pace:.2g} learning rates" in alarm.seen


def test_one_good_line_starts_the_count_again() -> None:
    memory: dict[str, float] = {}
    for loss in [0.0] * (DEAD_LINES - 1) + [1.0] + [0.0] * (DEAD_LINES - 1):
        assert not list(check_losses(RUN, PLACE, GOOD | {"D/loss": loss}, 0.3, memory))
    assert list(check_losses(RUN, PLACE, GOOD | {"D/loss": 0.0}, 0.3, memory))


def test_what_to_try_fits_the_run() -> None:
    memory: dict[str, float] = {"dead_lines": DEAD_LINES - 1}
    run = replace(run_with(update__d_steps=50), loss=Saturating())
    alarm = only(check_losses(run, PLACE, GOOD | {"D/loss": 0.0}, 0.0, memory))
    for part in ("loss.name=non-saturating", "update.d_steps=1", "learning_rate=0.00025"):
        assert part in alarm.advice
    alarm = only(check_losses(RUN, PLACE, GOOD, 0.0, {"dead_lines": DEAD_LINES - 1}))
    assert "non-saturating" not in alarm.advice and "d_steps" not in alarm.advice


# A learning rate that diverges


def test_weights_that_run_away_are_noticed_once() -> None:
    memory: dict[str, float] = {}
    assert not list(check_weights(RUN, Place(0, 0), {"G": 0.02, "D": 0.1}, memory))
    assert not list(check_weights(RUN, Place(50, 640), {"G": 0.09, "D": 0.11}, memory))
    alarm = only(check_weights(RUN, PLACE, {"G": 0.5, "D": 0.12}, memory))
    assert alarm.seen.startswith("weights run away: G's 25 times as large as at the start, at 12,")
    assert "a lower --learning-rate" in alarm.advice and alarm.since == 50
    assert not list(check_weights(RUN, PLACE, {"G": 9.0, "D": 0.12}, memory))


def test_weights_that_grow_slowly_are_left_in_peace() -> None:
    memory: dict[str, float] = {}
    for i in range(40):
        sizes = {"G": 0.02 * 1.1**i, "D": 0.1}
        assert not list(check_weights(RUN, Place(50 * i, 640 * i), sizes, memory))
    assert only(check_weights(RUN, PLACE, {"G": 0.02 * 51, "D": 0.1}, memory))


# Collapse


def sheets(*shown: Any, start: int = EARLY, last: bool = False) -> list[int]:
    """How many alarms each of these sheets brings."""
    memory: dict[str, float] = {}
    return [
        len(
            list(
                check_samples(
                    RUN,
                    Place(start + i, 128 * (start + i), last and i == len(shown) - 1),
                    fakes,
                    REALS,
                    memory,
                )
            )
        )
        for i, fakes in enumerate(shown)
    ]


def test_collapse_is_noticed_once_after_so_many_sheets() -> None:
    assert sheets(*[ONE] * 7) == [i == ALIKE_SHEETS - 1 for i in range(7)]
    alarm = only(check_samples(RUN, LATE, ONE, REALS, {"alike_sheets": 2, "unlike": 900}))
    assert "show nearly one image, or a few, at 128,000 images" in alarm.seen
    assert (alarm.action, alarm.since) == ("warn", 900)


def test_half_grey_half_one_pattern_is_a_collapse() -> None:
    """The spread over images is large; yet each sample is the same as another."""
    half = np.concatenate([np.full_like(ONE[:8], 128), ONE[8:]])
    half = np.clip(half + RNG.integers(-3, 4, half.shape), 0, 255).astype(np.uint8)
    assert half.astype(float).std(axis=0).mean() > 0.4 * REALS.astype(float).std(axis=0).mean()
    assert sheets(half, half, half) == [0, 0, 1]
    assert sheets(REALS, half, start=2_000, last=True) == [0, 1]  # at the end one is enough


def test_one_pattern_early_is_none() -> None:
    """Many nets draw one image for hundreds of steps; those that were varied do not."""
    assert sheets(*[ONE] * 6, start=13) == [0] * 6
    assert sheets(ONE, ONE, ONE, start=13, last=True) == [0, 0, 0]
    assert sheets(REALS, ONE, ONE, ONE, start=13) == [0, 0, 0, 1]


def test_one_varied_sheet_starts_the_count_again() -> None:
    few = [ONE] * (ALIKE_SHEETS - 1)
    assert sum(sheets(*few, REALS, *few)) == 0


def test_collapse_is_relative_to_the_reals() -> None:
    """Dull fakes of dull reals have not collapsed."""
    dull = (REALS // 64 + 100).astype(np.uint8)
    memory: dict[str, float] = {"alike_sheets": ALIKE_SHEETS - 1}
    assert not list(check_samples(RUN, LATE, dull, dull, dict(memory)))
    barely = (REALS // 128 + 100).astype(np.uint8)
    assert list(check_samples(RUN, LATE, barely, REALS, dict(memory)))
    assert not list(check_samples(RUN, LATE, ONE, ONE, dict(memory)))  # of reals that are one


def test_a_sheet_of_few_images_says_nothing() -> None:
    memory: dict[str, float] = {"alike_sheets": ALIKE_SHEETS - 1}
    assert not list(check_samples(RUN, LATE, ONE[:3], REALS, memory))


def test_diversity_is_the_median_distance_to_the_nearest() -> None:
    """Of images of four pixels: 0, 0, 10 and 40 grey levels; nearest 0, 0, 10 and 30 away."""
    levels = np.array([0, 0, 10, 40], np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (4, 1, 2, 2))
    assert diversity(images) == pytest.approx(5.0)


# What evaluations tell


def row(metric: str, step: int, floor: dict[str, float] | None = None, **values: float) -> Row:
    name = metric.rstrip("0123456789k")
    return Row(
        metric=metric, values=values, intervals={}, floor=floor or {}, reason="",
        settings={name: {}}, num_fake=1, num_reference=1, data="", split="", fingerprint="",
        extractor="", extractor_sha256="", extractor_accuracy=None, note="", resize="", seed=0,
        step=step, images=16 * step,
    )  # fmt: skip


def test_lost_classes_and_repeats_are_a_collapse() -> None:
    memory: dict[str, float] = {"kept": 800}
    rows = [
        row("classes1k", 1_000, {"classes_hit": 10}, classes_hit=4),
        row("duplicates1k", 1_000, {"near": 0.01}, exact=0.0, near=0.6),
    ]
    assert not list(check_rows(RUN, Place(999, 1), rows, [], None, dict(memory)))
    alarm = only(check_rows(RUN, LATE, rows, [], None, memory))
    assert alarm.seen.startswith("4 of 10 classes are drawn and 60 % of the samples repeat another")
    assert (alarm.fault, alarm.since) == ("collapse", 800)
    assert not list(check_rows(RUN, LATE, rows, [], None, memory))  # once
    some = [row("classes1k", 1_000, {"classes_hit": 10}, classes_hit=6)]
    assert not list(check_rows(RUN, LATE, some, [], None, {}))


def worse(values: list[float], floor: float, better: str = "lower") -> list[int]:
    """How many alarms each of these values brings; the best one is kept."""
    decides = Criterion("fd1k", "distance", better)  # type: ignore[arg-type]
    memory: dict[str, float] = {}
    rows = [row("fd1k", 10 * i + 10, {"distance": floor}, distance=v) for i, v in enumerate(values)]
    found = []
    for i in range(len(rows)):
        best = max(rows[: i + 1], key=lambda one: decides.score([one]))
        place = Place(rows[i].step or 0, 100 * i, is_last=i == len(rows) - 1)
        found.append(len(list(check_rows(RUN, place, [rows[i]], [best], decides, memory))))
    return found


def test_a_generator_far_behind_the_best_is_noticed() -> None:
    assert worse([100, 20, 60, 60, 60], floor=5) == [0, 0, 0, 1, 0]
    assert worse([100, 20, 60], floor=5) == [0, 0, 1]  # at the end once is enough
    assert worse([100, 20, 30, 30], floor=5) == [0, 0, 0, 0]
    assert worse([5, 6, 6, 6], floor=5) == [0, 0, 0, 0]  # all as near as real images
    assert worse([0.5, 0.9, 0.6, 0.6], floor=0.95, better="higher") == [0, 0, 0, 1]
    assert worse([0.9, 0.5, 0.9, 0.9], floor=0.5, better="half") == [0, 0, 0, 1]


# The data


def test_few_images_and_images_that_are_all_alike_are_named() -> None:
    assert not list(check_data(RUN, 1_498, REALS))
    assert "there are 20 training images" in only(check_data(RUN, 20, REALS)).seen
    alarm = only(check_data(RUN, 1_498, ONE))
    assert "half are the same as another" in alarm.seen and alarm.action == "warn"


def test_good_runs_are_left_in_peace() -> None:
    memory: dict[str, float] = {}
    for i in range(50):
        place = Place(50 * i, 6_400 * i, is_last=i == 49)
        line = GOOD | {"D/loss": 0.2 + i % 7, "G/loss": 3.0}
        assert not list(check_losses(RUN, place, line, 0.2, memory))
        assert not list(check_samples(RUN, place, RNG.permuted(REALS), REALS, memory))
