"""The queue of benchmarks/reproduce.py: what comes next, and how it is stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from made_runs import LONG, SHORT, Make
from reproduction import queue
from reproduction.folder import Folder, running
from reproduction.queue import Queue


def test_order() -> None:
    assert Queue(Path(), [SHORT, LONG]).order() == [SHORT, LONG]
    assert Queue(Path(), [SHORT, LONG], big_first=True).order() == [LONG, SHORT]


def test_next_passes_over_what_is_done_or_has_had_enough(make: Make, tmp_path: Path) -> None:
    both = Queue(tmp_path, [SHORT, LONG])
    first = both.next(set())
    assert first and first.planned == SHORT
    make(SHORT)
    second = both.next(set())
    assert second and second.planned == LONG
    make(LONG, steps=100)
    assert both.next(set()) is None
    third = Queue(tmp_path, [SHORT, LONG], big_first=True).next(set())
    assert third and third.planned == LONG  # on a GPU to its end


def test_commands(make: Make, tmp_path: Path) -> None:
    captured = Queue(tmp_path, [SHORT], device="cuda", settings=("train.cuda_graphs=true",))
    begins = captured.command(Folder(SHORT, tmp_path / "new"))
    assert begins[begins.index("train") + 1 :] == [
        *("cs231n-lsgan", "--seed", "0", "--set", "output.log=1 step", "--device", "cuda"),
        *("--set", "train.cuda_graphs=true", "--outdir", str(tmp_path / "new")),
    ]
    folder = make(steps=40)
    goes_on = captured.command(folder)
    assert goes_on[goes_on.index("train") + 1 :] == ["--resume", str(folder.path)]


TRAINER = """
import json, signal, sys, time
from pathlib import Path
path, steps = Path(sys.argv[2]), int(sys.argv[3])
path.mkdir(exist_ok=True)
(path / "config.toml").touch()
def stop(number, frame):
    (path / "saved").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
with (path / "log.jsonl").open("a") as log:
    log.write(json.dumps({"step": steps, "images": steps, "seconds": 1.0}) + "\\n")
time.sleep(60)
"""


class Pretending(Queue):
    """A queue whose trainer writes one log line and then waits to be stopped."""

    steps = 1

    def command(self, folder: Folder) -> list[str]:
        return [sys.executable, "-c", TRAINER, "train", str(folder.path), str(self.steps)]


@pytest.mark.slow
def test_a_run_is_stopped_in_order_when_the_minutes_are_over(tmp_path: Path) -> None:
    began = time.monotonic()
    Pretending(tmp_path, [SHORT, LONG]).work(minutes=3 / 60)
    assert 3 <= time.monotonic() - began < 30
    assert (tmp_path / SHORT.name / "saved").exists()
    assert not (tmp_path / LONG.name).exists()


def stop_when_there_is(path: Path) -> None:
    """SIGTERM to this process once the file is there, from a thread beside the test."""

    def wait() -> None:
        while not path.exists():
            time.sleep(0.02)
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def test_a_run_that_has_had_enough_makes_way_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LOOK", 0.05)
    pretending = Pretending(tmp_path, [LONG, SHORT])
    object.__setattr__(pretending, "steps", LONG.enough)
    stop_when_there_is(tmp_path / SHORT.name / "log.jsonl")
    pretending.work(minutes=1)
    assert (tmp_path / LONG.name / "saved").exists()
    assert (tmp_path / SHORT.name / "saved").exists()


def test_a_signal_stops_the_queue_and_its_run(tmp_path: Path) -> None:
    stop_when_there_is(tmp_path / SHORT.name / "log.jsonl")
    Pretending(tmp_path, [SHORT, LONG]).work(minutes=1)
    assert (tmp_path / SHORT.name / "saved").exists()
    assert not (tmp_path / LONG.name).exists()


class Failing(Queue):
    """A queue whose trainer ends at once with an error."""

    def command(self, folder: Folder) -> list[str]:
        return [sys.executable, "-c", "import sys; sys.exit('ganvas: no data')"]


def test_a_run_that_fails_is_tried_once_and_said_to_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(queue, "LOOK", 0.05)
    assert Failing(tmp_path, [SHORT, LONG]).work(minutes=1)
    said = capsys.readouterr().out
    for planned in (SHORT, LONG):
        assert Folder(planned, tmp_path / planned.name).state(set()) == "failed"
        assert said.count(f"{planned.name} failed at step 0") == 1
    assert "ganvas: no data" in said


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks into /proc")
def test_running_is_seen_from_the_process(make: Make, tmp_path: Path) -> None:
    folder = make()
    words = [sys.executable, "-c", "import time; time.sleep(60)", "train", "--resume", SHORT.name]
    assert running(tmp_path) == set()
    process = subprocess.Popen(words, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 30
        while not running(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)  # a process has its command line a moment after it has begun
        assert running(tmp_path) == {folder.path.resolve()}
    finally:
        process.kill()
        process.wait()
