"""The relativistic pairing loss, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ganvas.losses.relativistic import Relativistic
from ganvas.protocols import SeparableLoss, is_relativistic

REAL = torch.tensor([2.0, -1.0])
FAKE = torch.tensor([1.0, 1.0])
LOSS = Relativistic()


def test_values_by_hand() -> None:
    """Differences real - fake: 1 and -2. log(1 + e^-1) = 0.313262, log(1 + e^2) = 2.126928;
    for G log(1 + e^1) = 1.313262, log(1 + e^-2) = 0.126928."""
    assert LOSS.discriminator(REAL, FAKE).item() == pytest.approx((0.313262 + 2.126928) / 2)
    assert LOSS.generator(FAKE, REAL).item() == pytest.approx((1.313262 + 0.126928) / 2)


def test_only_differences_count() -> None:
    moved = LOSS.discriminator(REAL + 5, FAKE + 5)
    torch.testing.assert_close(moved, LOSS.discriminator(REAL, FAKE))


def test_a_d_that_cannot_tell_scores_log_2() -> None:
    assert LOSS.discriminator(REAL, REAL).item() == pytest.approx(math.log(2))
    assert LOSS.generator(REAL, REAL).item() == pytest.approx(math.log(2))


def test_pairs_push_each_other_apart() -> None:
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    to_real, to_fake = torch.autograd.grad(LOSS.discriminator(real, fake), [real, fake])
    torch.testing.assert_close(to_real, torch.full((4,), -0.125))
    torch.testing.assert_close(to_fake, torch.full((4,), 0.125))
    to_real, to_fake = torch.autograd.grad(LOSS.generator(fake, real), [real, fake])
    torch.testing.assert_close(to_real, torch.full((4,), 0.125))
    torch.testing.assert_close(to_fake, torch.full((4,), -0.125))


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_stay_finite(size: float) -> None:
    logits = torch.full((4,), size, requires_grad=True)
    value = LOSS.discriminator(logits, -logits) + LOSS.generator(-logits, logits)
    (gradient,) = torch.autograd.grad(value, [logits])
    assert value.isfinite() and gradient.isfinite().all()


def test_rules_know_it_by_its_kind() -> None:
    assert is_relativistic(LOSS) and not isinstance(LOSS, SeparableLoss)
    torch.testing.assert_close(LOSS.output(REAL), REAL)
