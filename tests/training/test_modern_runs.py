"""A run with everything on: labels, penalty, average, ramps, augmentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ganvas
from ganvas.errors import UsageError

ON: dict[str, Any] = {
    "model.name": "modern",
    "model.width": 4,
    "model.dense": 8,
    "model.labels": "on",
    "latent.name": "normal",
    "latent.dims": 4,
    "loss.name": "relativistic",
    "penalty.name": "r1-r2",
    "penalty.weight": "1 to 0.1 over 50 %",
    "augment.name": "adaptive",
    "augment.target": 0.001,
    "augment.span": 2000,
    "ema.half_life": 100.0,
    "optim.generator.learning_rate": "1e-3 to 0 over 50 %",
    "optim.generator.beta_2": "0.9 to 0.99 cosine over 20 %",
    "train.batch_size": 12,
    "train.length": "3 epochs",
    "train.device": "cpu",
    "output.log": "1 step",
    "output.grid": [3, 4],
    "output.keep_checkpoints": 3,
    "evaluate.metrics": "fd10",
    "evaluate.features": "pixels",
    "evaluate.every": "1 epoch",
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 random images of 9x13 in three classes."""
    path = tmp_path_factory.mktemp("data") / "labelled.npz"
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (48, 9, 13), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(48) % 3)
    return path


@pytest.fixture(scope="module")
def run(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    ganvas.train("cs231n-vanilla", data=labelled, settings=ON, outdir=folder, progress=False)
    return folder


def newest(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(max((folder / "checkpoints").iterdir()) / "state.safetensors")


def test_it_ends_finite_and_logs_what_it_did(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    for key in ("D/loss", "G/loss", "D/penalty", "D/augmentation"):
        assert all(np.isfinite(line[key]) for line in lines), key
    assert all(0 <= line["D/augmentation"] <= 1 for line in lines)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 3 and all(np.isfinite(row["values"]["distance"]) for row in rows)


def test_a_learning_rate_of_0_stops_g(run: Path) -> None:
    """Half of 12 steps are six: from the checkpoint at 8 to that at 12 nothing moves."""
    states = [
        load_file(path / "state.safetensors")["G.net.0.weight"]
        for path in sorted((run / "checkpoints").iterdir())
    ]
    assert len(states) == 3
    assert not torch.equal(states[0], states[1]) and torch.equal(states[1], states[2])


def test_it_goes_on_to_the_bit(run: Path) -> None:
    whole = newest(run)
    ganvas.train(resume=min((run / "checkpoints").iterdir()), progress=False)
    again = newest(run)
    assert set(whole) == set(again)
    assert [key for key in whole if not torch.equal(whole[key], again[key])] == []


def test_its_generator_makes_the_class_that_is_asked_for(run: Path) -> None:
    generator = ganvas.load(run)
    assert generator.classes == ("0", "1", "2")
    same, other = generator.sample(2, labels=[0, 0]), generator.sample(2, labels=[1, 1])
    assert same.shape == (2, 1, 9, 13) and not np.array_equal(same, other)


def test_show_counts_the_layers_of_labelled_nets(run: Path) -> None:
    found = ganvas.show(str(run / "config.toml"))
    assert any(row["layer"].startswith("ClassEmbedding") for row in found["generator"]["layers"])


def test_labels_that_are_not_there_are_one_line(tiny_npz: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="model.labels: found 'on', and the images have none"):
        ganvas.train(
            "cs231n-vanilla", data=tiny_npz, settings=ON, outdir=tmp_path / "x", progress=False
        )
    without = ON | {"model.labels": "off"}
    ganvas.train(
        "cs231n-vanilla", data=tiny_npz, settings=without, outdir=tmp_path / "y", progress=False
    )
