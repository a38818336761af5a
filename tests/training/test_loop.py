"""Whole runs, tiny ones: what they leave, that they repeat, stop, go on and fail in order."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganvas import config
from ganvas.errors import UsageError
from ganvas.rundir import RunFolder
from ganvas.training import loop, watchdog
from ganvas.training.hooks import Hooks
from ganvas.training.state import State

Train = Callable[..., Any]
STEPS = 12  # in 3 epochs of 4 steps


@pytest.fixture
def plain_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss plots as text: drawing one takes as long as a tiny run."""

    def plot(path: Path, title: str, lines: list[dict[str, float]]) -> None:
        path.write_text(repr([title, [(line["step"], line["D/loss"]) for line in lines]]))

    monkeypatch.setattr(loop, "plot_losses", plot)


def at_step(monkeypatch: pytest.MonkeyPatch, act: Callable[[Any, Any], None]) -> None:
    """Call act(state, scalars) after each step, before what is due is done."""
    original = State.accumulate

    def accumulate(state: Any, scalars: Any) -> None:
        state.step += 1  # as it is counted a moment later
        act(state, scalars)
        state.step -= 1
        original(state, scalars)

    monkeypatch.setattr(State, "accumulate", accumulate)


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGTERM) -> None:
    def act(state: Any, scalars: Any) -> None:
        if state.step == step:
            signal.raise_signal(number)

    at_step(monkeypatch, act)


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    clock = {"seconds", "images_per_second"}
    return [{key: line[key] for key in line if key not in clock} for line in lines]


def leavings(folder: Path) -> dict[str, Any]:
    """All that a run leaves and that must repeat: bytes, the log's values, the last state."""
    newest = max((folder / "checkpoints").iterdir())
    counters = json.loads((newest / "state.json").read_text())
    found: dict[str, Any] = {
        "log": log_of(folder),
        "state": (newest / "state.safetensors").read_bytes(),
        "counters": {k: v for k, v in counters.items() if "seconds" not in k},
        "checkpoint": newest.name,
    }
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(
            ("events", "checkpoints", "log.jsonl", "env.json", "status.json")
        ):
            found[name] = path.read_bytes()
    return found


def assert_same(one: Path, two: Path) -> None:
    a, b = leavings(one), leavings(two)
    assert list(a) == list(b)
    assert [key for key in a if a[key] != b[key]] == []


# What a run leaves


def test_a_run_folder_is_complete(tiny_run: Path) -> None:
    files = {
        path.relative_to(tiny_run).as_posix() for path in tiny_run.rglob("*") if path.is_file()
    }
    events = {name for name in files if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert files - events == {
        "config.toml",
        "status.json",
        "env.json",
        "log.jsonl",
        "reals.png",
        "losses.png",
        "training.gif",
        "samples/epoch-0001.png",
        "samples/epoch-0002.png",
        "samples/epoch-0003.png",
        "checkpoints/step-00000008/state.json",
        "checkpoints/step-00000008/state.safetensors",
        "checkpoints/step-00000012/state.json",
        "checkpoints/step-00000012/state.safetensors",
        "generator/config.json",
        "generator/model.safetensors",
        "generator/README.md",
    }


def test_no_file_is_a_pickle(tiny_run: Path) -> None:
    for path in tiny_run.rglob("*"):
        if path.is_file():
            assert not path.read_bytes().startswith((b"\x80", b"PK")), path


def test_the_log_counts_steps_images_and_epochs(tiny_run: Path) -> None:
    lines = [json.loads(line) for line in (tiny_run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert [line["images"] for line in lines] == [32, 64, 96, 128, 160, 192]
    assert [line["epoch"] for line in lines] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    for line in lines:
        assert set(line) == {
            "step", "images", "epoch", "seconds", "images_per_second",
            "D/loss", "D/loss_real", "D/loss_fake", "D/real", "D/fake", "G/loss",
            "D/real_eval", "D/fake_eval",
        }  # fmt: skip
        assert line["D/loss"] == pytest.approx(line["D/loss_real"] + line["D/loss_fake"])
        assert 0 < line["D/real"] < 1 and 0 < line["D/fake"] < 1
    assert lines[0]["D/loss"] == pytest.approx(1.386, abs=0.05)  # D cannot tell anything apart yet
    assert lines[0]["G/loss"] == pytest.approx(0.693, abs=0.05)


def test_the_verdict_is_that_of_d_without_dropout_on_the_two_sheets(
    train_tiny: Train, tmp_path: Path, plain_plots: None
) -> None:
    """Computed again from the last checkpoint and the two pictures themselves."""
    trained = train_tiny(tmp_path / "run", **{"model.name": "modelzoo"})
    run = config.load(trained.folder / "config.toml")
    discriminator = run.model.discriminator((1, 8, 8))
    weights = load_file(sorted(trained.folder.glob("checkpoints/*"))[-1] / "state.safetensors")
    discriminator.load_state_dict(
        {key[2:]: value for key, value in weights.items() if key.startswith("D.")}
    )
    line = json.loads((trained.folder / "log.jsonl").read_text().splitlines()[-1])
    sheets = {"real": "reals.png", "fake": sorted((trained.folder / "samples").iterdir())[-1].name}
    for key, name in sheets.items():
        folder = trained.folder / ("samples" if key == "fake" else ".")
        pixels = np.asarray(Image.open(folder / name))
        scale = pixels.shape[0] // 22  # 2 rows of 8 pixels, gaps of 2
        tiles = [
            pixels[::scale, ::scale][2 + 10 * row :][:8, 2 + 10 * column :][:, :8]
            for row in range(2)
            for column in range(3)
        ]
        images = torch.from_numpy(np.stack(tiles)).float()[:, None] / 127.5 - 1
        with torch.no_grad():
            logits = discriminator.eval()(images)
        assert line[f"D/{key}_eval"] == pytest.approx(float(logits.mean()), abs=2e-3), key


def test_log_values_are_means_and_rates_by_the_clock(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_plots: None
) -> None:
    """With a clock by which each step takes a quarter of a second, counting from 100."""
    clock = SimpleNamespace(now=100.0)
    seen: list[dict[str, float]] = []

    def act(state: Any, scalars: Any) -> None:
        clock.now += 0.25
        seen.append({key: value.item() for key, value in scalars.items()})

    at_step(monkeypatch, act)
    monkeypatch.setattr(loop, "Hooks", lambda: Hooks(clock=lambda: clock.now))
    result = train_tiny(tmp_path / "run", **{"output.log": "5 steps"})

    lines = RunFolder(tmp_path / "run").read_log()
    assert [line["step"] for line in lines] == [5, 10, 12]
    assert [line["seconds"] for line in lines] == [1.25, 2.5, 3.0]
    assert [line["images_per_second"] for line in lines] == [64.0, 64.0, 64.0]  # 16 in 0.25 s
    for line, (start, end) in zip(lines, [(0, 5), (5, 10), (10, 12)], strict=True):
        for key in seen[0]:
            mean = sum(scalars[key] for scalars in seen[start:end]) / (end - start)
            assert line[key] == pytest.approx(mean, rel=1e-5)
    assert (result.steps, result.images, result.seconds, result.finished) == (12, 192, 3.0, True)


def test_the_clock_goes_on_where_it_stopped(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_plots: None
) -> None:
    clock = SimpleNamespace(now=100.0)

    def act(state: Any, scalars: Any) -> None:
        clock.now += 0.25

    monkeypatch.setattr(loop, "Hooks", lambda: Hooks(clock=lambda: clock.now))
    with monkeypatch.context() as patch:
        at_step(patch, act)
        stop_after(patch, 7)
        assert train_tiny(tmp_path / "run").seconds == 7 * 0.25
    clock.now = 5_000.0
    at_step(monkeypatch, act)
    assert train_tiny(None, resume=tmp_path / "run").seconds == 3.0
    lines = RunFolder(tmp_path / "run").read_log()
    assert [line["seconds"] for line in lines] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert [line["images_per_second"] for line in lines] == [64.0] * 6


def test_counts_are_sums_not_means(train_tiny: Train, tmp_path: Path, plain_plots: None) -> None:
    train_tiny(tmp_path / "run", **{"update.name": "controller", "output.log": "6 steps"})
    lines = RunFolder(tmp_path / "run").read_log()
    for line in lines:
        counts = [line[f"count/{name}"] for name in ("D_fake", "G", "D_real")]
        assert counts == [6, 6, 6]  # all losses stay near 0.69


def test_a_short_last_batch_counts_as_what_it_is(
    train_tiny: Train, tmp_path: Path, plain_plots: None
) -> None:
    train_tiny(
        tmp_path / "run",
        **{
            "train.batch_size": 24,
            "train.drop_last": False,
            "train.length": "2 epochs",
            "output.log": "1 step",
        },
    )
    lines = RunFolder(tmp_path / "run").read_log()
    assert [line["images"] for line in lines] == [24, 48, 64, 88, 112, 128]
    assert [line["epoch"] for line in lines] == [0.3333, 0.6667, 1.0, 1.3333, 1.6667, 2.0]


def test_the_budget_may_be_images(train_tiny: Train, tmp_path: Path, plain_plots: None) -> None:
    result = train_tiny(tmp_path / "run", **{"train.length": "50 images"})
    assert (result.steps, result.images) == (4, 64)


def test_tensorboard_has_the_logs_values_on_its_steps(tiny_run: Path) -> None:
    events = EventAccumulator(str(tiny_run))
    events.Reload()
    lines = [json.loads(line) for line in (tiny_run / "log.jsonl").read_text().splitlines()]
    keys = [key for key in lines[0] if "/" in key]
    assert sorted(events.Tags()["scalars"]) == sorted(keys)
    for key in keys:
        scalars = events.Scalars(key)
        assert [event.step for event in scalars] == [line["step"] for line in lines]
        assert [event.value for event in scalars] == pytest.approx([line[key] for line in lines])
    assert [event.step for event in events.Images("samples")] == [4, 8, 12]


def test_tensorboard_tags_are_a_setting_and_a_resumed_run_has_each_step_once(
    train_tiny: Train, tmp_path: Path, plain_plots: None
) -> None:
    tags = {"output.tags": {"D/loss": "dloss", "samples": "Generated"}}
    train_tiny(tmp_path / "run", **tags)
    time.sleep(1.05)  # event files are ordered by the second in their names
    train_tiny(None, resume=tmp_path / "run" / "checkpoints" / "step-00000008")
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [event.step for event in events.Scalars("dloss")] == [2, 4, 6, 8, 10, 12]
    assert [event.step for event in events.Images("Generated")] == [4, 8, 12]
    assert "D/loss" not in events.Tags()["scalars"]


def test_sheets_show_the_same_latents_and_the_gif_all_sheets(tiny_run: Path) -> None:
    sheets = sorted((tiny_run / "samples").iterdir())
    pictures = [np.asarray(Image.open(sheet)) for sheet in sheets]
    assert len({picture.shape for picture in pictures}) == 1
    with Image.open(tiny_run / "training.gif") as gif:
        assert gif.n_frames == 3
        for i, picture in enumerate(pictures):
            gif.seek(i)
            assert np.array_equal(np.asarray(gif.convert("L")), picture)


def test_sheets_are_named_by_step_where_they_are_due_by_step(
    train_tiny: Train, tmp_path: Path, plain_plots: None
) -> None:
    train_tiny(tmp_path / "run", **{"output.sample": "5 steps"})
    names = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert names == ["step-00000005.png", "step-00000010.png", "step-00000012.png"]


def test_reals_are_images_of_the_data_set(tiny_run: Path, tiny_npz: Path) -> None:
    pixels = np.asarray(Image.open(tiny_run / "reals.png"))
    scale = pixels.shape[0] // 22  # 2 rows of 8 pixels, gaps of 2
    sheet = pixels[::scale, ::scale]
    known = {image.tobytes() for image in np.load(tiny_npz)["images"]}
    for row in range(2):
        for column in range(3):
            top, left = 2 + 10 * row, 2 + 10 * column
            tile = np.ascontiguousarray(sheet[top : top + 8, left : left + 8])
            assert tile.tobytes() in known


def test_training_leaves_the_global_stream_alone(
    train_tiny: Train, tmp_path: Path, plain_plots: None
) -> None:
    before = torch.get_rng_state()
    train_tiny(tmp_path / "run", **{"train.length": "1 epoch"})
    assert torch.equal(before, torch.get_rng_state())


# The same command twice


def test_the_same_command_gives_the_same_bytes(
    train_tiny: Train, tiny_run: Path, tmp_path: Path
) -> None:
    torch.manual_seed(123)  # what was drawn before is of no consequence
    train_tiny(tmp_path / "again")
    assert_same(tiny_run, tmp_path / "again")
    assert (tiny_run / "env.json").read_text() == (tmp_path / "again" / "env.json").read_text()


def test_a_config_file_repeats_its_run(tiny_run: Path, tmp_path: Path) -> None:
    import ganvas

    ganvas.train(str(tiny_run / "config.toml"), outdir=tmp_path / "again", progress=False)
    assert_same(tiny_run, tmp_path / "again")


def test_another_seed_gives_another_run(
    train_tiny: Train, tiny_run: Path, tmp_path: Path, plain_plots: None
) -> None:
    train_tiny(tmp_path / "other", seed=1)
    one, two = leavings(tiny_run), leavings(tmp_path / "other")
    for key in ("state", "log", "reals.png", "samples/epoch-0001.png"):
        assert one[key] != two[key], key


# Stop and go on


def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    train_tiny: Train, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real plots; step 7 is between log lines, sheets and checkpoints."""
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        result = train_tiny(tmp_path / "run")
    assert (result.finished, result.steps, result.images) == (False, 7, 112)
    assert max((tmp_path / "run" / "checkpoints").iterdir()).name == "step-00000007"
    assert [line["step"] for line in log_of(tmp_path / "run")] == [2, 4, 6]
    with Image.open(tmp_path / "run" / "losses.png") as picture:
        picture.load()
    assert train_tiny(None, resume=tmp_path / "run").finished
    assert_same(tiny_run, tmp_path / "run")


@pytest.mark.slow_after(4)
@pytest.mark.parametrize(
    ("stops", "changes"),
    [
        ([1], {}),
        ([3], {"update.name": "controller", "model.name": "mnist-classes"}),
        ([4], {"update.name": "simultaneous", "model.name": "mnist-classes"}),
        ([6], {"model.name": "mnist-classes"}),
        ([5], {"update.d_steps": 2, "train.batch_size": 8}),
        (
            [2, 5, 6, 11],
            {"train.batch_size": 24, "train.drop_last": False, "train.length": "4 epochs"},
        ),
        ([3, 9], {"train.order": "replacement", "update.fakes": "shared"}),
        ([3], {"train.order": "independent", "update.fake_mode": "inference"}),
        (
            [3],
            {"train.order": "sequential", "model.name": "modelzoo", "update.d_batch": "merged"},
        ),
        ([3], {"latent.name": "truncated-normal", "output.log": "50 steps"}),
    ],
    ids=str,
)
def test_wherever_it_stops_a_run_goes_on_bit_for_bit(
    stops: list[int],
    changes: dict[str, Any],
    train_tiny: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plain_plots: None,
) -> None:
    train_tiny(tmp_path / "whole", **changes)
    for i, step in enumerate(stops):
        with monkeypatch.context() as patch:
            stop_after(patch, step)
            folder = tmp_path / "cut"
            result = train_tiny(folder, **changes) if i == 0 else train_tiny(None, resume=folder)
            assert (result.finished, result.steps) == (False, step)
    assert train_tiny(None, resume=folder).finished
    assert_same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("step", [4, 8, 12])
def test_a_run_goes_on_from_any_checkpoint(
    step: int, train_tiny: Train, tmp_path: Path, plain_plots: None
) -> None:
    train_tiny(tmp_path / "whole", **{"output.keep_checkpoints": 9})
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    for sheet in (tmp_path / "again" / "samples").iterdir():
        sheet.unlink() if int(sheet.stem[-4:]) * 4 > step else None
    train_tiny(None, resume=tmp_path / "again" / "checkpoints" / f"step-{step:08d}")
    assert_same(tmp_path / "whole", tmp_path / "again")


def test_a_stop_at_the_last_step_is_no_stop(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_plots: None
) -> None:
    stop_after(monkeypatch, STEPS)
    assert train_tiny(tmp_path / "run").finished


def test_a_finished_run_has_nothing_to_go_on_with(
    train_tiny: Train, tmp_path: Path, plain_plots: None
) -> None:
    train_tiny(tmp_path / "run")
    before = leavings(tmp_path / "run")
    result = train_tiny(None, resume=tmp_path / "run")
    assert (result.finished, result.steps) == (True, STEPS)
    assert leavings(tmp_path / "run") == before


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    train_tiny: Train, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def act(state: Any, scalars: Any) -> None:
        if state.step == 3:
            raise Killed

    with monkeypatch.context() as patch:
        at_step(patch, act)
        with pytest.raises(Killed):
            train_tiny(tmp_path / "run")
    with (tmp_path / "run" / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "ima')  # a line that the kill cut short
    train_tiny(None, resume=tmp_path / "run")
    assert_same(tiny_run, tmp_path / "run")


SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_command_in_order(
    number: int, tiny_run: Path, tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [signal.getsignal(n) for n in SIGNALS]
    stop_after(monkeypatch, 7, number)
    result = cli("train", tiny_run / "config.toml", "--outdir", "run")
    assert (result.code, result.err) == (130, "")
    assert result.out.splitlines()[-1] == (
        "stopped after 112 images, all saved; go on with: ganvas train --resume run"
    )
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {"losses.png", "training.gif", "generator", "checkpoints"}
    assert (tmp_path / "run" / "checkpoints" / "step-00000007").is_dir()
    assert [signal.getsignal(n) for n in SIGNALS] == before


def test_a_second_interrupt_ends_it_at_once(
    tiny_run: Path, tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(state: Any, scalars: Any) -> None:
        if state.step == 6:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    at_step(monkeypatch, act)
    result = cli("train", tiny_run / "config.toml", "--outdir", "run")
    assert result.code == 130 and len(result.err.splitlines()) <= 1
    assert "all saved" not in result.out
    assert not (tmp_path / "run" / "checkpoints" / "step-00000006").exists()
    assert (tmp_path / "run" / "checkpoints" / "step-00000004").is_dir()


def test_changed_settings_are_refused_and_shown(tiny_run: Path, cli: Any, tmp_path: Path) -> None:
    before = leavings(tiny_run)
    result = cli(
        "train", "--resume", tiny_run, "--learning-rate", 0.5, "--set", "output.log=1 step"
    )  # fmt: skip
    assert result.code == 2 and len(result.err.splitlines()) == 1
    for difference in (
        "optim.discriminator.learning_rate: 0.001 -> 0.5",
        "optim.generator.learning_rate: 0.001 -> 0.5",
        "output.log: 2 steps -> 1 step",
    ):
        assert difference in result.err
    assert leavings(tiny_run) == before


def test_another_recipe_is_refused_and_shown(tiny_run: Path, cli: Any) -> None:
    result = cli("train", "genzoo-mnist", "--resume", tiny_run)
    assert result.code == 2 and "model.name: quickstart -> genzoo-mnist" in result.err


def test_another_folder_is_refused(tiny_run: Path, cli: Any, tmp_path: Path) -> None:
    result = cli("train", "--resume", tiny_run, "--outdir", "elsewhere")
    assert result.code == 2 and "--outdir: found 'elsewhere' with --resume" in result.err
    assert not list(tmp_path.iterdir())


def test_changed_data_is_refused(
    train_tiny: Train,
    tiny_npz: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plain_plots: None,
) -> None:
    data = tmp_path / "data.npz"
    shutil.copy(tiny_npz, data)
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        train_tiny(tmp_path / "run", **{"data.path": str(data)})
    images = np.load(tiny_npz)["images"].copy()
    images[3, 3, 3] ^= 1
    np.savez(data, images=images)
    with pytest.raises(UsageError, match="--resume: the images are not those that"):
        train_tiny(None, resume=tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints" / "step-00000012").exists()


def test_a_damaged_checkpoint_that_was_named_is_one_line_and_the_older_one_serves(
    train_tiny: Train, tiny_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    named = tmp_path / "run" / "checkpoints" / "step-00000012"
    newest = named / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.raises(UsageError, match="step-00000012' is damaged.*resume from another one"):
        train_tiny(None, resume=named)
    train_tiny(None, resume=tmp_path / "run" / "checkpoints" / "step-00000008")
    assert_same(tiny_run, tmp_path / "run")


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (".", "neither a run folder nor one of its checkpoints"),
        ("nowhere", "neither a run folder nor one of its checkpoints"),
        ("{run}/checkpoints/step-00000009", "no checkpoint 'step-00000009'; did you mean step-0"),
    ],
)
def test_what_cannot_be_resumed(what: str, expected: str, tiny_run: Path, cli: Any) -> None:
    result = cli("train", "--resume", what.format(run=tiny_run))
    assert result.code == 2 and expected in result.err and len(result.err.splitlines()) == 1


# Things that go wrong on the way


def poison(monkeypatch: pytest.MonkeyPatch, from_step: int) -> None:
    """From this step on G's weights and loss are NaN."""

    def act(state: Any, scalars: Any) -> None:
        if state.step >= from_step:
            for key in scalars:
                scalars[key] = scalars[key] * float("nan")
            with torch.no_grad():
                next(state.players.G.parameters()).fill_(float("nan"))

    at_step(monkeypatch, act)


def test_a_loss_that_is_nan_stops_the_run_and_keeps_the_last_good_checkpoint(
    train_tiny: Train, tiny_run: Path, tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        poison(patch, 7)
        result = cli("train", tiny_run / "config.toml", "--outdir", "run")
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert line.startswith("ganvas: stopped: D/loss and ")
    assert "G/loss not finite at step 7, 112 images" in line
    folder = RunFolder(tmp_path / "run")
    assert [path.name for path in folder.checkpoints()] == ["step-00000004"]
    assert folder.read_log()[-1]["G/loss"] is None
    assert folder.losses.exists() and folder.animation.exists()
    train_tiny(None, resume=tmp_path / "run")
    assert_same(tiny_run, tmp_path / "run")


def test_with_warn_the_run_goes_on_and_the_last_good_state_stays(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_plots: None
) -> None:
    poison(monkeypatch, 7)
    result = train_tiny(tmp_path / "run", **{"watchdog.not_finite": "warn"})
    assert result.finished
    folder = RunFolder(tmp_path / "run")
    assert [line["step"] for line in folder.read_log()] == [2, 4, 6, 7, 8, 10, 12]
    assert [path.name for path in folder.checkpoints()] == ["step-00000004"]
    from ganvas.generator import load

    assert load(tmp_path / "run").images_seen == 64


def test_an_absurd_learning_rate_ends_in_one_line(tiny_run: Path, cli: Any) -> None:
    result = cli("train", tiny_run / "config.toml", "--learning-rate", "1e30", "--outdir", "run")
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert "not finite at" in line and "lower --learning-rate" in line


def test_a_dead_discriminator_and_collapse_are_said(
    tiny_run: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(state: Any, scalars: Any) -> None:
        scalars["D/loss"] = scalars["D/loss"] * 0
        with torch.no_grad():  # G's last layer: one image for all latents
            weights = list(state.players.G.parameters())
            weights[-2].zero_()

    at_step(monkeypatch, act)
    monkeypatch.setattr(watchdog, "EARLY", 0)
    result = cli("train", tiny_run / "config.toml", "--outdir", "run")
    assert result.code == 0
    assert "warning: D's loss has been below 0.0001 for 5 log lines at 160 images" in result.out
    assert "warning: the last 3 sheets show nearly one image, or a few, at 192 images" in result.out


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    train_tiny: Train, tiny_run: Path, tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(state: Any, scalars: Any) -> None:
        def fsync(handle: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        if state.step == 7:
            patch.setattr(os, "fsync", fsync)

    with monkeypatch.context() as patch:
        at_step(patch, act)
        result = cli("train", tiny_run / "config.toml", "--outdir", "run")
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert line.startswith("ganvas: cannot write 'run/") and "the disk is full" in line
    folder = RunFolder(tmp_path / "run")
    assert [path.name for path in folder.checkpoints()] == ["step-00000004"]
    assert not [path for path in folder.path.rglob(".*")], "temporary files are left"
    train_tiny(None, resume=tmp_path / "run")
    assert_same(tiny_run, tmp_path / "run")


def test_nothing_is_written_where_the_input_is_wrong(train_tiny: Train, tmp_path: Path) -> None:
    for changes in (
        {"train.batch_size": 65},
        {"train.device": "cuda:99"},
        {"train.device": "nonsense"},
        {"model.name": "cs231n-dcgan"},
        {"data.path": str(tmp_path / "none.npz")},
        {"train.batch_size": 1},
        {"train.batch_size": 21, "train.drop_last": False},
    ):
        with pytest.raises(UsageError):
            train_tiny(tmp_path / "run", **changes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"update.d_batch": "merged", "train.batch_size": 3},
        {
            "update.d_steps": 2,
            "train.batch_size": 10,
            "train.drop_last": False,
            "preprocess.first": 63,
        },
    ],
    ids=str,
)
def test_a_batch_of_one_for_batch_norm_is_said_before_training(
    changes: dict[str, Any], train_tiny: Train, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="BatchNorm"):
        train_tiny(tmp_path / "run", **changes)
    assert not list(tmp_path.iterdir())


# Killed with no time to say goodbye


def long_run(config_file: Path, target: Path) -> Path:
    """The tiny run's settings, evaluated, with 80 steps and a checkpoint every 5, as a file."""
    text = config_file.read_text()
    for old, new in (
        ('length = "3 epochs"', 'length = "20 epochs"'),
        ('checkpoint = "1 epoch"', 'checkpoint = "5 steps"'),
        ('sample = "1 epoch"', 'sample = "19 steps"'),
        ('log = "2 steps"', 'log = "7 steps"'),
        ("metrics = []", 'metrics = ["fd20"]'),
        ('every = "auto"', 'every = "6 steps"'),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    target.write_text(text)
    return target


def kill_after_first_checkpoint(arguments: list[str], folder: Path, wait: float) -> int:
    """Start `ganvas`, kill -9 it some time after the next checkpoint appears; its exit code."""
    before = {path.name for path in folder.glob("checkpoints/step-*")}
    command = [sys.executable, "-m", "ganvas", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end:
            if {path.name for path in folder.glob("checkpoints/step-*")} - before:
                time.sleep(wait)
                process.kill()
                break
            time.sleep(0.002)
        return process.wait(timeout=60)


def test_a_killed_run_goes_on_bit_for_bit(
    tiny_run: Path, tmp_path: Path, plain_plots: None
) -> None:
    import ganvas

    file = long_run(tiny_run / "config.toml", tmp_path / "long.toml")
    ganvas.train(str(file), outdir=tmp_path / "whole", progress=False)
    arguments = ["train", str(file), "--outdir", str(tmp_path / "cut")]
    code = kill_after_first_checkpoint(arguments, tmp_path / "cut", random.random() * 0.2)
    assert code == -signal.SIGKILL
    result = ganvas.train(resume=tmp_path / "cut", progress=False)
    assert result.finished and result.steps == 80
    assert_same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.slow
def test_a_run_killed_ten_times_goes_on_bit_for_bit(
    tiny_run: Path, tmp_path: Path, plain_plots: None
) -> None:
    import ganvas

    file = long_run(tiny_run / "config.toml", tmp_path / "long.toml")
    file.write_text(file.read_text().replace('"20 epochs"', '"500 epochs"'))
    ganvas.train(str(file), outdir=tmp_path / "whole", progress=False)
    folder = tmp_path / "cut"
    arguments = ["train", str(file), "--outdir", str(folder)]
    for _ in range(10):
        code = kill_after_first_checkpoint(arguments, folder, random.random())
        assert code == -signal.SIGKILL
        arguments = ["train", "--resume", str(folder)]
    assert ganvas.train(resume=folder, progress=False).finished
    assert_same(tmp_path / "whole", folder)
