"""Signals: which stop, what is said, what kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ganvas.rundir import RunFolder
from ganvas.training.stopping import SIGNALS, signals


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_said_and_sets_the_event(number: int) -> None:
    said: list[str] = []
    before = [signal.getsignal(n) for n in SIGNALS]
    with signals(said.append) as stopped:
        assert not stopped.is_set()
        signal.raise_signal(number)
        assert stopped.is_set()
    assert len(said) == 1
    assert said[0].startswith(f"{signal.Signals(number).name}: stopping after this step")
    assert ("again: at once" in said[0]) == (number == signal.SIGINT)
    assert [signal.getsignal(n) for n in SIGNALS] == before


def test_a_second_interrupt_kills() -> None:
    with signals(lambda text: None):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_terminal_that_goes_away_says_so_twice() -> None:
    said: list[str] = []
    with signals(said.append) as stopped:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert stopped.is_set() and len(said) == 1


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals(lambda text: None) as stopped:
            signal.raise_signal(signal.SIGHUP)
            assert not stopped.is_set()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_in_the_middle_of_a_line_stops_all_the_same() -> None:
    def tell(text: str) -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stdout>'>")

    with signals(tell) as stopped:
        signal.raise_signal(signal.SIGTERM)
        assert stopped.is_set()


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_saves_the_run(number: int, tiny_run: Path, tmp_path: Path) -> None:
    """The terminal is gone, too: nothing can be written to it."""
    text = (tiny_run / "config.toml").read_text()
    (tmp_path / "long.toml").write_text(text.replace('"3 epochs"', '"100000 epochs"'))
    folder = RunFolder(tmp_path / "run")
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "ganvas", "train", "long.toml", "--outdir", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=writing, stderr=writing) as process:
        os.close(writing)
        end = time.monotonic() + 60
        while not folder.checkpoints() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        os.close(reading)
        process.send_signal(number)
        assert process.wait(timeout=60) == 130
    status = folder.read_status()
    assert status and status.state == "stopped"
    assert folder.step_of(folder.checkpoints()[-1]) == status.step
    assert folder.animation.exists()


def test_ctrl_c_is_answered_at_once(tiny_run: Path, cli: Any, monkeypatch: Any) -> None:
    from ganvas.training.state import State

    original = State.accumulate

    def accumulate(state: Any, scalars: Any) -> None:
        if state.step == 6:
            signal.raise_signal(signal.SIGINT)
        original(state, scalars)

    monkeypatch.setattr(State, "accumulate", accumulate)
    result = cli("train", tiny_run / "config.toml", "--outdir", "run")
    assert (result.code, result.err) == (130, "")
    assert "SIGINT: stopping after this step (again: at once, without saving)" in result.out
