"""Latents: shapes, ranges, moments, determinism, and the points between two of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ganvas.latents import Normal, TruncatedNormal, Uniform
from ganvas.registry import LATENTS

EVERY = [
    Normal(),
    Uniform(),
    Uniform(low=0.0, high=3.0),
    TruncatedNormal(),
    TruncatedNormal(limit=0.5),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(latent: Any, num: int = 2_000, seed: int = 0) -> Tensor:
    made: Tensor = latent.sample(num, seeded(seed))
    return made


def test_every_latent_is_tested_here() -> None:
    assert {type(latent) for latent in EVERY} == {LATENTS.get(name) for name in LATENTS.names()}


@pytest.mark.parametrize("latent", EVERY, ids=str)
@pytest.mark.parametrize(("num", "dims"), [(1, 1), (7, 100), (64, 3)])
def test_shape_and_type(latent: Any, num: int, dims: int) -> None:
    made = type(latent)(dims=dims).sample(num, seeded())
    assert made.shape == (num, dims)
    assert made.dtype == torch.float32
    assert made.isfinite().all()


@pytest.mark.parametrize("latent", EVERY, ids=str)
def test_the_generator_alone_decides(latent: Any) -> None:
    torch.manual_seed(1)
    first = draw(latent, 5, seed=3)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(first, draw(latent, 5, seed=3))
    assert not torch.equal(first, draw(latent, 5, seed=4))
    assert torch.equal(before, torch.get_rng_state()), "the global stream moved"
    rng = seeded(3)
    assert torch.equal(first, latent.sample(5, rng))
    assert not torch.equal(first, latent.sample(5, rng)), "the stream did not go on"


def truncated_std(limit: float) -> float:
    """Of a standard normal cut at +-limit: 1 - 2 limit phi(limit) / (Phi(limit) - Phi(-limit))."""
    density = math.exp(-(limit**2) / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(1 - 2 * limit * density / math.erf(limit / math.sqrt(2)))


@pytest.mark.parametrize(
    ("latent", "mean", "std"),
    [
        (Normal(), 0.0, 1.0),
        (Uniform(), 0.0, 2 / math.sqrt(12)),
        (Uniform(low=0.0, high=3.0), 1.5, 3 / math.sqrt(12)),
        (TruncatedNormal(), 0.0, 0.8796),
        (TruncatedNormal(limit=0.5), 0.0, truncated_std(0.5)),
    ],
    ids=str,
)
def test_moments(latent: Any, mean: float, std: float) -> None:
    made = draw(latent)  # 200,000 values: the mean's standard error is std / 447
    assert made.mean().item() == pytest.approx(mean, abs=5 * std / 447)
    assert made.std().item() == pytest.approx(std, rel=0.01)


def test_the_formula_for_the_truncated_spread_is_right() -> None:
    assert truncated_std(2.0) == pytest.approx(0.8796, abs=1e-4)


def test_ranges() -> None:
    uniform = draw(Uniform())
    assert -1 <= uniform.min() < -0.999 and 0.999 < uniform.max() <= 1
    shifted = draw(Uniform(low=0.0, high=3.0))
    assert 0 <= shifted.min() < 0.01 and 2.99 < shifted.max() <= 3
    truncated = draw(TruncatedNormal())
    assert 1.99 < truncated.abs().max() <= 2
    assert draw(TruncatedNormal(limit=0.5), 20).abs().max() <= 0.5
    assert draw(Normal()).abs().max() > 3.5


def test_truncation_redraws_and_does_not_clip() -> None:
    made = draw(TruncatedNormal())
    at_the_edge = ((made.abs() > 1.99).float().mean()).item()
    density = 2 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
    assert at_the_edge == pytest.approx(density * 0.01, rel=0.3)


@pytest.mark.parametrize("latent", EVERY, ids=str)
def test_between_ends_at_its_ends(latent: Any) -> None:
    a, b = draw(latent, 2)
    torch.testing.assert_close(latent.between(a, b, 0.0), a)
    torch.testing.assert_close(latent.between(a, b, 1.0), b)
    middle = latent.between(a, b, 0.5)
    assert middle.shape == (100,)
    torch.testing.assert_close(middle, latent.between(b, a, 0.5))


@pytest.mark.parametrize("latent", [Uniform(), TruncatedNormal()], ids=str)
def test_between_is_straight_where_the_latents_fill_a_box(latent: Any) -> None:
    a, b = draw(latent, 2)
    torch.testing.assert_close(latent.between(a, b, 0.25), 0.75 * a + 0.25 * b)


def test_between_normals_follows_the_sphere() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    for share in (0.25, 0.5, 0.8):
        angle = share * math.pi / 2
        expected = torch.tensor([2 * math.cos(angle), 2 * math.sin(angle)])
        torch.testing.assert_close(Normal(dims=2).between(a, b, share), expected)


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0], [2.5]), ([1.0], [-2.5]), ([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0], [-1.0, -2.0])],
)
def test_between_parallel_normals_is_finite(a: list[float], b: list[float]) -> None:
    latent = Normal(dims=len(a))
    start, end = torch.tensor(a), torch.tensor(b)
    for share in (0.0, 0.3, 1.0):
        made = latent.between(start, end, share)
        torch.testing.assert_close(made, start + share * (end - start))
