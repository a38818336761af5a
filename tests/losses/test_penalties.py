"""Penalties: in closed form on a linear D, by finite differences through a net, and in a run."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganvas.batch import Batch
from ganvas.losses.penalties import R1, R1R2, FiniteDifference, GradientPenalty, NoPenalty
from ganvas.losses.relativistic import Relativistic
from ganvas.models.fast.switch import use_fast
from ganvas.models.layers import Flatten, Logits, SameConv2d
from ganvas.registry import PENALTIES

Judge = Callable[[Batch], Tensor]
WEIGHTS = torch.tensor([3.0, -4.0, 0.0, 0.0], dtype=torch.float64)  # of norm 5


def linear(batch: Batch) -> Tensor:
    """D(x) = w . x + 7, whose gradient is w everywhere."""
    return batch.images.flatten(1) @ WEIGHTS + 7


def quadratic(batch: Batch) -> Tensor:
    """D(x) = |x|^2 / 2, whose gradient is x."""
    return batch.images.flatten(1).square().sum(1) / 2


def images(num: int = 3, seed: int = 0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(num, 1, 2, 2, generator=rng, dtype=torch.float64))


# Closed forms


def test_r1_on_a_linear_d() -> None:
    assert R1(weight=0.1)(linear, images(), images(seed=1)).item() == pytest.approx(0.05 * 25)


def test_r1_and_r2_on_a_linear_d() -> None:
    assert R1R2(weight=0.1)(linear, images(), images(seed=1)).item() == pytest.approx(0.1 * 25)


def test_the_gradient_penalty_on_a_linear_d() -> None:
    value = GradientPenalty(weight=10.0)(linear, images(), images(seed=1))
    assert value.item() == pytest.approx(10 * (5 - 1) ** 2)


def test_the_finite_difference_on_a_linear_d() -> None:
    """w . e is normal with variance sigma^2 |w|^2, so each mean square is sigma^2 25."""
    torch.manual_seed(9)  # not that of the images
    many = images(20_000)
    value = FiniteDifference(weight=100.0, sigma=0.1)(linear, many, many)
    assert value.item() == pytest.approx(2 * 100 * 0.1**2 * 25, rel=0.03)


def test_the_finite_difference_comes_to_r1_and_r2() -> None:
    torch.manual_seed(9)  # not that of the images
    real, fake = images(20_000), images(20_000, seed=1)
    exact = R1R2(weight=2.0)(quadratic, real, fake)
    close = FiniteDifference(weight=2.0 / (2 * 0.01**2), sigma=0.01)(quadratic, real, fake)
    assert close.item() == pytest.approx(exact.item(), rel=0.03)


def test_r1_looks_at_reals_and_r2_at_fakes() -> None:
    """With |x| as the gradient's norm at x: 4 pixels of 1 at reals, 4 pixels of 2 at fakes."""
    real, fake = Batch(torch.ones(5, 1, 2, 2)), Batch(torch.full((5, 1, 2, 2), 2.0))
    assert R1(weight=1.0)(quadratic, real, fake).item() == pytest.approx(4 / 2)
    assert R1R2(weight=1.0)(quadratic, real, fake).item() == pytest.approx((4 + 16) / 2)


def test_the_gradient_penalty_lies_between() -> None:
    """From 0 to a vector of length 2 the norms are even in [0, 2]: E (n - 1)^2 is 1/3."""
    torch.manual_seed(9)  # not that of the images
    real, fake = Batch(torch.zeros(20_000, 1, 2, 2)), Batch(torch.ones(20_000, 1, 2, 2))
    value = GradientPenalty(weight=1.0)(quadratic, real, fake)
    assert value.item() == pytest.approx(1 / 3, rel=0.03)


def test_at_a_flat_d_the_gradient_penalty_has_a_finite_gradient() -> None:
    scale = torch.zeros((), requires_grad=True)
    value = GradientPenalty()(lambda batch: scale * batch.images.sum((1, 2, 3)), images(), images())
    value.backward()
    assert scale.grad is not None and scale.grad.isfinite()


def test_labels_go_with_their_images() -> None:
    labels = torch.tensor([0, 1, 2])
    seen: list[Tensor] = []

    def judge(batch: Batch) -> Tensor:
        assert batch.labels is not None
        seen.append(batch.labels)
        return linear(batch)

    real, fake = (Batch(images(seed=s).images, labels) for s in (0, 1))
    for penalty in (R1(), R1R2(), GradientPenalty(), FiniteDifference()):
        penalty(judge, real, fake)
    assert len(seen) == 1 + 2 + 1 + 4 and all(torch.equal(one, labels) for one in seen)


# Through a net


def net(fast: bool = False) -> nn.Module:
    torch.manual_seed(1)
    made = nn.Sequential(
        SameConv2d(1, 3, 5, stride=2),
        nn.LeakyReLU(0.2),
        SameConv2d(3, 4, 3, stride=2),
        nn.Softplus(),
        Flatten(),
        nn.Linear(16, 1),
        Logits(),
    ).double()
    use_fast(made, fast)
    return made


EXACT = [R1(weight=0.7), R1R2(weight=0.7), GradientPenalty(weight=0.7)]


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("penalty", [*EXACT, FiniteDifference(sigma=0.1)], ids=str)
def test_its_gradient_is_that_of_finite_differences(penalty: Any, fast: bool) -> None:
    D = net(fast)
    rng = torch.Generator().manual_seed(3)
    real, fake = (Batch(torch.randn(2, 1, 8, 8, generator=rng).double()) for _ in range(2))
    weights = [D[0].weight, D[5].weight, D[5].bias]

    def value(*_: Tensor) -> Tensor:
        torch.manual_seed(5)  # the same places on the lines, the same steps
        return penalty(lambda batch: D(batch.images), real, fake)

    assert torch.autograd.gradcheck(value, weights, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("penalty", [*EXACT, FiniteDifference()], ids=str)
def test_neither_images_nor_g_get_a_gradient(penalty: Any) -> None:
    D = net()
    real = Batch(torch.randn(2, 1, 8, 8).double())
    penalty(lambda batch: D(batch.images), real, real).backward()
    assert real.images.grad is None and not real.images.requires_grad
    assert all(value.grad is not None for value in D.parameters() if value.dim() > 1)


@pytest.mark.slow_after(1)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize("penalty", [*EXACT, FiniteDifference()], ids=str)
def test_memory_does_not_grow(penalty: Any) -> None:
    """A graph of gradients that stayed would be 22 MB at the end."""
    torch.manual_seed(1)
    D = nn.Sequential(SameConv2d(1, 8, 5, stride=2), nn.Softplus(), Flatten(), nn.Linear(1568, 1))
    use_fast(D, True)
    loss, real, sizes = Relativistic(), Batch(torch.randn(16, 1, 28, 28)), []
    for step in range(300):
        for value in D.parameters():
            value.grad = None
        logits = D(real.images)
        total = loss.discriminator(logits, -logits) + penalty(lambda b: D(b.images), real, real)
        total.backward()
        if step in (20, 299):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            sizes.append(pages * resource.getpagesize())
    assert sizes[1] - sizes[0] < 8e6


def test_none_is_nothing() -> None:
    assert NoPenalty()(linear, images(), images()) == 0.0


def test_every_penalty_is_tested_here() -> None:
    known = {NoPenalty, R1, R1R2, GradientPenalty, FiniteDifference}
    assert {PENALTIES.get(name) for name in PENALTIES.names()} == known
