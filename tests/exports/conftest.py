"""Generators of every kind of net as they begin, with BatchNorm statistics of their own."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganvas import config
from ganvas.batch import Latents
from ganvas.classes import Classes
from ganvas.drawing import generate
from ganvas.generator import save_generator, snapshot
from ganvas.protocols import build_generator
from ganvas.verbs.show import size_of_data

NETS = ("quickstart", "modelzoo-vanilla", "cs231n-lsgan", "cs231n-dcgan", "mnist-classes",
        "firstgan-vanilla-mnist", "firstgan-dcgan-mnist", "genzoo-mnist", "genzoo-cifar10",
        "genzoo-mnist-rewrite", "modern", "modern-classes")  # fmt: skip
OTHERS = {
    "modern-classes": (
        (3, 13, 18),  # not halves of whole numbers, so that maps are cut
        {"name": "modern", "width": 4, "dense": 32, "depth": 1, "labels": "on"},
        ("left", "right <b>", "middle"),
    ),
}
"""Nets that no recipe has: shape, model, classes."""


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ganvas.files.os.fsync", full)


@pytest.fixture
def nets() -> tuple[str, ...]:
    return NETS


@pytest.fixture(params=NETS)
def recipe(request: pytest.FixtureRequest) -> str:
    """A recipe of each net, and one with classes; the other recipes have the same nets."""
    name: str = request.param
    return name


def described(name: str) -> tuple[Any, tuple[int, int, int], tuple[str, ...]]:
    """Run, shape and classes of one of `NETS`."""
    if name not in OTHERS:
        run = config.build(config.read_recipe(name).tables)
        return run, size_of_data(run, None)[1], ()
    shape, model, classes = OTHERS[name]
    tables = config.read_recipe("quickstart").tables
    return config.build(tables | {"recipe": name, "model": model}), shape, classes


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """untrained("genzoo-mnist"): the folder of a saved generator; tests only read it."""
    root = tmp_path_factory.mktemp("untrained")

    def saved(recipe: str) -> Path:
        folder = root / recipe
        if not folder.exists():
            run, shape, classes = described(recipe)
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(0)
                net = build_generator(run.model, shape, run.latent.dims, len(classes)).train()
                if classes:
                    net.classes.weight.normal_()  # so that the classes differ
                for _ in range(3):
                    labels = torch.arange(16) % len(classes) if classes else None
                    z = run.latent.sample(16, torch.default_generator)
                    generate(net, Latents(z, labels))
                save_generator(folder, run, snapshot(run, net, shape, 0, Classes(classes)))
        return folder

    return saved
