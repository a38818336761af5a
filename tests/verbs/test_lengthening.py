"""`ganvas train --resume RUN --epochs N`: a run that goes on for longer than it was begun for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ganvas
from ganvas import config
from ganvas.errors import UsageError
from ganvas.rundir import RunFolder

Train = Callable[..., Any]
WEIGHTS = "generator/model.safetensors"


@pytest.fixture
def short(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run of 12 steps in 3 epochs."""
    return Path(shutil.copytree(tiny_run, tmp_path / "short"))


def test_a_lengthened_run_ends_as_one_that_was_begun_so_long(
    short: Path, tmp_path: Path, train_tiny: Train, cli: Callable[..., Any]
) -> None:
    train_tiny(tmp_path / "long", **{"train.length": "5 epochs"})
    done = cli("train", "--resume", short, "--epochs", 5)
    assert done.code == 0, done.err
    assert "lengthened from 3 epochs to 5 epochs" in done.out
    assert (short / WEIGHTS).read_bytes() == (tmp_path / "long" / WEIGHTS).read_bytes()
    steps = [line["step"] for line in RunFolder(short).read_log()]
    assert steps == sorted(set(steps)) and steps[-1] == 20
    status = RunFolder(short).judged_status()
    assert status is not None and (status.state, status.step) == ("finished", 20)
    run = config.load(short / "config.toml")
    assert str(run.train.length) == "5 epochs"
    assert "lengthened from 3 epochs at step 12" in (short / "config.toml").read_text()
    # and it can be resumed as any other
    assert ganvas.train(resume=short, progress=False).steps == 20


def test_ramps_stay_where_they_were(tmp_path: Path, train_tiny: Train) -> None:
    """In percent of 3 epochs of 64 images, and in images ever after."""
    folder = tmp_path / "run"
    rates = {"optim.generator.learning_rate": "1e-3 to 1e-4 from 50 % to 100 %"}
    train_tiny(folder, **rates, **{"optim.discriminator.beta_2": "0.9 to 0.99 over 96 images"})
    done = ganvas.train(resume=folder, epochs=4, progress=False)
    assert done.steps == 16
    run = config.load(folder / "config.toml")
    ramp = "0.001 to 0.0001 from 96 images to 192 images"
    assert str(run.optim.generator.learning_rate) == ramp
    assert str(run.optim.discriminator.beta_2) == "0.9 to 0.99 over 96 images"
    assert "in percent of 3 epochs before" in (folder / "config.toml").read_text()


def test_by_the_clock(tmp_path: Path, train_tiny: Train) -> None:
    folder = tmp_path / "run"
    done = train_tiny(folder, **{"train.length": "0.01 minutes"})
    with pytest.raises(UsageError, match=r"found '0.01 minutes'|has 0.01\d* minutes behind"):
        ganvas.train(resume=folder, minutes=0.005, progress=False)
    longer = ganvas.train(resume=folder, images=16 * (done.steps + 3), progress=False)
    assert longer.finished and longer.steps == done.steps + 3


def test_what_cannot_be_is_one_line(short: Path, tmp_path: Path, train_tiny: Train) -> None:
    before = (short / "config.toml").read_text()
    with pytest.raises(UsageError) as error:
        ganvas.train(resume=short, epochs=2, progress=False)
    assert str(error.value) == (
        f"train.length: found '2 epochs', which is 8 steps, and '{short}' has 12 behind it; "
        "allowed: more than that"
    )
    with pytest.raises(UsageError, match="the settings are not those of .* seed: 0 -> 7"):
        ganvas.train(resume=short, epochs=9, seed=7, progress=False)
    assert (short / "config.toml").read_text() == before
    folder = tmp_path / "faded"
    train_tiny(folder, **{"optim.generator.learning_rate": "1e-3 to 0"})
    with pytest.raises(UsageError, match="optim.generator.learning_rate is .*learn nothing more"):
        ganvas.train(resume=folder, epochs=9, progress=False)


def test_a_dry_run_changes_nothing(short: Path, cli: Callable[..., Any]) -> None:
    before = (short / "config.toml").read_text()
    done = cli("train", "--resume", short, "--epochs", 5, "--dry-run", "--json")
    assert done.code == 0, done.err
    assert "5 epochs" in json.dumps(json.loads(done.out))
    assert (short / "config.toml").read_text() == before
