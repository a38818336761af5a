"""Run folders as a training leaves them, made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from reproduction.folder import Folder
from reproduction.plan import Planned
from safetensors.numpy import save_file

SHORT = Planned("cs231n-lsgan", 0, 100, 1, "pytorch", settings=("output.log=1 step",))
LONG = Planned("genzoo-cifar10", 0, 1000, 50, "tensorflow", enough=100)
Make = Callable[..., Folder]

FD = {
    "metric": "fd10k",
    "values": {"distance": 12.25},
    "intervals": {"distance": [12.0, 12.5]},
    "floor": {"distance": 0.5},
    "num_fake": 10_000,
    "split": "test",
    "data": "mnist",
    "fingerprint": "f",
    "extractor": "classifier-mnist",
    "extractor_accuracy": 0.9974,
    "resize": "none",
    "picture": "",
}


def make_run(
    parent: Path,
    planned: Planned = SHORT,
    steps: int = 100,
    shown: int | None = None,
    rows: list[dict[str, Any]] | None = None,
) -> Folder:
    """A run that got so far, in batches of 10; its generator had been `shown` so many images."""
    path = parent / planned.name
    path.mkdir()
    (path / "config.toml").write_text(
        '[data]\nname = "mnist"\n[train]\nbatch_size = 10\ndrop_last = true\n'
        'order = "shuffled"\n[output]\ngrid = [2, 3]\n'
    )
    environment = {
        "versions": {"torch": "2.13.0", "ganvas": "0.1.0"},
        "source_sha256": "0123456789",
        "processor": "a processor",
        "cpu_capability": "AVX2",
        "threads": 1,
        "device": "cpu",
        "precision": "float32",
        "data": {"images": 200, "shape": [1, 8, 8]},
    }
    (path / "env.json").write_text(json.dumps(environment))
    lines = [
        {
            "step": step,
            "images": 10 * step,
            "seconds": step / 2,
            "images_per_second": 20.0,
            "D/loss": float(step),
            "G/loss": 2.0 * step,
        }
        for step in range(1, steps + 1)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (path / "log.jsonl").write_text(text + '{"step": 10')  # the last one cut short by a kill
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows or []))
    save_generator(path / "generator", 10 * steps if shown is None else shown)
    return Folder(planned, path)


def save_generator(path: Path, shown: int) -> None:
    path.mkdir()
    weights = {"w": np.zeros(3, np.float32)}
    save_file(weights, path / "model.safetensors", {"images_seen": str(shown)})
