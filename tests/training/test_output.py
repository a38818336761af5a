"""What happens to a run when nobody listens any more, or in another alphabet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from ganvas.training.output import BestEffort
from ganvas.training.progress import Live, Silent


class Failing(Silent):
    """Says one thing, and from then on fails."""

    def __init__(self, error: BaseException) -> None:
        self.said: list[str] = []
        self.error = error

    def say(self, message: str) -> None:
        self.said.append(message)
        if len(self.said) > 1:
            raise self.error


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(),
        OSError(5, "Input/output error"),
        UnicodeEncodeError("ascii", "·", 0, 1, "ordinal not in range(128)"),
        ValueError("I/O operation on closed file."),
        SystemExit(1),
    ],
    ids=repr,
)
def test_what_cannot_be_said_is_said_no_more(error: BaseException) -> None:
    inner = Failing(error)
    reporter = BestEffort(inner)
    for text in "abc":
        reporter.say(text)
    reporter.warn("d")
    assert inner.said == ["a", "b"]


def test_other_errors_are_faults_of_the_program() -> None:
    reporter = BestEffort(Failing(ValueError("a bad format")))
    reporter.say("a")
    with pytest.raises(ValueError, match="a bad format"):
        reporter.say("b")


def test_all_that_a_reporter_is_told_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = BestEffort(Live(Console(width=200)))
    reporter.start("headline", 0, 2)
    values = {"epoch": 1.0, "step": 2.0, "seconds_per_step": 1.0, "images_per_second": 3.0}
    reporter.line(values | {"D/loss": 0.5, "G/loss": 0.25}, 2, "fd 3")
    reporter.say("a remark")
    reporter.warn("a warning")
    reporter.stop()
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "headline" and out[2:] == ["a remark", "warning: a warning"]
    assert "step 2 of 2" in out[1] and "fd 3" in out[1]


COMMAND = [sys.executable, "-m", "ganvas", "train"]


def test_a_run_whose_reader_goes_away_ends_as_it_would_have(tiny_run: Path, tmp_path: Path) -> None:
    """`ganvas train | head -1`, or a `tee` that died."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, str(tiny_run / "config.toml"), "--outdir", str(tmp_path / "run")],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    weights = "generator/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (tiny_run / weights).read_bytes()
    assert (tmp_path / "run" / "training.gif").exists()


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    "command", [["list"], ["data", "list", "--json"], ["show", "quickstart", "--json"]]
)
def test_a_table_whose_reader_goes_away_says_nothing(command: list[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "ganvas", *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert done.stderr == ""


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_need_not_be_utf_8(encoding: str, tiny_run: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, str(tiny_run / "config.toml"), "--outdir", str(tmp_path / "run")],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"step 12 of 12" in done.stdout and b"trained on 192 images" in done.stdout


def test_a_name_that_is_not_utf_8_is_printed(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/a\xff.toml"
    done = subprocess.run([*map(os.fsencode, COMMAND), name], capture_output=True)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"ganvas: ")


@pytest.mark.slow
def test_a_disk_that_is_full_for_the_output_is_one_line(tiny_run: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as disk:
        done = subprocess.run(
            [sys.executable, "-m", "ganvas", "list"], stdout=disk, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "No space left" in done.stderr
