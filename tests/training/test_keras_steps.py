"""Recipes born in TensorFlow take the steps that Keras takes.

What Keras did is stored in tests/fixtures/keras_steps.npz, in double precision; the script beside
it made it, from the published systems and with no code of ours.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from ganvas import config
from ganvas.batch import Batch
from ganvas.config import AdamSettings
from ganvas.models.layers import KerasBatchNorm1d
from ganvas.training.joint import fewest_passes
from ganvas.training.optim import Adam
from ganvas.training.state import State, new_state

FIXTURE = Path(__file__).parent.parent / "fixtures" / "keras_steps.py"
RECIPES = ["modelzoo-vanilla", "modelzoo-vanilla-as-coded", "genzoo-mnist", "mnist-classes"]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("keras_steps", FIXTURE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


K = script()
STORED = dict(np.load(K.FILE))
BATCH = {"genzoo-mnist": 4, "mnist-classes": 4}
"""Real images of a step, 8 for the other recipes."""


class Noise:
    """The latents that Keras had, draw by draw."""

    dims = 100
    count = 0

    def sample(self, num: int, generator: Generator) -> Tensor:
        self.count += 1
        return torch.from_numpy(K.noise(num, self.count - 1))


def tensors(state: State, recipe: str) -> dict[str, Tensor]:
    """The nets' tensors that are stored, by their names there."""
    nets = (("G", state.players.G), ("D", state.players.D))
    found = {f"{name}.{key}": v for name, net in nets for key, v in net.state_dict().items()}
    return {key: value for key, value in found.items() if f"{recipe}/1/{key}" in STORED}


def build(recipe: str, changes: dict[str, Any]) -> config.Run:
    """The recipe, but for its betas: Keras computes with those of float32."""
    tables = config.read_recipe(recipe).tables
    changes = {"train.precision": "float32"} | changes
    for net in ("generator", "discriminator"):
        settings = getattr(config.build(tables).optim, net)
        for beta in ("beta_1", "beta_2"):
            changes[f"optim.{net}.{beta}"] = float(np.float32(getattr(settings, beta)))
    return config.build(config.override(tables, list(changes.items())))


def begin(run: config.Run, recipe: str) -> tuple[State, dict[str, int]]:
    """The nets as Keras's started, in double precision and without dropout; the tensors' seeds."""
    state = new_state(run, (1, 28, 28), torch.device("cpu"))
    for net in (state.players.G, state.players.D):
        net.double()
        for module in net.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            if isinstance(module, nn.LeakyReLU):  # TensorFlow has slopes in float32 in any case
                module.negative_slope = float(np.float32(module.negative_slope))
    state.players.latent = Noise()  # type: ignore[assignment]
    seeds, following = {}, dict(K.SEEDS)
    for key, value in tensors(state, recipe).items():
        net, _, name = key.partition(".")
        seeds[key] = following[net]
        value.copy_(torch.from_numpy(K.start(name, tuple(value.shape), seeds[key])))
        following[net] += 1
    return state, seeds


def unbiased(norm: nn.BatchNorm2d, variance: Any, steps: int, batch: int, side: int) -> Any:
    """What a map's running variance from 1 is where Keras 3 has `variance`: TensorFlow's fused
    kernel, which Keras 2 took for maps, keeps n / (n - 1) times a batch's."""
    assert norm.momentum is not None
    num, start = batch * side**2, (1 - norm.momentum) ** steps
    return (variance - start) * num / (num - 1) + start


def off(recipe: str, **changes: Any) -> float:
    """By how much losses and weights differ from Keras's at most, over all steps."""
    run = build(recipe, changes)
    state, seeds = begin(run, recipe)
    before = {key: value.clone() for key, value in tensors(state, recipe).items()}
    step = fewest_passes(run.update, run.loss, run.penalty, state.players.D)
    batch = BATCH.get(recipe, 8)
    apart = [0.0]
    for number in range(1, K.STEPS + 1):
        real = K.reals((batch, 28, 28, 1), run.model.value_range[0], number - 1)
        images = torch.from_numpy(real).permute(0, 3, 1, 2)
        scalars = step(state.players, run.loss, run.penalty, Batch(images))
        stored = {k.removeprefix(f"{recipe}/{number}/"): v for k, v in STORED.items()}
        losses = [key for key in scalars if key in stored]
        assert {"G/loss"} < set(losses)
        apart += [abs(float(scalars[key]) - float(stored[key])) for key in losses]
        for key, value in tensors(state, recipe).items():
            *kept, moved = stored[key]
            if recipe == "genzoo-mnist" and key in ("G.5.running_var", "G.8.running_var"):
                layer, side = (5, 7) if "5" in key else (8, 14)
                norm = state.players.G[layer]  # type: ignore[index]
                kept = unbiased(norm, np.array(kept), number, batch, side)
            else:
                apart.append(abs(float((value - before[key]).norm()) - moved))
            ours = value.reshape(-1)[K.places(value.numel(), seeds[key])].numpy()
            apart.append(np.abs(ours - kept).max())
    assert np.isfinite(apart).all()
    return max(apart)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_takes_kerass_steps(recipe: str) -> None:
    assert off(recipe) < 1e-12


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_papers_eps_takes_others(recipe: str) -> None:
    """1e-5 is a tenth of what the fastest weight moves in a step."""
    changes = {f"optim.{net}.eps_form": "paper" for net in ("generator", "discriminator")}
    assert off(recipe, **changes) > 1e-5


def test_fakes_in_training_mode_are_others() -> None:
    assert off("modelzoo-vanilla", **{"update.fake_mode": "training"}) > 1e-5


@pytest.mark.parametrize("name", K.ADAMS)
@pytest.mark.parametrize("on_device", [False, True])
def test_adam_takes_kerass_steps(name: str, on_device: bool) -> None:
    """With gradients from 1 to 1e-11, and a parameter that has none at first."""
    rate, beta_1, eps = K.ADAMS[name]
    settings = AdamSettings(
        learning_rate=rate,
        beta_1=float(np.float32(beta_1)),
        beta_2=float(np.float32(0.999)),
        eps=eps,
        eps_form="tensorflow",
    )
    moved = [torch.from_numpy(K.values((12,), 30)), torch.from_numpy(K.values((5,), 31))]
    optimizer = Adam(moved, settings)
    if on_device:  # as on CUDA, where a captured step reads the step size from there
        optimizer._rate_on_device = torch.tensor(rate)
    for step in range(5):
        for value, gradient in zip(moved, K.gradients(step), strict=True):
            value.grad = None if gradient is None else torch.from_numpy(gradient)
        optimizer.step()
        found = np.concatenate([value.numpy() for value in moved])
        tolerance = 1e-6 * rate if on_device else 1e-13  # a float32 step size
        np.testing.assert_allclose(found, STORED[f"adam/{name}"][step], rtol=0, atol=tolerance)


def test_a_dense_layers_batch_norm_keeps_kerass_statistics() -> None:
    norm = KerasBatchNorm1d(4, eps=1e-3, momentum=0.2).double()
    for step, (*outputs, mean, variance) in enumerate(STORED["norm/dense"]):
        y = norm(torch.from_numpy(3 * K.values((6, 4), 60 + step)))
        np.testing.assert_allclose(y.detach(), outputs, rtol=0, atol=1e-12)
        assert norm.running_mean is not None and norm.running_var is not None
        np.testing.assert_allclose(norm.running_mean, mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(norm.running_var, variance, rtol=0, atol=1e-12)


def test_a_maps_batch_norm_keeps_the_variance_of_tensorflows_kernel() -> None:
    norm = nn.BatchNorm2d(4, momentum=1.0)
    norm(torch.from_numpy(K.values((2, 3, 3, 4), 70)).float().permute(0, 3, 1, 2))
    np.testing.assert_allclose(norm.running_var, STORED["norm/fused"], rtol=1e-6)
