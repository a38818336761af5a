"""Every bundled recipe: lengths, ranges, and the losses of its first step."""

from __future__ import annotations

import math

import pytest
import torch

import ganvas
from ganvas import config
from ganvas.batch import Batch
from ganvas.images import to_float
from ganvas.training.state import new_state
from ganvas.verbs.show import size_of_data

STEPS_PER_EPOCH = {
    "modelzoo-vanilla": 468,
    "cs231n-vanilla": 390,
    "cs231n-lsgan": 390,
    "cs231n-dcgan": 390,
    "mnist-classes": 389,
    "firstgan-vanilla-mnist": 600,
    "firstgan-vanilla-alphabet": 1335,
    "firstgan-dcgan-mnist": 600,
    "firstgan-dcgan-alphabet": 1335,
    "genzoo-mnist": 1875,
    "genzoo-cifar10": 390,
    "quickstart": 46,
}
TOTAL_STEPS = {
    "cs231n-dcgan": 3_900,
    "mnist-classes": 50_000,
    "genzoo-mnist": 93_750,
    "genzoo-cifar10": 78_000,
    "modelzoo-vanilla": 50 * 468,
    "firstgan-vanilla-alphabet": 200 * 1335,
}
FAST = ("modern", "stacked-mnist")
"""D learns much from its first batch, before G is updated."""
LARGE_FIRST_LOGITS = ("modelzoo", "firstgan-dcgan")
"""Glorot weights without normalisation, and BatchNorm in D, give logits away from zero."""


def first_step(name: str) -> tuple[config.Run, dict[str, torch.Tensor]]:
    """A recipe and what its first step logs; asserts the ranges of reals and fakes."""
    settings = ["train.precision=float32"]
    if name == "stacked-mnist":
        settings += ["penalty.weight=1.0"]  # where its ramp begins
    run = ganvas.resolve(name, batch_size=16, settings=settings)
    _, shape = size_of_data(run, None)
    state = new_state(run, shape, torch.device("cpu"))
    pixels = torch.randint(0, 256, (16, *shape), generator=torch.Generator().manual_seed(1))
    real = to_float(pixels.to(torch.uint8), *run.model.value_range)

    with torch.random.fork_rng():
        fakes = state.players.generate(Batch(real[:4])).images.detach()
        scalars = run.update.step(state.players, run.loss, run.penalty, Batch(real))
    low, high = run.model.value_range
    assert real.min() >= low and real.max() <= high + 1e-6
    if getattr(run.model, "output", "tanh") == "tanh":
        assert fakes.min() >= low and fakes.max() <= high
    return run, scalars


@pytest.mark.slow_after(6)
@pytest.mark.parametrize("name", config.recipe_names())
def test_first_losses_are_near_those_of_a_d_that_knows_nothing(name: str) -> None:
    run, scalars = first_step(name)
    least_squares = "least-squares" in config.save(run)
    d_theory = 0.5 if least_squares else 2 * math.log(2)
    if "relativistic" in config.save(run):
        d_theory = math.log(2)  # of a pair, instead of one for each image
    g_theory = 0.5 if least_squares else math.log(2)
    tolerance = 0.6 if name.startswith(LARGE_FIRST_LOGITS) else 0.25
    scale = getattr(run.loss, "d_scale", 1.0)
    assert float(scalars["D/loss"]) / scale == pytest.approx(d_theory, abs=tolerance)
    if not name.startswith(FAST):
        assert float(scalars["G/loss"]) == pytest.approx(g_theory, abs=tolerance)


@pytest.mark.parametrize("name", STEPS_PER_EPOCH)
def test_steps_per_epoch(name: str) -> None:
    assert ganvas.show(name)["steps_per_epoch"] == STEPS_PER_EPOCH[name]


@pytest.mark.parametrize("name", TOTAL_STEPS)
def test_total_steps(name: str) -> None:
    assert ganvas.show(name)["steps"] == TOTAL_STEPS[name]


def test_last_step_that_cs231n_prints() -> None:
    """Every 250 steps, counted from 0, of 3,900."""
    assert (TOTAL_STEPS["cs231n-dcgan"] - 1) // 250 * 250 == 3_750


def test_as_coded_recipes_hold_only_what_differs() -> None:
    for name in config.recipe_names():
        if name.endswith("-as-coded"):
            run, base = (
                config.build(config.read_recipe(n).tables)
                for n in (name, name.removesuffix("-as-coded"))
            )
            assert config.diff(base, run)
