"""When a run ends by the clock: forecasts, the time kept for the end, resuming."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ganvas.config import Length, Lengths
from ganvas.training.ending import Ending

LENGTHS = Lengths(num_images=100, images_per_step=10, drop_last=True)


class Clock:
    """Stands still unless told; knows nothing of sleep."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def state(step: int = 0) -> Any:
    return SimpleNamespace(step=step, memory={})


def steps_until_over(ending: Ending, state: Any, clock: Clock, seconds: float) -> int:
    while not ending.over():
        state.step += 1
        clock.now += seconds
    return int(state.step)


def test_steps_that_fit_before_what_is_written_at_the_end(clock: Clock) -> None:
    s = state()
    ending = Ending(Length(1, "minutes"), LENGTHS, s, begun=clock.now - 2, clock=clock)
    assert ending.total is None
    ending.took(3.0)
    ending.took(1.0)
    # 60 s, less 2 s, less 4 s for the pictures, less one and a half times 3 s; the step that began
    # before that ends at 50 s
    assert steps_until_over(ending, s, clock, 1.0) == 50
    assert ending.total == 50


def test_the_first_forecast_is_made_once_and_later_ones_follow_the_pace(clock: Clock) -> None:
    s = state()
    ending = Ending(Length(1, "minutes"), LENGTHS, s, begun=clock.now, clock=clock)
    s.step, clock.now = 1, clock.now + 1
    assert ending.forecast() is None  # 1 s is under 2 % of a minute
    assert ending.total is None
    s.step, clock.now = 4, clock.now + 1
    assert ending.forecast() == 4 + (60 - 4 - 2) * 2  # two steps a second
    s.step, clock.now = 8, clock.now + 6
    assert ending.forecast() is None
    assert ending.total == 8 + (60 - 4 - 8)  # one step a second since the start


def test_a_short_budget_keeps_a_tenth(clock: Clock) -> None:
    s = state()
    ending = Ending(Length(0.1, "minutes"), LENGTHS, s, begun=clock.now, clock=clock)
    assert steps_until_over(ending, s, clock, 0.1) == 54


def test_at_least_one_step_is_made(clock: Clock) -> None:
    s = state()
    ending = Ending(Length(0.01, "minutes"), LENGTHS, s, begun=clock.now - 5, clock=clock)
    assert steps_until_over(ending, s, clock, 9.0) == 1


def test_time_of_earlier_sittings_counts(clock: Clock) -> None:
    s = state(step=100)
    ending = Ending(
        Length(1, "minutes"), LENGTHS, s, begun=clock.now, clock=clock, used=30.0, longest=2.0
    )
    assert steps_until_over(ending, s, clock, 1.0) == 100 + 30 - 4 - 3
    assert s.memory == {"over": 60.0}
    clock.now = 0.0
    assert Ending(Length(1, "minutes"), LENGTHS, s, begun=0.0, clock=clock).over()
    assert not Ending(Length(2, "minutes"), LENGTHS, s, begun=0.0, clock=clock).over()
    s.memory["over"] = 1.0  # as older checkpoints have it
    assert Ending(Length(2, "minutes"), LENGTHS, s, begun=0.0, clock=clock).over()


def test_a_number_of_steps_does_not_look_at_the_clock(clock: Clock) -> None:
    s = state()
    ending = Ending(Length(2, "epochs"), LENGTHS, s, begun=0.0, clock=clock)
    assert ending.total == 20
    assert ending.forecast() is None
    assert steps_until_over(ending, s, clock, 1e6) == 20
    assert s.memory == {}


def test_a_run_ends_by_the_clock_and_stays_as_it_is(
    tmp_path: Path, train_tiny: Callable[..., Any]
) -> None:
    folder = tmp_path / "run"
    done = train_tiny(folder, **{"train.length": "0.01 minutes"})
    assert done.finished
    assert done.seconds < 30  # 0.6 s on a quiet machine
    newest = folder / "checkpoints" / f"step-{done.steps:08d}"
    before = (newest / "state.safetensors").read_bytes()
    assert json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["step"] == done.steps
    again = train_tiny(None, resume=folder)
    assert (again.steps, again.finished) == (done.steps, True)
    assert (newest / "state.safetensors").read_bytes() == before


# How much of a run lies behind, for what changes on the way


def test_the_share_of_a_run_in_steps(clock: Clock) -> None:
    s = state(step=5)
    ending = Ending(Length(2, "epochs"), LENGTHS, s, begun=clock.now, clock=clock)
    assert ending.share() == pytest.approx(5 / 20)
    s.step = 20
    assert ending.share() == 1.0


def test_the_share_of_a_run_by_the_clock(clock: Clock) -> None:
    """Of 60 seconds 4 are kept for the end, so after 28 half of the rest is over, and after 56 all
    of it; in a second sitting the seconds used before count."""
    ending = Ending(Length(1, "minutes"), LENGTHS, state(), begun=clock.now, clock=clock)
    assert ending.share() == 0.0
    clock.now += 28
    assert ending.share() == pytest.approx(0.5)
    clock.now += 28
    assert ending.share() == 1.0
    clock.now += 30
    assert ending.share() == 1.0
    later = Ending(Length(1, "minutes"), LENGTHS, state(), begun=clock.now, clock=clock, used=28.0)
    assert later.share() == pytest.approx(0.5)
