"""Both nets' gradients in fewer passes through D than the update rules take, where that is exact.

A rule says what a step computes; these steps compute the same from one pass where the rule takes
two. Which of them holds is decided once, before the first step, from the rule, the nets and the
loss. A penalty on D's gradients is no part of them, so they are refused where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from ganvas.batch import Batch
from ganvas.errors import UsageError
from ganvas.losses.penalties import NoPenalty
from ganvas.models.fast.dropout import Dropout
from ganvas.models.layers import (
    Flatten,
    KerasBatchNorm1d,
    Logits,
    SameConv2d,
    SameConvTranspose2d,
    ToImage,
)
from ganvas.protocols import Loss, Penalty, Scalars, UpdateRule, is_relativistic
from ganvas.training.players import Players
from ganvas.training.updates import Alternating, Simultaneous, report

Step = Callable[[Players, Loss, Penalty, Batch], Scalars]

_PLAIN_LAYERS: Final = (
    nn.Sequential, nn.Linear, nn.Conv2d, nn.ConvTranspose2d, SameConv2d, SameConvTranspose2d,
    nn.Flatten, Flatten, ToImage, Logits, nn.MaxPool2d, nn.AvgPool2d, nn.ReLU, nn.LeakyReLU,
    nn.Tanh, nn.Sigmoid, nn.Identity,
)  # fmt: skip
_DROPOUTS: Final = (nn.Dropout, Dropout)
_BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, KerasBatchNorm1d)


def fewest_passes(rule: UpdateRule, loss: Loss, penalty: Penalty, D: nn.Module) -> Step:
    """The rule's own step, or one that comes to the same in fewer passes through D."""
    if isinstance(penalty, NoPenalty) and not is_relativistic(loss):
        if isinstance(rule, Simultaneous) and judges_alone(D):
            return simultaneous
        if _shares_fakes_with_g_first(rule) and judges_repeatably(D):
            return generator_first
    return rule.step


def _shares_fakes_with_g_first(rule: UpdateRule) -> bool:
    return isinstance(rule, Alternating) and (
        (rule.first, rule.fakes, rule.d_steps, rule.d_batch) == ("generator", "shared", 1, "summed")
    )


def simultaneous(players: Players, loss: Loss, penalty: Penalty, real: Batch) -> Scalars:
    """The step of `Simultaneous` with one backward pass through D, which has no BatchNorm."""
    _refuse(penalty)
    real_logits = players.judge(real)
    fake = players.generate(real)
    seen = fake.with_gradient()
    return _move_both(players, loss, fake, seen, real_logits, players.judge(seen), alone=True)


def generator_first(players: Players, loss: Loss, penalty: Penalty, real: Batch) -> Scalars:
    """The step of `Alternating` with G first and shared fakes, judged once: both updates meet the
    same D, which has no dropout, on the same fakes."""
    _refuse(penalty)
    fake = players.generate(real)
    seen = fake.with_gradient()
    with CountedAgain(players.D) as statistics:
        fake_logits = players.judge(seen)
    real_logits = players.judge(real)
    alone = judges_alone(players.D)
    scalars = _move_both(players, loss, fake, seen, real_logits, fake_logits, alone=alone)
    statistics.count()  # the pass over fakes for D's own update, after that over reals
    return scalars


def _refuse(penalty: Penalty) -> None:
    if not isinstance(penalty, NoPenalty):
        raise UsageError(
            f"penalty: found {penalty!r} in a step with shared passes, which would drop it; "
            "train.shared_passes=false takes the update rule's own passes"
        )


def _move_both(
    players: Players,
    loss: Loss,
    fake: Batch,
    seen: Batch,
    real_logits: Tensor,
    fake_logits: Tensor,
    *,
    alone: bool,
) -> Scalars:
    """An update of each net with gradients at the old weights of both.

    `fake` is what G made, `seen` the same images cut off from G, which D judged; `alone` says
    whether it judges each image alone.
    """
    g_loss = loss.generator(fake_logits)
    d_loss = loss.discriminator(real_logits, fake_logits)
    if alone:
        d_gradients, wanted = one_backward(
            players.D, seen.images, g_loss, d_loss, real_logits, fake_logits
        )
    else:
        (wanted,) = torch.autograd.grad(g_loss, seen.images, retain_graph=True)
        d_gradients = torch.autograd.grad(d_loss, list(players.D.parameters()))
    g_gradients = torch.autograd.grad(fake.images, list(players.G.parameters()), wanted)
    players.apply("G", g_gradients)
    players.apply("D", d_gradients)
    scalars = report(loss, real_logits.detach(), fake_logits.detach())
    return scalars | {"G/loss": g_loss.detach()}


def one_backward(
    D: nn.Module,
    images: Tensor,
    g_loss: Tensor,
    d_loss: Tensor,
    real_logits: Tensor,
    fake_logits: Tensor,
) -> tuple[Sequence[Tensor], Tensor]:
    """d_loss by D's parameters and g_loss by fake images, from one backward pass through D.

    Where D judges each image alone, what flows back for image i is its logit's gradient times
    factors that are the same for both losses. So g_loss by image i is d_loss by image i times
    (g_loss by logit i) / (d_loss by logit i). Products keep their relative precision however small
    the denominator is; where it is nothing beside the numerator, it is put at 1e-20 of it, which
    is nothing to D's gradients and keeps the quotient finite.
    """
    (numerator,) = torch.autograd.grad(g_loss, fake_logits)
    on_reals, on_fakes = torch.autograd.grad(d_loss, [real_logits, fake_logits])
    least = (1e-20 * numerator.abs()).clamp(min=1e-30)
    denominator = torch.where(on_fakes.abs() < least, least, on_fakes)
    *d_gradients, by_images = torch.autograd.grad(
        [real_logits, fake_logits], [*D.parameters(), images], [on_reals, denominator]
    )
    quotient = (numerator / denominator).view(-1, *[1] * (images.dim() - 1))
    return d_gradients, (by_images * quotient).to(images.dtype)


def judges_alone(D: nn.Module) -> bool:
    """Whether D is known to make each image's logit of that image alone: it has no BatchNorm."""
    return all(type(module) in _PLAIN_LAYERS + _DROPOUTS for module in D.modules())


def judges_repeatably(D: nn.Module) -> bool:
    """Whether D is known to judge a batch the same way twice: it has no dropout."""
    return all(type(module) in _PLAIN_LAYERS + _BATCH_NORMS for module in D.modules())


class CountedAgain:
    """Has one pass through a net counted a second time in BatchNorm's running statistics.

    A pass changes a statistic r with momentum m to (1 - m) r + m b, where b is the batch's. Inside
    the context m b is noted, and `count` makes that change once more.
    """

    def __init__(self, net: nn.Module) -> None:
        self._norms = [m for m in net.modules() if isinstance(m, _BATCH_NORMS)]

    def __enter__(self) -> CountedAgain:
        self._noted = [kept * value for value, kept in self._statistics()]
        return self

    def __exit__(self, *_: object) -> None:
        pairs = zip(self._statistics(), self._noted, strict=True)
        self._noted = [value - noted for (value, _), noted in pairs]

    def count(self) -> None:
        for (value, kept), noted in zip(self._statistics(), self._noted, strict=True):
            value.mul_(kept).add_(noted)
        for norm in self._norms:
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)

    def _statistics(self) -> Iterator[tuple[Tensor, float]]:
        """Each running statistic and the share of it that a pass keeps."""
        for norm in self._norms:
            if norm.track_running_stats and norm.training:
                assert norm.momentum is not None, "cumulative averages are not among the models"
                assert norm.running_mean is not None and norm.running_var is not None
                yield norm.running_mean, 1 - norm.momentum
                yield norm.running_var, 1 - norm.momentum
