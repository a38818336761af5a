"""Runs that are made to fail: what is said of each, and how a run goes back and on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ganvas
from ganvas.errors import RunError
from ganvas.generator import load
from ganvas.rundir import RunFolder
from ganvas.training import rollback

Train = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("own_cache", "plain_plots")

RATES = ("optim.generator.learning_rate", "optim.discriminator.learning_rate")


def seen(folder: Path) -> list[tuple[str, str]]:
    return [(line["fault"], line["action"]) for line in RunFolder(folder).read_watchdog()]


def lines_of(folder: Path, fault: str) -> list[dict[str, Any]]:
    return [line for line in RunFolder(folder).read_watchdog() if line["fault"] == fault]


def at_rate(rate: float) -> dict[str, Any]:
    return dict.fromkeys(RATES, rate)


def test_a_good_run_has_no_such_file(tiny_run: Path) -> None:
    assert not RunFolder(tiny_run).watchdog.exists()


def test_a_learning_rate_of_one_runs_away(train_tiny: Train, tmp_path: Path) -> None:
    assert train_tiny(tmp_path / "run", **at_rate(1.0)).finished
    (line,) = lines_of(tmp_path / "run", "diverged")
    assert line["action"] == "warn" and line["step"] == 2 and line["images"] == 32
    assert line["seen"].startswith("weights run away: G's ")
    assert "a lower --learning-rate 0.1" in line["advice"]
    assert line.keys() >= {"message", "change", "rollbacks"}


def test_values_that_are_not_finite_are_traced_to_net_layer_and_step(
    train_tiny: Train, tmp_path: Path
) -> None:
    """Weights of 1e30 times 1e30 are infinite."""
    with pytest.raises(RunError, match="stopped: .*not finite at step 1, 16 images"):
        train_tiny(tmp_path / "run", **at_rate(1e30))
    (line,) = lines_of(tmp_path / "run", "not_finite")
    assert line["action"] == "stop" and line["step"] == 1
    assert "first at step 1, in D, layer " in line["seen"]
    assert "(Linear), whose weights are finite, up to" in line["seen"]
    log = RunFolder(tmp_path / "run").read_log()
    assert log[-1]["step"] == 1 and log[-1]["G/loss"] is None


def test_where_it_began_is_found_after_a_checkpoint_too(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight that is spoilt at step 7, after the checkpoint at step 4."""
    import torch

    from ganvas.training.compute.graph import Steps

    original = Steps.take

    def take(self: Steps, progress: Any) -> None:
        original(self, progress)
        if self._state.step == 7:
            layers = [m for m in self._state.players.D.modules() if isinstance(m, torch.nn.Linear)]
            with torch.no_grad():
                layers[1].weight[0, 0] = float("inf")

    monkeypatch.setattr(Steps, "take", take)
    with pytest.raises(RunError, match="last good checkpoint: .*step-00000004"):
        train_tiny(tmp_path / "run")
    (line,) = lines_of(tmp_path / "run", "not_finite")
    assert "first at step 8, in D, layer " in line["seen"]
    assert "whose weights the step before made so" in line["seen"]


@pytest.mark.parametrize("loss", ["non-saturating", "saturating"])
def test_fifty_steps_of_d_leave_g_nothing(loss: str, train_tiny: Train, tmp_path: Path) -> None:
    """On images that are easily told from what G begins with."""
    bright = np.clip(np.random.default_rng(0).normal(220, 10, (400, 8, 8)), 0, 255)
    np.savez(tmp_path / "bright.npz", images=bright.astype(np.uint8))
    changes = {
        "data.path": str(tmp_path / "bright.npz"), "train.batch_size": 4, "output.log": "1 step",
        "train.length": "2000 images", "update.d_steps": 50, "update.first": "discriminator",
        "update.fakes": "fresh", "loss.name": loss, RATES[0]: 1e-5, RATES[1]: 0.02,
    }  # fmt: skip
    train_tiny(tmp_path / "run", **changes)
    (line,) = lines_of(tmp_path / "run", "dead_discriminator")
    assert line["step"] <= 9 and line["images"] == 200 * line["step"]
    assert "D tells real from fake without effort" in line["seen"]
    assert "--set update.d_steps=1" in line["advice"]
    assert ("loss.name=non-saturating" in line["advice"]) == (loss == "saturating")


def test_a_constant_data_set_and_one_of_twenty_images(train_tiny: Train, tmp_path: Path) -> None:
    np.savez(tmp_path / "same.npz", images=np.full((120, 8, 8), 7, np.uint8))
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "few.npz", images=rng.integers(0, 256, (20, 8, 8), dtype=np.uint8))
    for name, words in (("same", "half are the same"), ("few", "there are 20 training images")):
        train_tiny(tmp_path / name, **{"data.path": str(tmp_path / f"{name}.npz")})
        (line,) = lines_of(tmp_path / name, "data")
        assert words in line["seen"] and (line["step"], line["action"]) == (0, "warn")


def test_pixels_that_are_nan_are_refused_before_anything_is_trained(
    cli: Any, tmp_path: Path
) -> None:
    images = np.zeros((64, 8, 8), np.float32)
    images[3, 2, 1] = np.nan
    np.savez(tmp_path / "nan.npz", images=images)
    said = cli("train", "--data", "nan.npz", "--outdir", "run")
    assert said.code == 2 and len(said.err.splitlines()) == 1 and "nan.npz" in said.err
    assert not (tmp_path / "run").exists()


# Stop, roll back, continue


@pytest.mark.parametrize(
    ("chosen", "code", "action"), [("stop", 1, "stop"), ("continue", 0, "warn")]
)
def test_the_flag_says_what_is_done_about_any_fault(
    chosen: str, code: int, action: str, cli: Any, tiny_run: Path
) -> None:
    said = cli(
        "train", tiny_run / "config.toml", "--on-failure", chosen, "--learning-rate", 1,
        "--outdir", "run",
    )  # fmt: skip
    assert said.code == code
    assert "warning: weights run away: G's" in said.out
    assert ("diverged", action) in seen(Path("run"))
    if code == 0:
        assert " · ! diverged at 32 images · " in said.out
    else:
        assert said.err.count("\n") == 1 and "stopped: weights run away" in said.err


def test_a_run_goes_back_and_on_with_lower_rates(cli: Any, tiny_run: Path) -> None:
    """1, 0.1 and 0.01 run away; the third time it does well."""
    run = ("train", tiny_run / "config.toml", "--on-failure", "rollback", "--learning-rate", 1)
    said = cli(*run, "--outdir", "run")
    assert said.code == 0, said.err
    folder = RunFolder(Path("run"))
    found = lines_of(Path("run"), "diverged")
    assert [line["rollbacks"] for line in found] == list(range(len(found))) and len(found) in (1, 2)
    assert found[0]["change"] == (
        "back to the beginning; from there G's learning rate is 0.1 of what was set and "
        "D's learning rate is 0.1 of what was set (1 of 3)"
    )
    assert f"warning: {found[0]['change']}" in said.out
    log = folder.read_log()
    assert [line["step"] for line in log] == [2, 4, 6, 8, 10, 12]
    memory = json.loads((folder.checkpoints()[-1] / "state.json").read_text())["memory"]
    assert memory["rollbacks"] == len(found)
    assert memory["rate/G"] == pytest.approx(0.1 ** len(found))
    assert load("run").images_seen == 192
    before = [path.read_bytes() for path in (folder.watchdog, folder.log)]
    assert cli("train", "--resume", "run", "--on-failure", "rollback").code == 0
    assert [path.read_bytes() for path in (folder.watchdog, folder.log)] == before


def test_a_run_that_went_back_and_was_killed_ends_as_one_that_was_not(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = at_rate(1.0) | {"train.on_failure": "rollback", "output.checkpoint": "3 steps"}
    train_tiny(tmp_path / "whole", **changes)

    class Killed(BaseException):
        pass

    from ganvas.training import records

    original = records.write_checkpoint

    def killing(session: Any) -> None:
        original(session)
        if session.state.step == 6:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(records, "write_checkpoint", killing)
        with pytest.raises(Killed):
            train_tiny(tmp_path / "cut", **changes)
    train_tiny(None, resume=tmp_path / "cut")
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    weights = "generator/model.safetensors"
    assert (cut.path / weights).read_bytes() == (whole.path / weights).read_bytes()
    assert cut.watchdog.read_bytes() == whole.watchdog.read_bytes()


def test_it_goes_back_three_times_and_then_stops(train_tiny: Train, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="stopped: .*not finite.*went back 3 times"):
        train_tiny(tmp_path / "run", **at_rate(1e30) | {"train.on_failure": "rollback"})
    assert [line["action"] for line in lines_of(tmp_path / "run", "not_finite")] == [
        *["rollback"] * rollback.MOST,
        "stop",
    ]


def test_it_goes_back_to_the_newest_checkpoint_from_before_the_fault(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collapse, from the sheet at step 8 on: latents are drawn anew, and D is slowed down."""
    from ganvas.training import watch
    from ganvas.training.watchdog import Alarm, Place

    def collapsed(run: Any, place: Place, *_: Any) -> list[Alarm]:
        if place.step == 12 and not rollbacks:
            rollbacks.append(1)
            return [Alarm("collapse", "one image", "another seed", "rollback", since=7)]
        return []

    rollbacks: list[int] = []
    monkeypatch.setattr(watch, "check_samples", collapsed)
    train_tiny(tmp_path / "run", **{"output.checkpoint": "3 steps", "output.keep_checkpoints": 9})
    (line,) = lines_of(tmp_path / "run", "collapse")
    assert line["change"].startswith("back to the checkpoint at step 6; from there G's learning ")
    assert line["change"].endswith("latents are drawn from another seed (1 of 3)")
    folder = RunFolder(tmp_path / "run")
    assert [folder.step_of(path) for path in folder.checkpoints()] == [3, 6, 9, 12]
    assert [line["step"] for line in folder.read_log()] == [2, 4, 6, 8, 10, 12]


def test_what_was_gone_back_to_before_is_passed_over(train_tiny: Train, tmp_path: Path) -> None:
    from ganvas.training.rollback import way_back
    from ganvas.training.watchdog import Alarm

    trained = {"output.checkpoint": "3 steps", "output.keep_checkpoints": 9}
    train_tiny(tmp_path / "run", **trained)
    folder = RunFolder(tmp_path / "run")
    run = ganvas.config.load(folder.config)
    alarm = Alarm("dead_discriminator", "", "", "rollback", since=10)
    memory: dict[str, float] = {"rate/G": 0.5}
    for step, times in ((9, 1), (6, 2), (9, 3)):
        back = way_back(run, folder, alarm, memory)
        assert back and (back.step, back.changes["rollbacks"]) == (step, times)
        memory |= back.changes
    assert memory["rate/D"] == pytest.approx(0.25**3) and memory["rate/G"] == 0.5
    assert way_back(run, folder, alarm, memory) is None
