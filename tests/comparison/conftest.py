"""Real run folders to compare, and rows to put into them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Measure = Callable[..., None]


@pytest.fixture(scope="session")
def six_runs(tmp_path_factory: pytest.TempPathFactory, train_tiny: Callable[..., Any]) -> Path:
    """Three seeds with each of two losses; the second and third seeds are copies of the first."""
    runs = tmp_path_factory.mktemp("six")
    for name, loss in (("bce", "non-saturating"), ("ls", "least-squares")):
        trained = runs / f"{name}-0"
        train_tiny(trained, **{"loss.name": loss, "output.checkpoint": "3 epochs"})
        for seed in (1, 2):
            copy = shutil.copytree(trained, runs / f"{name}-{seed}")
            config = (copy / "config.toml").read_text(encoding="utf-8")
            assert "seed = 0\n" in config
            config = config.replace("seed = 0\n", f"seed = {seed}\n")
            (copy / "config.toml").write_text(config, encoding="utf-8")
    return runs


@pytest.fixture
def runs(six_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The six runs, to be changed, as `runs` in the folder in which the test is."""
    shutil.copytree(six_runs, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return Path("runs")


@pytest.fixture
def measure() -> Measure:
    """measure(run, 1.5, 2.5, images=96) adds rows of fd1k to a run; `changes` are other fields."""

    def add(run: Path, *distances: float, images: int = 192, **changes: Any) -> None:
        row = {
            "metric": "fd1k",
            "intervals": {},
            "floor": {"distance": 0.1},
            "reason": "",
            "settings": {"frechet": {"groups": 10}},
            "num_fake": 1000,
            "num_reference": 1000,
            "data": "mnist",
            "split": "test",
            "fingerprint": "ab" * 32,
            "extractor": "classifier-mnist",
            "extractor_sha256": "cd" * 32,
            "extractor_accuracy": 0.99,
            "note": "",
            "resize": "none",
            "seed": 0,
            "recipe": "tiny",
            "images": images,
            "step": images // 16,
            "picture": "",
        }
        with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
            for distance in distances:
                values = {"values": {"distance": distance}}
                file.write(json.dumps(row | values | changes) + "\n")

    return add
