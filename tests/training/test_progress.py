"""What a user hears of a run: at least every ten seconds, with a forecast, and as plain text."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import ganvas
from ganvas.rundir import RunFolder
from ganvas.training.hooks import Hooks
from ganvas.training.loop import fit
from ganvas.training.progress import Live, Silent

LINE = {
    "step": 3, "epoch": 0.1, "D/loss": 1.0, "G/loss": 2.0, "images_per_second": 5.0,
    "seconds_per_step": 4.0,
}  # fmt: skip


class Listening(Silent):
    """Remembers at what time it was told what."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.lines: list[tuple[float, int, Any]] = []
        self.ticks: list[int] = []
        self.said: list[str] = []

    def tick(self, step: int) -> None:
        self.ticks.append(step)

    def line(self, values: Any, total: int | None, note: str) -> None:
        self.lines.append((self.clock(), int(values["step"]), dict(values)))

    def start(self, text: str, step: int, total: int | None) -> None:
        self.said.append(text)

    def say(self, message: str) -> None:
        self.said.append(message)


def trained(tmp_path: Path, seconds: float, **settings: Any) -> tuple[Listening, Path]:
    """A run of 20 steps that each take so many seconds by its clock."""
    now = [0.0]

    def tock(state: Any) -> None:
        now[0] += seconds

    settings = {"train.device": "cpu", "output.log": "50 steps", **settings}
    run = ganvas.resolve(images=640, evaluate="none", settings=settings)
    listening = Listening(lambda: now[0])
    hooks = Hooks(clock=lambda: now[0], after_step=tock)
    folder = tmp_path / f"run-{seconds}"
    fit(run, RunFolder(folder), listening, hooks=hooks)
    return listening, folder


def test_a_slow_run_is_heard_of_every_ten_seconds(tmp_path: Path) -> None:
    listening, folder = trained(tmp_path, 3.0)
    times = [time for time, _, _ in listening.lines]
    assert max(b - a for a, b in zip([0.0, *times], times, strict=False)) <= 10
    first = listening.lines[0]
    assert first[1] == 2 and first[2]["seconds_per_step"] == pytest.approx(3.0)
    # the log has what it had: the one line at the end
    assert [line["step"] for line in RunFolder(folder).read_log()] == [20]
    assert listening.ticks == list(range(1, 21))


def test_a_quick_run_is_heard_of_at_its_log_lines_alone(tmp_path: Path) -> None:
    listening, _ = trained(tmp_path, 0.01)
    assert [step for _, step, _ in listening.lines] == [20]


def test_listening_changes_nothing(tmp_path: Path) -> None:
    slow, quick = (trained(tmp_path, seconds)[1] for seconds in (3.0, 0.01))
    weights = [folder / "generator" / "model.safetensors" for folder in (slow, quick)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    logs = [RunFolder(folder).read_log()[0] for folder in (slow, quick)]
    clocks = {"seconds", "images_per_second"}
    assert {k: v for k, v in logs[0].items() if k not in clocks} == {
        k: v for k, v in logs[1].items() if k not in clocks
    }


def test_the_line_has_the_means_since_the_last_one_of_the_log(tmp_path: Path) -> None:
    slow, folder = trained(tmp_path, 6.0, **{"output.log": "10 steps"})
    by_step = {step: values for _, step, values in slow.lines}
    assert list(by_step) == list(range(2, 21))
    every, _ = trained(tmp_path, 6.5, **{"output.log": "1 step"})
    single = {step: values["D/loss"] for _, step, values in every.lines}
    mean = sum(single[step] for step in (11, 12, 13)) / 3
    assert by_step[13]["D/loss"] == pytest.approx(mean, rel=1e-6)


def test_on_a_terminal_the_bar_moves_between_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    live = Live(console)
    live.start("begins", 0, 100)
    live.tick(7)
    assert live._progress and live._progress.tasks[0].completed == 7
    live.line(LINE, 100, "")
    live.tick(9)
    assert live._progress.tasks[0].completed == 9
    assert "step 3 of 100" in live._progress.tasks[0].description
    live.stop()
    live.tick(11)  # of no bar any more


def test_names_are_text_and_cannot_move_the_cursor() -> None:
    stream = io.StringIO()
    live = Live(Console(file=stream, width=300))
    live.start("in runs/[bold]x\x1b[31m", 0, 5)
    live.warn("a\nb")
    assert stream.getvalue() == "in runs/[bold]x\\x1b[31m\nwarning: a\nb\n"


def test_a_finished_run_says_that_it_is(tiny_run: Path, cli: Any) -> None:
    first = cli("train", "--resume", tiny_run).out.splitlines()[0]
    assert first == f"tiny: finished at step 12 already, in {tiny_run}"


def test_a_stop_is_said(tmp_path: Path, tiny_settings: Any) -> None:
    import os
    import signal

    run = ganvas.resolve("cs231n-vanilla", settings=tiny_settings)
    listening = Listening(lambda: 0.0)

    def interrupt(state: Any) -> None:
        if state.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    done = fit(run, RunFolder(tmp_path / "run"), listening, hooks=Hooks(after_step=interrupt))
    assert not done.finished
    assert any(
        re.match("stopping at step 3, saving; Ctrl-C again", line) for line in listening.said
    )


def test_memory_that_is_not_there_before_the_first_step_is_said_in_words(
    tmp_path: Path, tiny_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*_: Any, **__: Any) -> Any:
        raise MemoryError("no room for a net")

    monkeypatch.setattr("ganvas.training.session.new_state", too_much)
    run = ganvas.resolve("cs231n-vanilla", settings=tiny_settings)
    with pytest.raises(ganvas.RunError, match="^out of memory: no room .* lower --batch-size"):
        fit(run, RunFolder(tmp_path / "run"), Silent())
