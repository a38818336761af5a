"""`ganvas train --resume` of run folders that somebody touched, or is using."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganvas.files import aside_of
from ganvas.rundir import RunFolder

Train = Callable[..., Any]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, train_tiny: Train) -> Path:
    """A run of three epochs with a checkpoint after each."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train_tiny(folder, **{"output.checkpoint": "1 epoch", "output.keep_checkpoints": 3})
    return folder


@pytest.fixture
def stopped(whole: Path, tmp_path: Path) -> RunFolder:
    """The same run as a kill after its second epoch left it."""
    folder = RunFolder(shutil.copytree(whole, tmp_path / "stopped"))
    shutil.rmtree(folder.checkpoints()[-1])
    shutil.rmtree(folder.generator)
    return folder


def add(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def half_a_checkpoint(folder: RunFolder) -> None:
    folder.checkpoint(12).mkdir()
    (folder.checkpoint(12) / "state.json").write_text("{}")


TOUCHES: dict[str, Callable[[RunFolder], Any]] = {
    "nothing": lambda folder: None,
    "a copy of a checkpoint": lambda folder: shutil.copytree(
        folder.checkpoint(8), folder.path / "checkpoints" / "step-00000092.bak"
    ),
    "half a checkpoint": half_a_checkpoint,
    "a checkpoint moved aside": lambda folder: folder.checkpoint(8).rename(
        aside_of(folder.checkpoint(8))
    ),
    "a stray byte at the log's end": lambda folder: add(folder.log, b"\xff"),
    "a stray byte in metrics": lambda folder: add(folder.metrics, b"\xff"),
    "a damaged first line": lambda folder: folder.log.write_bytes(
        b"\xff" + folder.log.read_bytes()
    ),
    "no log": lambda folder: folder.log.unlink(),
    "an empty environment": lambda folder: folder.environment.write_text("{}"),
    "no environment": lambda folder: folder.environment.unlink(),
    "a list as environment": lambda folder: folder.environment.write_text("[]"),
    "no samples": lambda folder: shutil.rmtree(folder.path / "samples"),
}


@pytest.mark.slow_after(4)
@pytest.mark.parametrize("touch", TOUCHES)
def test_a_run_that_was_touched_goes_on_as_if_it_had_not_been(
    touch: str, whole: Path, stopped: RunFolder, train_tiny: Train
) -> None:
    TOUCHES[touch](stopped)
    result = train_tiny(None, resume=stopped.path)
    assert result.finished and result.steps == 12
    weights = "generator/model.safetensors"
    assert (stopped.path / weights).read_bytes() == (whole / weights).read_bytes()
    assert stopped.read_log()[-1]["step"] == 12
    assert stopped.read_environment()["data"]["images"] == 64


def test_what_was_lost_is_named(stopped: RunFolder, cli: Any) -> None:
    stopped.environment.write_text("{}")
    stopped.log.write_bytes(b"\xff" + stopped.log.read_bytes())
    result = cli("train", "--resume", stopped.path)
    assert result.code == 0
    printed = " ".join(result.out.split())
    assert "log.jsonl': 1 damaged line left out" in printed
    assert "env.json' does not say which images the run was trained on" in printed


def test_a_run_in_use_is_not_resumed(stopped: RunFolder, cli: Any) -> None:
    before = {path for path in stopped.path.rglob("*")}
    with stopped.locked():
        result = cli("train", "--resume", stopped.path)
    assert result.code == 2 and len(result.err.splitlines()) == 1
    assert f"is in use: process {os.getpid()} on" in result.err
    assert before == {path for path in stopped.path.rglob("*")}
