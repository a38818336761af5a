"""Generators of every kind of net as they begin, with BatchNorm statistics of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganvas import config
from ganvas.generator import save_generator, snapshot
from ganvas.verbs.show import size_of_data

NETS = ("quickstart", "modelzoo-vanilla", "cs231n-lsgan", "cs231n-dcgan", "mnist-classes",
        "firstgan-vanilla-mnist", "firstgan-dcgan-mnist", "genzoo-mnist", "genzoo-cifar10",
        "genzoo-mnist-rewrite", "modern")  # fmt: skip


@pytest.fixture
def nets() -> tuple[str, ...]:
    return NETS


@pytest.fixture(params=NETS)
def recipe(request: pytest.FixtureRequest) -> str:
    """A recipe of each net; the other recipes have the same nets."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """untrained("genzoo-mnist"): the folder of a saved generator; tests only read it."""
    root = tmp_path_factory.mktemp("untrained")

    def saved(recipe: str) -> Path:
        folder = root / recipe
        if not folder.exists():
            run = config.build(config.read_recipe(recipe).tables)
            _, shape = size_of_data(run, None)
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(0)
                net = run.model.generator(shape, run.latent.dims).train()
                for _ in range(3):
                    net(run.latent.sample(16, torch.default_generator))
                save_generator(folder, run, snapshot(run, net, shape, 0))
        return folder

    return saved
