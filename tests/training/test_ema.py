"""The average of G's weights: its arithmetic, and what a run draws and keeps of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import ganvas
from ganvas import config
from ganvas.config import Ema, Ramp
from ganvas.schedules import Progress
from ganvas.training.ema import Average
from ganvas.training.state import new_state

CPU = torch.device("cpu")


def net(value: float) -> nn.Linear:
    made = nn.Linear(1, 1, bias=False)
    nn.init.constant_(made.weight, value)
    return made


def test_after_a_half_life_the_old_weight_counts_half() -> None:
    one = net(0.0)
    average = Average(one, Ema(half_life=100.0, ramp=0.0))
    nn.init.constant_(one.weight, 1.0)
    for _ in range(10):
        average.update(10, Progress(0))
    assert average.net.weight.item() == pytest.approx(0.5)


def test_the_ramp_bounds_the_half_life_by_the_images_seen() -> None:
    average = Average(net(0.0), Ema(half_life=100.0, ramp=0.05))
    assert average.half_life(Progress(40)) == pytest.approx(2.0)
    assert average.half_life(Progress(10_000)) == 100.0
    assert Average(net(0.0), Ema(half_life=9.0, ramp=0.0)).half_life(Progress(0)) == 9.0


def test_the_half_life_may_follow_a_ramp() -> None:
    settings = Ema(half_life=Ramp.parse("0 to 80 over 100 images"), ramp=0.0)
    average = Average(net(0.0), settings)
    assert average.half_life(Progress(25)) == pytest.approx(20.0)


def test_without_a_half_life_yet_it_is_the_net_itself() -> None:
    one = net(0.0)
    average = Average(one, Ema(half_life=Ramp.parse("0 to 80 over 100 images"), ramp=0.0))
    nn.init.constant_(one.weight, 3.0)
    average.update(10, Progress(0))
    assert average.net.weight.item() == 3.0


def test_running_statistics_are_averaged_and_counts_copied() -> None:
    norm = nn.BatchNorm1d(1)
    average = Average(norm, Ema(half_life=10.0, ramp=0.0))
    norm.running_mean.fill_(4.0)
    norm.num_batches_tracked.fill_(7)
    average.update(10, Progress(0))
    assert average.net.running_mean.item() == pytest.approx(2.0)
    assert average.net.num_batches_tracked.item() == 7


def test_the_nets_own_weights_stay_and_the_average_is_not_trained() -> None:
    one = net(1.0)
    average = Average(one, Ema(half_life=10.0))
    average.update(10, Progress(10))
    assert one.weight.item() == 1.0 and one.weight.requires_grad
    assert not average.net.weight.requires_grad


# In a run

ON = {"ema.half_life": 32.0, "ema.ramp": 0.0}


def weights(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    return {
        key.removeprefix(prefix): value
        for key, value in load_file(path).items()
        if key.startswith(prefix)
    }


def newest(folder: Path) -> Path:
    return max((folder / "checkpoints").iterdir()) / "state.safetensors"


@pytest.fixture(scope="module")
def averaged(train_tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ema") / "run"
    train_tiny(folder, **ON)
    return folder


def test_the_saved_generator_is_the_average_and_the_checkpoint_has_both(averaged: Path) -> None:
    saved = weights(averaged / "generator" / "model.safetensors")
    state = newest(averaged)
    raw, average = weights(state, "G."), weights(state, "average.")
    assert set(saved) == set(raw) == set(average)
    assert all(torch.equal(saved[key], average[key]) for key in saved)
    assert any(not torch.equal(raw[key], average[key]) for key in saved)


def test_training_is_the_same_with_and_without_it(averaged: Path, tiny_run: Path) -> None:
    plain, other = weights(newest(tiny_run)), weights(newest(averaged))
    assert set(other) - set(plain) == {f"average.{key}" for key in weights(newest(averaged), "G.")}
    assert [key for key in plain if not torch.equal(plain[key], other[key])] == []


def test_the_average_is_that_of_every_steps_weights(train_tiny: Any, tmp_path: Path) -> None:
    """16 images a step and a half-life of 32: each step keeps 0.5 ** 0.5 of what was there."""
    from ganvas.rundir import RunFolder
    from ganvas.training.hooks import Hooks
    from ganvas.training.loop import fit
    from ganvas.training.progress import Silent

    seen: list[torch.Tensor] = []
    run = config.load(train_tiny(tmp_path / "a", **ON).folder / "config.toml")
    kept = next(iter(new_state(run, (1, 8, 8), CPU).players.G.parameters())).detach().clone()

    def note(state: Any) -> None:
        seen.append(next(iter(state.players.G.parameters())).detach().clone())
        assert state.sampler is state.average.net

    fit(run, RunFolder(tmp_path / "b"), Silent(), hooks=Hooks(after_step=note))
    for value in seen:
        kept = kept * 0.5**0.5 + value * (1 - 0.5**0.5)
    found = weights(newest(tmp_path / "b"), "average.")["0.weight"]
    torch.testing.assert_close(found, kept)


def test_the_last_sheet_is_drawn_from_the_average(averaged: Path, tiny_run: Path) -> None:
    from PIL import Image

    one, two = (
        np.asarray(Image.open(max((folder / "samples").iterdir())))
        for folder in (averaged, tiny_run)
    )
    assert one.shape == two.shape and (one != two).any()


def test_a_run_that_was_stopped_goes_on_to_the_bit(
    averaged: Path, train_tiny: Any, tmp_path: Path
) -> None:
    train_tiny(tmp_path / "run", **ON, **{"output.keep_checkpoints": 3})
    first = min((tmp_path / "run" / "checkpoints").iterdir())
    train_tiny(None, resume=first)
    ends = weights(newest(averaged)), weights(newest(tmp_path / "run"))
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    counters = json.loads((newest(averaged).parent / "state.json").read_text())
    assert counters["step"] == 12


def test_a_checkpoint_without_an_average_does_not_fit_a_run_with_one(
    tiny_run: Path, averaged: Path
) -> None:
    from ganvas.errors import UsageError
    from ganvas.training.checkpoint import load_checkpoint

    state = new_state(config.load(averaged / "config.toml"), (1, 8, 8), CPU)
    with pytest.raises(UsageError, match="does not fit this run"):
        load_checkpoint(state, newest(tiny_run).parent)


def test_the_saved_generator_samples(averaged: Path) -> None:
    assert ganvas.load(averaged).sample(3).shape == (3, 1, 8, 8)
