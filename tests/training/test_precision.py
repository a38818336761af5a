"""The fast path against the plain one: bfloat16 and other forms of layers against float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import ganvas
from ganvas.batch import Batch
from ganvas.training.joint import fewest_passes, judges_alone, judges_repeatably
from ganvas.training.state import State, new_state
from ganvas.verbs.show import size_of_data

PLAIN: dict[str, Any] = {"train.precision": "float32", "train.fast_layers": False}
FAST: dict[str, Any] = {"train.precision": "bfloat16", "train.fast_layers": True}
RECIPES = {
    "genzoo-mnist": {"model.dropout": 0.0},  # without dropout, whose masks differ
    "genzoo-cifar10": {"model.dropout": 0.0},
    "cs231n-dcgan": {},
    "firstgan-dcgan-mnist": {},
}


def begin(recipe: str, settings: dict[str, Any], batch: int) -> tuple[Any, State, torch.Tensor]:
    """A run, its first state, and a batch of smooth stand-ins for real images."""
    run = ganvas.resolve(recipe, batch_size=batch, settings=RECIPES.get(recipe, {}) | settings)
    _, shape = size_of_data(run, None)
    state = new_state(run, shape, torch.device("cpu"))
    coarse = torch.randn(batch, shape[0], 4, 4, generator=torch.Generator().manual_seed(0))
    real = torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear").tanh()
    return run, state, real.contiguous(memory_format=torch.channels_last)


def gradients(recipe: str, settings: dict[str, Any]) -> dict[str, torch.Tensor]:
    run, state, real = begin(recipe, settings, 16)
    players = state.players
    fake = players.generate(Batch(real))
    g_loss = run.loss.generator(players.judge(fake))
    d_loss = run.loss.discriminator(players.judge(Batch(real)), players.judge(fake.detach()))
    g_gradients = torch.autograd.grad(g_loss, list(state.players.G.parameters()))
    d_gradients = torch.autograd.grad(d_loss, list(state.players.D.parameters()))
    found = {"g_loss": g_loss.detach(), "d_loss": d_loss.detach()}
    for net, names, values in (
        ("G", [name for name, _ in state.players.G.named_parameters()], g_gradients),
        ("D", [name for name, _ in state.players.D.named_parameters()], d_gradients),
    ):
        found |= {f"{net}.{name}": value for name, value in zip(names, values, strict=True)}
    return found


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("recipe", RECIPES)
def test_gradients_point_the_same_way(recipe: str) -> None:
    plain, fast = gradients(recipe, PLAIN), gradients(recipe, FAST)
    assert float(fast["g_loss"]) == pytest.approx(float(plain["g_loss"]), rel=0.02)
    assert float(fast["d_loss"]) == pytest.approx(float(plain["d_loss"]), rel=0.02)
    for name, expected in plain.items():
        cosine = torch.nn.functional.cosine_similarity(
            fast[name].flatten().double(), expected.flatten().double(), dim=0
        )
        assert fast[name].dtype == torch.float32
        assert cosine > 0.97 or expected.norm() < 1e-6, f"{name}: cosine {float(cosine):.4f}"


@pytest.mark.parametrize(
    ("recipe", "alone", "repeatably"),
    [
        ("genzoo-mnist", True, False),  # dropout
        ("genzoo-cifar10", True, False),
        ("firstgan-dcgan-mnist", False, True),  # BatchNorm
        ("cs231n-dcgan", True, True),
    ],
)
def test_passes_are_shared_where_they_may_be(recipe: str, alone: bool, repeatably: bool) -> None:
    settings = {"model.dropout": 0.5} if "genzoo" in recipe else {}
    _, state, _ = begin(recipe, settings, 2)
    assert judges_alone(state.players.D) == alone
    assert judges_repeatably(state.players.D) == repeatably


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", ["genzoo-mnist", "firstgan-dcgan-mnist"])
def test_gradients_from_shared_passes(recipe: str, precision: str) -> None:
    """Those of the nets in training, dropout's masks and running statistics included."""
    found: dict[bool, list[torch.Tensor]] = {}
    for wanted in (True, False):
        settings = {"train.precision": precision}
        settings |= {"model.dropout": 0.5} if "genzoo" in recipe else {}
        run, state, real = begin(recipe, settings, 8)
        step = run.update.step
        if wanted:
            step = fewest_passes(run.update, run.loss, run.penalty, state.players.D)
        torch.manual_seed(0)
        for _ in range(2):
            step(state.players, run.loss, run.penalty, Batch(real))
        nets = state.players.G, state.players.D
        found[wanted] = [p.grad for net in nets for p in net.parameters()]
        found[wanted] += [b.float() for net in nets for b in net.buffers()]
    for one, two in zip(found[True], found[False], strict=True):
        cosine = torch.nn.functional.cosine_similarity(
            one.flatten().double(), two.flatten().double(), dim=0
        )
        assert cosine > (1 - 1e-5 if precision == "float32" else 0.98)


@pytest.mark.slow
def test_loss_curves_of_200_steps_agree() -> None:
    """Means over the last 100 of 200 steps: within a tenth, with dropout on."""
    means = {}
    for settings in (PLAIN, FAST):
        run, state, real = begin("genzoo-mnist", settings | {"model.dropout": 0.5}, 32)
        step = fewest_passes(run.update, run.loss, run.penalty, state.players.D)
        curve = [step(state.players, run.loss, run.penalty, Batch(real)) for _ in range(200)]
        for key in ("D/loss", "G/loss"):
            mean = sum(float(scalars[key]) for scalars in curve[100:]) / 100
            means.setdefault(key, []).append(mean)
    for key, (plain, fast) in means.items():
        assert fast == pytest.approx(plain, rel=0.1), key
