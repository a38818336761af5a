"""Checkpoints: bit for bit, all or nothing, and one line for every kind of damage."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ganvas import config
from ganvas.batch import Batch
from ganvas.config import Run
from ganvas.errors import RunError, UsageError
from ganvas.training.checkpoint import load_checkpoint, save_checkpoint
from ganvas.training.state import State, new_state

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)


def make_run(model: str = "quickstart", update: str = "alternating", dims: int = 4) -> Run:
    changes = [("model.name", model), ("update.name", update), ("latent.dims", dims)]
    if model == "quickstart":
        changes.append(("model.width", 16))
    return config.build(config.override(config.read_recipe("cs231n-vanilla").tables, changes))


def train(run: Run, state: State, steps: int) -> None:
    """A few steps, with dropout, BatchNorm and moments; the reals follow from the step."""
    for _ in range(steps):
        rng = torch.Generator().manual_seed(state.step)
        real = torch.rand(6, *SHAPE, generator=rng)
        scalars = run.update.step(state.players, run.loss, run.penalty, Batch(real))
        state.step += 1
        state.accumulate(scalars)
        state.summed += 1


@pytest.fixture
def trained() -> tuple[Run, State]:
    run = make_run()
    state = new_state(run, SHAPE, CPU)
    train(run, state, 3)
    state.seconds, state.logged_seconds = 1.2345678901234567, 0.1
    state.memory.update({"dead_lines": 2, "G/loss": 1 / 3})
    return run, state


def everything(state: State) -> dict[str, Any]:
    """All that a state holds, as plain values that can be compared."""
    found: dict[str, Any] = {
        f"{name}.{key}": value.tolist()
        for name, net in (("G", state.players.G), ("D", state.players.D))
        for key, value in net.state_dict().items()
    }
    for name, optimizer in state.players.optimizers.items():
        for index, moments in optimizer.moments.items():
            found |= {f"{name}.{index}.{key}": value.tolist() for key, value in moments.items()}
    found["sums"] = {key: value.item() for key, value in state.sums.items()}
    found["counters"] = (state.step, state.seconds, state.logged_seconds, state.summed)
    found["memory"] = dict(state.memory)
    found["latents"] = state.players.stream.get_state().tolist()
    found["rng"] = torch.get_rng_state().tolist()
    return found


@pytest.mark.slow_after(3)
@pytest.mark.parametrize("update", ["alternating", "simultaneous", "controller"])
@pytest.mark.parametrize("model", ["quickstart", "mnist-classes"])
def test_a_checkpoint_brings_everything_back_bit_for_bit(
    model: str, update: str, tmp_path: Path
) -> None:
    run = make_run(model, update)
    state = new_state(run, SHAPE, CPU)
    train(run, state, 3)
    state.seconds, state.logged_seconds = 1.2345678901234567, 0.1
    save_checkpoint(state, tmp_path / "step-3")
    expected = everything(state)
    train(run, state, 2)
    expected_later = everything(state)

    other = new_state(run, SHAPE, CPU)
    train(run, other, 1)  # so that nothing is as it should be by chance
    torch.manual_seed(99)
    load_checkpoint(other, tmp_path / "step-3")
    assert everything(other) == expected
    train(run, other, 2)
    assert everything(other) == expected_later
    assert {
        key: len(o.moments) > 0 for key, o in other.players.optimizers.items()
    } == dict.fromkeys(run.update.optimizers, True)


def test_saving_changes_nothing(trained: tuple[Run, State], tmp_path: Path) -> None:
    before = everything(trained[1])
    save_checkpoint(trained[1], tmp_path / "step-3")
    assert everything(trained[1]) == before


def test_the_seed_decides_the_first_state() -> None:
    run = make_run()
    assert everything(new_state(run, SHAPE, CPU)) == everything(new_state(run, SHAPE, CPU))
    tables = config.override(config.to_tables(run), [("seed", 1)])
    other = everything(new_state(config.build(tables), SHAPE, CPU))
    one = everything(new_state(run, SHAPE, CPU))
    assert one["G.0.weight"] != other["G.0.weight"] and one["latents"] != other["latents"]


def test_a_checkpoint_holds_two_files_and_leaves_nothing_beside_it(
    trained: tuple[Run, State], tmp_path: Path
) -> None:
    save_checkpoint(trained[1], tmp_path / "step-3")
    save_checkpoint(trained[1], tmp_path / "step-3")  # over an old one
    assert [path.name for path in tmp_path.iterdir()] == ["step-3"]
    assert {p.name for p in (tmp_path / "step-3").iterdir()} == {"state.json", "state.safetensors"}


@pytest.mark.parametrize("update", ["alternating", "simultaneous", "controller"])
def test_moments_come_back_in_their_parameters_layout(update: str, tmp_path: Path) -> None:
    """Fused Adam misplaces those that lie in memory in another order."""
    run = make_run("mnist-classes", update)
    state = new_state(run, SHAPE, CPU)
    train(run, state, 1)
    save_checkpoint(state, tmp_path / "step-1")
    load_checkpoint(state, tmp_path / "step-1")
    for optimizer in state.players.optimizers.values():
        assert optimizer.moments
        for place, moments in optimizer.moments.items():
            for key in ("exp_avg", "exp_avg_sq"):
                assert moments[key].stride() == optimizer.parameters[place].stride()


# Damage


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(bytes(content))


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        counters = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({k: v for k, v in counters.items() if v is not None}))

    return change


@pytest.mark.parametrize(
    ("name", "damage", "expected"),
    [
        ("state.safetensors", truncate, "damaged.*SHA-256"),
        ("state.safetensors", flip_a_bit, "damaged.*SHA-256"),
        ("state.safetensors", Path.unlink, "cannot be read"),
        ("state.json", Path.unlink, "cannot be read"),
        ("state.json", truncate, "cannot be read"),
        ("state.json", lambda f: f.write_bytes(b"\xff\xfe"), "cannot be read"),
        ("state.json", lambda f: f.write_text("[]"), "cannot be read"),
        ("state.json", edit(sha256="0" * 64), "damaged"),
        ("state.json", edit(sha256=None), "cannot be read"),
        ("state.json", edit(format=99), "format 99"),
        ("state.json", edit(format=None), "has format None"),
        ("state.json", edit(step=None), "does not fit"),
    ],
)
def test_damage_is_one_line(
    name: str,
    damage: Callable[[Path], None],
    expected: str,
    trained: tuple[Run, State],
    tmp_path: Path,
) -> None:
    save_checkpoint(trained[1], tmp_path / "step-3")
    damage(tmp_path / "step-3" / name)
    with pytest.raises(UsageError, match=f"checkpoint '.*step-3'.*({expected})") as error:
        load_checkpoint(new_state(trained[0], SHAPE, CPU), tmp_path / "step-3")
    assert "\n" not in str(error.value)


def test_a_missing_checkpoint_is_one_line(trained: tuple[Run, State], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(trained[1], tmp_path / "none")


@pytest.mark.parametrize(
    "other",
    [
        (make_run("cs231n-dense"), SHAPE),
        (make_run(dims=5), SHAPE),
        (make_run(), (1, 12, 8)),
        (make_run(), (3, 8, 8)),
        (make_run(update="controller"), SHAPE),
    ],
    ids=["model", "dims", "size", "channels", "update"],
)
def test_a_checkpoint_of_another_run_is_refused(
    other: tuple[Run, tuple[int, int, int]], trained: tuple[Run, State], tmp_path: Path
) -> None:
    save_checkpoint(trained[1], tmp_path / "step-3")
    with pytest.raises(UsageError, match="does not fit this run") as error:
        load_checkpoint(new_state(other[0], other[1], CPU), tmp_path / "step-3")
    assert "\n" not in str(error.value)


def test_a_pickle_in_its_place_is_refused(trained: tuple[Run, State], tmp_path: Path) -> None:
    import hashlib

    folder = tmp_path / "step-3"
    save_checkpoint(trained[1], folder)
    torch.save({"a": torch.zeros(1)}, folder / "state.safetensors")
    digest = hashlib.sha256((folder / "state.safetensors").read_bytes()).hexdigest()
    edit(sha256=digest)(folder / "state.json")
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(trained[1], folder)


def test_moments_of_another_size_are_refused(trained: tuple[Run, State], tmp_path: Path) -> None:
    import hashlib

    folder = tmp_path / "step-3"
    save_checkpoint(trained[1], folder)
    tensors = load_file(folder / "state.safetensors")
    tensors["optimizer.G.0.exp_avg"] = torch.zeros(3)
    save_file(tensors, folder / "state.safetensors")
    digest = hashlib.sha256((folder / "state.safetensors").read_bytes()).hexdigest()
    edit(sha256=digest)(folder / "state.json")
    with pytest.raises(UsageError, match="does not fit this run"):
        load_checkpoint(new_state(trained[0], SHAPE, CPU), folder)


# A write that fails midway


def fail_at(monkeypatch: pytest.MonkeyPatch, function: str, call: int, code: int) -> None:
    """The `call`-th call of os.`function` from now on fails."""
    original, calls = getattr(os, function), iter(range(1, 100))

    def failing(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise OSError(code, os.strerror(code))
        return original(*arguments, **options)

    monkeypatch.setattr(os, function, failing)


@pytest.mark.parametrize(
    ("function", "call"),
    [("fsync", 1), ("replace", 1), ("fsync", 3), ("replace", 2), ("replace", 3), ("chmod", 1)],
)
@pytest.mark.parametrize(
    ("code", "reason"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "not writable")]
)
def test_a_failed_write_leaves_the_older_checkpoint_and_nothing_else(
    function: str,
    call: int,
    code: int,
    reason: str,
    trained: tuple[Run, State],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, state = trained
    save_checkpoint(state, tmp_path / "step-3")
    expected = everything(state)
    train(run, state, 1)
    with monkeypatch.context() as patch:
        fail_at(patch, function, call, code)
        with pytest.raises(RunError, match=f"cannot write .*{reason}") as error:
            save_checkpoint(state, tmp_path / "step-4")
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-3"]
    again = new_state(run, SHAPE, CPU)
    load_checkpoint(again, tmp_path / "step-3")
    assert everything(again) == expected


def test_what_a_crash_left_aside_does_no_harm(trained: tuple[Run, State], tmp_path: Path) -> None:
    aside = tmp_path / f".step-3.{os.getpid()}"
    aside.mkdir()
    (aside / "state.json").write_text("{")
    save_checkpoint(trained[1], tmp_path / "step-3")
    load_checkpoint(trained[1], tmp_path / "step-3")
    assert not aside.exists()
    shutil.rmtree(tmp_path / "step-3")
