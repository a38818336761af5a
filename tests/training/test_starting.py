"""`ganvas train --from RUN`: a new run that begins with the weights of another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import ganvas
from ganvas import compact
from ganvas.classes import Classes
from ganvas.errors import UsageError
from ganvas.models.modern import Modern
from ganvas.rundir import RunFolder
from ganvas.training.starting import start_from

Train = Callable[..., Any]
SETTINGS: dict[str, Any] = {
    "model.name": "modern",
    "model.width": 2,
    "model.dense": 8,
    "model.labels": "on",
    "latent.name": "normal",
    "latent.dims": 4,
    "ema.half_life": 50.0,
    "train.batch_size": 16,
    "train.device": "cpu",
    "output.grid": [2, 3],
    "evaluate.metrics": "none",
}


def begun(folder: Path, data: Path, **options: Any) -> RunFolder:
    changes = options.pop("settings", {})
    options = {"epochs": 1, "progress": False} | options
    ganvas.train("cs231n-vanilla", data=data, settings=SETTINGS | changes, outdir=folder, **options)
    return RunFolder(folder)


def state(folder: RunFolder, step: int) -> dict[str, torch.Tensor]:
    return load_file(folder.checkpoint(step) / "state.safetensors")


def pictures(path: Path, labels: Any, side: int = 8) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (48, side, side), dtype=np.uint8)
    np.savez(path, images=images, labels=labels)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Of three classes, 4, 5 and 6."""
    folder = tmp_path_factory.mktemp("source")
    return begun(folder / "run", pictures(folder / "set.npz", np.arange(48) % 3 + 4))


def test_all_of_it_where_all_fits(source: RunFolder, tmp_path: Path) -> None:
    data = pictures(tmp_path / "set.npz", np.arange(48) % 3 + 4)
    run = begun(tmp_path / "run", data, begin_with=source.path, seed=5)
    there, here = state(source, 3), state(run, 0)
    nets = [key for key in there if key.partition(".")[0] in ("G", "D", "average")]
    assert nets and [key for key in nets if not torch.equal(there[key], here[key])] == []
    assert not any(key.startswith("optimizer") for key in here)
    assert run.read_environment()["begun_with"] == str(source.path)
    assert run.judged_status().step == 3  # type: ignore[union-attr]


def test_a_kill_before_the_first_checkpoint_loses_nothing(
    source: RunFolder, tmp_path: Path
) -> None:
    data = pictures(tmp_path / "set.npz", np.arange(48) % 3 + 4)
    run = begun(tmp_path / "run", data, begin_with=source.path)
    whole = state(run, 3)
    ganvas.train(resume=run.checkpoint(0), progress=False)
    again = state(run, 3)
    assert [key for key in whole if not torch.equal(whole[key], again[key])] == []


def test_classes_go_by_their_names(source: RunFolder, tmp_path: Path, cli: Any) -> None:
    """5 and 6 are known; 4 is not wanted, 7 and 8 are new."""
    data = pictures(tmp_path / "set.npz", np.arange(48) % 4 + 5)
    settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    done = cli("train", "cs231n-vanilla", "--data", data, *settings, "--epochs", 1,
               "--from", source.path, "--outdir", "run")  # fmt: skip
    assert done.code == 0, done.err
    assert f"begins with the weights of '{source.path}' (48 images):" in done.out
    assert "G.classes                taken over: 2 of 4 classes (5, 6)" in done.out
    assert "D.classes                taken over: 2 of 4 classes (5, 6)" in done.out
    assert "G.net.0                  taken over\n" in done.out
    there, here = state(source, 3), state(RunFolder(tmp_path / "run"), 0)
    for net in ("G", "D"):
        key = f"{net}.classes.weight"
        assert torch.equal(here[key][:2], there[key][1:]) and len(here[key]) == 4


def test_at_another_size_what_fits_is_taken(source: RunFolder, tmp_path: Path) -> None:
    """16x16: the dense layers at the small end of G, whose latents are as long, stay."""
    model = Modern(width=2, dense=8, labels="on")
    run = begun(tmp_path / "run", pictures(tmp_path / "set.npz", np.arange(48) % 3 + 4, side=16))
    from ganvas import config
    from ganvas.training.state import new_state

    settled = config.load(run.config)
    fresh = new_state(settled, (1, 16, 16), torch.device("cpu"), 3)
    lines = start_from(source.path, model, fresh, Classes(("4", "5", "6")))
    text = "\n".join(lines)
    assert "G.net.0                  taken over" in text
    assert "G.net.3                  new: weight is [" in text
    there = state(source, 3)
    assert torch.equal(fresh.players.G.state_dict()["net.0.weight"], there["G.net.0.weight"])
    assert fresh.average is not None
    averaged = fresh.average.net.state_dict()["net.0.weight"]
    assert torch.equal(averaged, there["average.net.0.weight"])


def test_a_saved_generator_has_no_d(source: RunFolder, tmp_path: Path) -> None:
    data = pictures(tmp_path / "set.npz", np.arange(48) % 3 + 4)
    run = begun(tmp_path / "run", data, begin_with=source.generator)
    saved = load_file(source.generator / "model.safetensors")
    here = state(run, 0)
    assert torch.equal(here["G.net.0.weight"], saved["net.0.weight"])
    assert not torch.equal(here["D.features.0.weight"], state(source, 3)["D.features.0.weight"])


def test_packed_weights_are_unpacked(source: RunFolder, tmp_path: Path) -> None:
    """Generators of the package have 8 bits a weight; whoever begins with one has its weights."""
    packed = shutil.copytree(source.generator, tmp_path / "packed")
    net = ganvas.load(packed).net
    save_file(compact.pack(net, "int8"), packed / "model.safetensors", {compact.FORM: "int8"})
    data = pictures(tmp_path / "set.npz", np.arange(48) % 3 + 4)
    here = state(begun(tmp_path / "run", data, begin_with=packed), 0)
    expected = ganvas.load(packed).net.state_dict()["net.0.weight"]
    assert torch.equal(here["G.net.0.weight"], expected)
    assert not torch.equal(expected, net.state_dict()["net.0.weight"])


def test_what_cannot_be_is_one_line(source: RunFolder, tmp_path: Path, cli: Any) -> None:
    data = pictures(tmp_path / "set.npz", np.arange(48) % 3 + 4)
    quickstart = ["train", "quickstart", "--from", source.path, "--outdir", tmp_path / "x"]
    for more in ([], ["--dry-run"]):
        done = cli(*quickstart, *more)
        assert done.code == 2
        assert "is of model 'modern'; allowed: one of 'quickstart'" in done.err
    assert not (tmp_path / "x" / "config.toml").exists()
    done = cli("train", "--resume", source.path, "--from", source.path)
    assert done.code == 2 and "--from: found with --resume" in done.err
    with pytest.raises(UsageError, match="'nowhere' does not exist"):
        begun(tmp_path / "y", data, begin_with="nowhere")
    other = {"model.width": 3, "model.dense": 9, "model.embedding": 5}
    with pytest.raises(UsageError, match="--from: nothing of .* fits"):
        begun(tmp_path / "z", data, begin_with=source.path, settings=other)
