"""The losses against the specified values and against two-line formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ganvas.losses.adversarial import (
    Hinge,
    LeastSquares,
    NonSaturating,
    Saturating,
    Smoothable,
    Wasserstein,
)
from ganvas.losses.relativistic import Relativistic
from ganvas.registry import LOSSES

REAL = torch.tensor([2.0, -1.0, 0.5, 0.0], dtype=torch.float64)
FAKE = torch.tensor([-1.5, 0.25, 1.0, -0.5], dtype=torch.float64)

SMOOTHED = {"real_target": 0.9, "fake_target": 0.1, "generator_target": 0.9}
EVERY = [
    cls(**targets, flip=flip, d_scale=scale)
    for cls in (NonSaturating, Saturating, LeastSquares)
    for targets in ({}, {"real_target": 0.9}, SMOOTHED)
    for flip in (False, True)
    for scale in (1.0, 0.5)
]
Array = NDArray[np.float64]


# Independent formulas: on probabilities, not on logits


def cross_entropy(logits: Array, target: float) -> float:
    p = 1 / (1 + np.exp(-logits))
    return float(np.mean(-target * np.log(p) - (1 - target) * np.log(1 - p)))


def squares(scores: Array, target: float) -> float:
    return float(np.mean((scores - target) ** 2) / 2)


def expected_discriminator(loss: Smoothable, real: Array, fake: Array) -> float:
    distance = squares if isinstance(loss, LeastSquares) else cross_entropy
    targets = [loss.real_target, loss.fake_target]
    on_real, on_fake = [1 - t for t in targets] if loss.flip else targets
    return loss.d_scale * (distance(real, on_real) + distance(fake, on_fake))


def expected_generator(loss: Smoothable, fake: Array) -> float:
    target = 1 - loss.generator_target if loss.flip else loss.generator_target
    if isinstance(loss, Saturating):
        return -cross_entropy(fake, 1 - target)
    return (squares if isinstance(loss, LeastSquares) else cross_entropy)(fake, target)


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (NonSaturating(), 1.355526),
        (NonSaturating(d_scale=0.5), 0.677763),
        (NonSaturating(real_target=0.9), 1.393026),
        (NonSaturating(real_target=0.9, fake_target=0.1), 1.411776),
        (Saturating(), 1.355526),
        (LeastSquares(), 1.226563),
        (LeastSquares(d_scale=0.5), 1.2265625 / 2),
    ],
)
def test_discriminator_values(loss: Smoothable, value: float) -> None:
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (NonSaturating(), 0.891173),
        (NonSaturating(d_scale=0.5), 0.891173),
        (NonSaturating(generator_target=0.9), 0.872423),
        (Saturating(), -0.703673),
        (LeastSquares(), 1.132813),
    ],
)
def test_generator_values(loss: Smoothable, value: float) -> None:
    assert loss.generator(FAKE).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "on_real", "on_fake"),
    [
        (NonSaturating(), 0.651853, 0.703673),
        (NonSaturating(real_target=0.9), 0.689353, 0.703673),
        (NonSaturating(d_scale=0.5), 0.651853, 0.703673),
    ],
)
def test_shares_are_unscaled(loss: Smoothable, on_real: float, on_fake: float) -> None:
    assert loss.on_real(REAL).item() == pytest.approx(on_real, abs=1e-6)
    assert loss.on_fake(FAKE).item() == pytest.approx(on_fake, abs=1e-6)


def test_half_the_sum_is_one_mean_over_a_merged_batch() -> None:
    merged = np.concatenate([REAL.numpy(), FAKE.numpy()])
    targets = np.array([1.0] * 4 + [0.0] * 4)
    p = 1 / (1 + np.exp(-merged))
    mean = np.mean(-targets * np.log(p) - (1 - targets) * np.log(1 - p))
    assert NonSaturating(d_scale=0.5).discriminator(REAL, FAKE).item() == pytest.approx(mean)


@pytest.mark.parametrize("loss", EVERY, ids=str)
def test_equals_the_formula(loss: Smoothable) -> None:
    rng = np.random.default_rng(1)
    real, fake = rng.normal(0, 3, 50), rng.normal(0, 3, 50)
    made = loss.discriminator(torch.from_numpy(real), torch.from_numpy(fake))
    assert made.shape == ()
    assert made.item() == pytest.approx(expected_discriminator(loss, real, fake), rel=1e-9)
    made = loss.generator(torch.from_numpy(fake))
    assert made.shape == ()
    assert made.item() == pytest.approx(expected_generator(loss, fake), rel=1e-9)


@pytest.mark.parametrize("cls", [NonSaturating, Saturating])
@pytest.mark.parametrize("targets", [{}, {"real_target": 0.9}, SMOOTHED])
def test_flipped_on_negated_logits_is_unflipped(
    cls: type[Smoothable], targets: dict[str, float]
) -> None:
    plain, flipped = cls(**targets), cls(**targets, flip=True)
    assert flipped.discriminator(-REAL, -FAKE).item() == pytest.approx(
        plain.discriminator(REAL, FAKE).item()
    )
    assert flipped.generator(-FAKE).item() == pytest.approx(plain.generator(FAKE).item())
    torch.testing.assert_close(flipped.output(-REAL), plain.output(REAL))


def test_flipped_least_squares_mirrors_scores_at_a_half() -> None:
    plain, flipped = LeastSquares(**SMOOTHED), LeastSquares(**SMOOTHED, flip=True)
    assert flipped.discriminator(1 - REAL, 1 - FAKE).item() == pytest.approx(
        plain.discriminator(REAL, FAKE).item()
    )
    assert flipped.generator(1 - FAKE).item() == pytest.approx(plain.generator(FAKE).item())
    torch.testing.assert_close(flipped.output(1 - REAL), plain.output(REAL))


@pytest.mark.parametrize("loss", EVERY, ids=str)
def test_falls_when_it_should(loss: Smoothable) -> None:
    """D's when reals rise and fakes fall, G's when fakes rise; the other way round if flipped."""
    real = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    fake = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    up = -1.0 if loss.flip else 1.0
    start = 0.5 if isinstance(loss, LeastSquares) else 0.0
    to_real, to_fake = torch.autograd.grad(
        loss.discriminator(real + start, fake + start), [real, fake]
    )
    assert (to_real * up < 0).all() and (to_fake * up > 0).all()
    (to_fake,) = torch.autograd.grad(loss.generator(fake + start), [fake])
    assert (to_fake * up < 0).all()


def test_minimax_gives_g_no_gradient_where_d_is_sure_and_non_saturating_does() -> None:
    sure = torch.full((4,), -20.0, requires_grad=True)
    (saturated,) = torch.autograd.grad(Saturating().generator(sure), [sure])
    (strong,) = torch.autograd.grad(NonSaturating().generator(sure), [sure])
    assert saturated.abs().max() < 1e-8
    torch.testing.assert_close(strong, torch.full((4,), -0.25))


@pytest.mark.parametrize(
    ("loss", "floor"),
    [
        (NonSaturating(real_target=0.9), 0.325083),
        (NonSaturating(real_target=0.9, fake_target=0.1), 0.650166),
    ],
)
def test_a_smoothed_loss_has_a_floor(loss: NonSaturating, floor: float) -> None:
    best_real = torch.logit(torch.tensor([loss.real_target], dtype=torch.float64))
    best_fake = torch.logit(torch.tensor([loss.fake_target], dtype=torch.float64)).clamp(min=-40)
    assert loss.discriminator(best_real, best_fake).item() == pytest.approx(floor, abs=1e-6)
    for change in (-0.1, 0.1):
        assert loss.discriminator(best_real + change, best_fake).item() > floor + 1e-4


def test_a_d_that_cannot_tell() -> None:
    zero = torch.zeros(8)
    assert NonSaturating().discriminator(zero, zero).item() == pytest.approx(1.386294, abs=1e-6)
    assert NonSaturating(**SMOOTHED).discriminator(zero, zero).item() == pytest.approx(1.386294)
    assert NonSaturating().generator(zero).item() == pytest.approx(0.693147, abs=1e-6)
    assert LeastSquares().discriminator(zero, zero).item() == pytest.approx(0.5)
    assert LeastSquares().generator(zero).item() == pytest.approx(0.5)


@pytest.mark.parametrize("loss", EVERY, ids=str)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_stay_finite(loss: Smoothable, size: float) -> None:
    logits = torch.full((4,), size, requires_grad=True)
    value = loss.discriminator(logits, logits) + loss.generator(logits)
    (gradient,) = torch.autograd.grad(value, [logits])
    assert value.isfinite() and gradient.isfinite().all()


def test_what_d_says() -> None:
    torch.testing.assert_close(NonSaturating().output(REAL), torch.sigmoid(REAL))
    torch.testing.assert_close(LeastSquares().output(REAL), REAL)
    assert NonSaturating().output(torch.tensor(0.0)).item() == 0.5


# Losses on scores, without targets


def test_hinge_by_hand() -> None:
    """Reals 2, -1, 0.5, 0: max(0, 1 - s) is 0, 2, 0.5, 1. Fakes -1.5, 0.25, 1, -0.5: max(0, 1 + s)
    is 0, 1.25, 2, 0.5. The mean fake is -0.1875."""
    assert Hinge().on_real(REAL).item() == pytest.approx(3.5 / 4)
    assert Hinge().on_fake(FAKE).item() == pytest.approx(3.75 / 4)
    assert Hinge().discriminator(REAL, FAKE).item() == pytest.approx(7.25 / 4)
    assert Hinge(margin=0.5).on_real(REAL).item() == pytest.approx((1.5 + 0.5) / 4)
    assert Hinge().generator(FAKE).item() == pytest.approx(0.1875)


def test_wasserstein_by_hand() -> None:
    assert Wasserstein().discriminator(REAL, FAKE).item() == pytest.approx(-0.375 - 0.1875)
    assert Wasserstein().on_real(REAL).item() == pytest.approx(-0.375)
    assert Wasserstein().on_fake(FAKE).item() == pytest.approx(-0.1875)
    assert Wasserstein().generator(FAKE).item() == pytest.approx(0.1875)


@pytest.mark.parametrize("loss", [Hinge(), Wasserstein()], ids=str)
def test_losses_on_scores_fall_when_they_should(loss: Hinge | Wasserstein) -> None:
    real = torch.zeros(4, requires_grad=True)
    fake = torch.zeros(4, requires_grad=True)
    to_real, to_fake = torch.autograd.grad(loss.discriminator(real, fake), [real, fake])
    torch.testing.assert_close(to_real, torch.full((4,), -0.25))
    torch.testing.assert_close(to_fake, torch.full((4,), 0.25))
    (to_fake,) = torch.autograd.grad(loss.generator(fake), [fake])
    torch.testing.assert_close(to_fake, torch.full((4,), -0.25))
    torch.testing.assert_close(loss.output(REAL), REAL)


def test_hinge_leaves_alone_what_is_beyond_the_margin() -> None:
    real = torch.tensor([1.5, 0.5], requires_grad=True)
    (gradient,) = torch.autograd.grad(Hinge().on_real(real), [real])
    assert gradient.tolist() == [0.0, -0.5]


def test_every_loss_is_tested_here() -> None:
    known = (NonSaturating, Saturating, LeastSquares, Hinge, Wasserstein, Relativistic)
    assert {LOSSES.get(name) for name in LOSSES.names()} == set(known)
