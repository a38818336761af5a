"""What a kill, a second Ctrl-C or damage leaves of a run, and what resuming makes of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ganvas import files, generator
from ganvas.errors import RunError, UsageError
from ganvas.generator import load
from ganvas.rundir import RunFolder
from ganvas.training import records, session
from ganvas.training.state import State

Train = Callable[..., Any]
SETTINGS = {
    "output.checkpoint": "1 epoch",
    "output.keep_checkpoints": 3,
    "evaluate.metrics": "kd32",
    "evaluate.every": "1 epoch",
}
NAMES = ("README.md", "config.json", "model.safetensors")


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, train_tiny: Train) -> Path:
    """A run of three epochs, each with a checkpoint and an evaluation."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train_tiny(folder, **SETTINGS)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(whole, tmp_path / "copied"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def best_step(folder: Path) -> int:
    return load(folder / "best").images_seen // 16


# Generators


def with_older_weights(folder: RunFolder, which: Path) -> None:
    """As a kill between a checkpoint and the end of its generator leaves it."""
    content = (which / "model.safetensors").read_bytes()
    at = content.index(b'"images_seen":"') + len(b'"images_seen":"')
    (which / "model.safetensors").write_bytes(content[:at] + b"3" + content[at + 1 :])


def without(name: str) -> Callable[[RunFolder, Path], None]:
    return lambda folder, which: (which / name).unlink()


def with_text(name: str, text: str) -> Callable[[RunFolder, Path], None]:
    return lambda folder, which: (which / name).write_text(text) and None


DAMAGES: dict[str, Callable[[RunFolder, Path], None]] = {
    "none at all": lambda folder, which: shutil.rmtree(which),
    "older weights": with_older_weights,
    "no weights": without("model.safetensors"),
    "no card": without("README.md"),
    "a card of other weights": with_text("README.md", "64 images"),
    "no config": without("config.json"),
    "half a config": with_text("config.json", "{"),
}


@pytest.mark.slow_after(4)
@pytest.mark.parametrize("which", ["generator", "best"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_finished_run_that_is_resumed_has_the_generators_of_its_state(
    damage: str, which: str, whole: Path, copied: RunFolder, train_tiny: Train
) -> None:
    DAMAGES[damage](copied, copied.path / which)
    assert train_tiny(None, resume=copied.path).finished
    for folder in ("generator", "best"):
        assert contents(copied.path / folder) == contents(whole / folder)


def test_resuming_rewrites_no_generator_that_is_as_it_should_be(
    copied: RunFolder, train_tiny: Train
) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.generator.iterdir()}
    train_tiny(None, resume=copied.path)
    assert before == {path: path.stat().st_mtime_ns for path in copied.generator.iterdir()}


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_kill_leaves_no_card_of_other_weights(
    call: int,
    whole: Path,
    train_tiny: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kills at each file of the second epoch's generator."""
    calls = 0

    def write(path: Path, content: bytes) -> None:
        nonlocal calls
        if path.parent.name == "generator":
            calls += 1
            if calls == 3 + call:
                raise Killed
        files.write_file(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(generator, "write_file", write)
        with pytest.raises(Killed):
            train_tiny(tmp_path / "run", **SETTINGS)
    card = tmp_path / "run" / "generator" / "README.md"
    assert not card.exists()
    assert train_tiny(None, resume=tmp_path / "run").finished
    assert contents(card.parent) == contents(whole / "generator")


# Checkpoints


def spoil(checkpoint: Path) -> None:
    weights = checkpoint / "state.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


@pytest.mark.parametrize("spoilt", [1, 2])
def test_resuming_falls_back_to_the_newest_checkpoint_that_loads_and_says_so(
    spoilt: int, whole: Path, copied: RunFolder, cli: Any
) -> None:
    for checkpoint in copied.checkpoints()[-spoilt:]:
        spoil(checkpoint)
    good = copied.checkpoints()[-spoilt - 1].name
    result = cli("train", "--resume", copied.path)
    assert result.code == 0, result.err
    said = [line for line in result.out.splitlines() if "is damaged" in line]
    assert len(said) == spoilt
    assert "step-00000012' is damaged: its SHA-256 is not the recorded one" in said[0]
    assert f"set aside as 'step-00000012.damaged', and the run goes on from '{good}'" in said[0]
    names = {path.name for path in (copied.path / "checkpoints").iterdir()}
    assert {"step-00000012", "step-00000012.damaged"} <= names
    assert contents(copied.generator) == contents(whole / "generator")
    steps = [json.loads(line)["step"] for line in copied.log.read_text().splitlines()]
    assert steps == [2, 4, 6, 8, 10, 12]
    again = cli("train", "--resume", copied.path)
    assert again.code == 0 and "damaged" not in again.out


def test_without_a_checkpoint_that_loads_nothing_is_done(copied: RunFolder, cli: Any) -> None:
    for checkpoint in copied.checkpoints():
        spoil(checkpoint)
    before = {path: path.stat().st_mtime_ns for path in copied.path.rglob("*")}
    result = cli("train", "--resume", copied.path)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert "none of the 3 checkpoints in" in line and "SHA-256" in line and "start a new" in line
    after = {path: path.stat().st_mtime_ns for path in copied.path.rglob("*")}
    assert {p: t for p, t in before.items() if p.is_file()} == {
        p: t for p, t in after.items() if p.is_file()
    }


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(
    "values",
    [
        {"step": -1},
        {"step": 1.5},
        {"step": True},
        {"step": "12"},
        {"step": None},
        {"seconds": "1"},
        {"seconds": -1},
        {"seconds": float("inf")},
        {"logged_seconds": None},
        {"evaluation_seconds": []},
        {"summed": 2.5},
        {"memory": []},
        {"memory": {"dead_lines": "2"}},
    ],
    ids=str,
)
def test_odd_values_in_a_checkpoint_are_damage(
    values: dict[str, Any], whole: Path, copied: RunFolder, train_tiny: Train
) -> None:
    file = copied.checkpoints()[-1] / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    assert train_tiny(None, resume=copied.path).finished
    assert contents(copied.generator) == contents(whole / "generator")


def test_a_state_json_nested_deeply_is_damage(copied: RunFolder, train_tiny: Train) -> None:
    (copied.checkpoints()[-1] / "state.json").write_text("[" * 100_000)
    assert train_tiny(None, resume=copied.path).finished


def at_step(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    original = State.accumulate

    def accumulate(state: Any, scalars: Any) -> None:
        act(state.step + 1)
        original(state, scalars)

    monkeypatch.setattr(State, "accumulate", accumulate)


def test_a_step_is_saved_once(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal at a step that is due for a checkpoint; and one before the first step after it."""
    saved: list[str] = []

    def save(state: Any, folder: Path) -> None:
        saved.append(folder.name)
        original(state, folder)

    original = records.save_checkpoint
    monkeypatch.setattr(records, "save_checkpoint", save)
    with monkeypatch.context() as patch:
        at_step(patch, lambda step: signal.raise_signal(signal.SIGTERM) if step == 8 else None)
        assert not train_tiny(tmp_path / "run", **SETTINGS).finished
    assert saved == ["step-00000004", "step-00000008"]
    assert train_tiny(None, resume=tmp_path / "run").finished
    assert saved == ["step-00000004", "step-00000008", "step-00000012"]


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(
    ("function", "call"),
    [("replace", call) for call in (1, 2, 3, 4, 5, 7)] + [("fsync", call) for call in (1, 3, 5)],
)
def test_a_second_interrupt_while_a_checkpoint_is_replaced_loses_no_more_than_that_one(
    function: str,
    call: int,
    whole: Path,
    copied: RunFolder,
    train_tiny: Train,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes at a call of the file system from the checkpoint of step 8 on."""
    original, save = getattr(os, function), records.save_checkpoint
    calls = 0

    def interrupted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    with monkeypatch.context() as patch:

        def first_save(state: Any, target: Path) -> None:
            patch.setattr(records, "save_checkpoint", save)
            patch.setattr(os, function, interrupted)
            save(state, target)

        patch.setattr(records, "save_checkpoint", first_save)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(None, resume=copied.checkpoints()[0])
    status = copied.read_status()
    assert status and (status.state, status.reason) == ("failed", "interrupted a second time")
    assert train_tiny(None, resume=copied.path).finished
    assert contents(copied.generator) == contents(whole / "generator")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40), None])
def test_a_broken_sheet_or_log_line_does_not_end_a_run_that_is_done(
    content: bytes | None, copied: RunFolder, cli: Any
) -> None:
    sheet = copied.samples()[0]
    if content is None:
        with Image.open(sheet) as picture:
            picture.resize((50, 30)).save(sheet)
    else:
        sheet.write_bytes(content)
    with copied.log.open("a") as file:
        file.write('{"step": 12, "images": null}\n{"step": 12}\n')
    result = cli("train", "--resume", copied.path)
    assert (result.code, result.err) == (0, "")
    assert f"1 of the sheets cannot be read, such as '{sheet}'" in " ".join(result.out.split())
    with Image.open(copied.animation) as gif:
        assert gif.n_frames == 2


# How it ended


def test_a_run_that_fails_before_its_first_step_says_so(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise RunError("cannot write 'reals.png': the disk is full; free some space")

    monkeypatch.setattr(session, "write_png", full)
    with pytest.raises(RunError):
        train_tiny(tmp_path / "run")
    status = RunFolder(tmp_path / "run").read_status()
    assert status and (status.state, status.step) == ("failed", 0)
    assert status.reason == "cannot write 'reals.png': the disk is full; free some space"


def test_a_refusal_changes_nothing_in_the_status_of_the_run_there(
    copied: RunFolder, train_tiny: Train
) -> None:
    before = copied.status.read_bytes()
    with pytest.raises(UsageError, match="holds a run already"):
        train_tiny(copied.path)
    assert copied.status.read_bytes() == before


@pytest.mark.parametrize("function", ["load_images", "new_state", "Store"])
def test_memory_that_is_not_there_before_the_first_step_is_one_line(
    function: str, tiny_run: Path, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 40000000000 bytes.\nframe #0: c10::ThrowEnforceNotMet"
        )

    monkeypatch.setattr(session, function, fail)
    result = cli("train", tiny_run / "config.toml", "--outdir", "run")
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert line.startswith("ganvas: out of memory: ") and "frame #0" not in line
    assert "lower --batch-size, which is 16" in line and "--image-size" in line
    assert not (tmp_path / "run").exists()
