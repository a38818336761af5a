"""The update rules: one step of the method each.

A rule sees the nets and their optimizers through `State`, a batch of real images, and `latents`,
which draws fresh noise. Only the net that is being updated moves or gathers gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.config import Positive
from ganvas.errors import RunError, UsageError
from ganvas.models.layers import CountedAgain
from ganvas.protocols import Loss
from ganvas.registry import CHECKED, UPDATES
from ganvas.training.optim import Adam, in_layout_of
from ganvas.training.state import State

Latents = Callable[[int], Tensor]
Scalars = dict[str, Tensor]


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Gradients pass through `net` and none gather in it."""
    net.requires_grad_(False)
    try:
        yield
    finally:
        net.requires_grad_(True)


@contextmanager
def inference(net: nn.Module, enabled: bool) -> Iterator[None]:
    """`net` in evaluation mode, if enabled."""
    net.train(not enabled)
    try:
        yield
    finally:
        net.train()


def descend(optimizer: Adam, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@UPDATES.register("alternating")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Alternating:
    """Update one net, then the other (Goodfellow et al. 2014, algorithm 1)."""

    optimizers: ClassVar[Mapping[str, Literal["G", "D"]]] = {"G": "G", "D": "D"}
    capturable: ClassVar[bool] = True

    first: Literal["discriminator", "generator"] = "discriminator"
    """Which net is updated first in a step."""

    d_steps: Positive = 1
    """D updates for each G update, each on real images of its own."""

    fakes: Literal["fresh", "shared"] = "fresh"
    """Fresh noise for each update, or one batch of fakes a step, made before either update."""

    d_batch: Literal["summed", "merged", "separate"] = "summed"
    """What D sees: B reals and B fakes, losses summed; B/2 and B/2 merged into one batch; or an
    update on B reals and then one on B fakes."""

    fake_mode: Literal["training", "inference"] = "training"
    """The mode of G while it makes D's fresh fakes: BatchNorm by batch or by running statistics."""

    def __post_init__(self) -> None:
        if self.fakes == "shared" and self.fake_mode == "inference":
            raise UsageError(
                "update.fake_mode: found 'inference' with update.fakes = 'shared'; "
                "shared fakes are those that G trains on, so allowed: training"
            )

    @property
    def batches_per_step(self) -> int:
        return self.d_steps

    def step(self, state: State, loss: Loss, real: Tensor, latents: Latents) -> Scalars:
        batches = [batch for batch in real.tensor_split(self.d_steps) if len(batch)]
        shared = state.generate(latents(len(batches[-1]))) if self.fakes == "shared" else None
        if shared is not None and self.first == "generator" and self._may_judge_once(state):
            return self.both_steps(state, loss, real, shared)
        if self.first == "generator":
            scalars = self.generator_step(state, loss, len(batches[-1]), shared, latents)
            return self.discriminator_steps(state, loss, batches, shared, latents) | scalars
        scalars = self.discriminator_steps(state, loss, batches, shared, latents)
        return scalars | self.generator_step(state, loss, len(batches[-1]), shared, latents)

    def _may_judge_once(self, state: State) -> bool:
        return state.judges_repeatably and self.d_steps == 1 and self.d_batch == "summed"

    def both_steps(self, state: State, loss: Loss, real: Tensor, fake: Tensor) -> Scalars:
        """G's update, then D's: both meet the same D on the same fakes, which judges them once."""
        images = fake.detach().requires_grad_()
        with CountedAgain(state.D) as statistics:
            fake_logits = state.judge(images)
        real_logits = state.judge(real)
        scalars = descend_both(state, loss, fake, images, real_logits, fake_logits)
        statistics.count()  # the pass over fakes for D's own update, after that over reals
        return scalars

    def discriminator_steps(
        self,
        state: State,
        loss: Loss,
        batches: list[Tensor],
        shared: Tensor | None,
        latents: Latents,
    ) -> Scalars:
        """Update D once on each batch; G is read, never moved. The last update is reported."""
        for real in batches:
            half = max(1, len(real) // 2)
            if self.d_batch == "merged":
                real = real[:half]
            if shared is not None:
                fake = shared.detach()[: len(real)]
            else:
                with torch.no_grad(), inference(state.G, self.fake_mode == "inference"):
                    fake = state.generate(latents(len(real)))

            if self.d_batch == "separate":
                real_logits = state.judge(real)
                descend(state.optimizers["D"], loss.on_real(real_logits))
                fake_logits = state.judge(fake)
                descend(state.optimizers["D"], loss.on_fake(fake_logits))
            elif self.d_batch == "merged":
                real_logits, fake_logits = torch.split(state.judge(torch.cat([real, fake])), half)
                descend(state.optimizers["D"], loss.discriminator(real_logits, fake_logits))
            else:
                real_logits, fake_logits = state.judge(real), state.judge(fake)
                descend(state.optimizers["D"], loss.discriminator(real_logits, fake_logits))
        return discriminator_scalars(loss, real_logits.detach(), fake_logits.detach())

    def generator_step(
        self, state: State, loss: Loss, num: int, shared: Tensor | None, latents: Latents
    ) -> Scalars:
        """Update G once on `num` fakes; D is frozen while gradients pass through it."""
        with frozen(state.D):
            fake = shared if shared is not None else state.generate(latents(num))
            value = loss.generator(state.judge(fake))
            descend(state.optimizers["G"], value)
        return {"G/loss": value.detach()}


def discriminator_scalars(loss: Loss, real_logits: Tensor, fake_logits: Tensor) -> Scalars:
    """What is logged of a D update, from its own passes."""
    return {
        "D/loss": loss.discriminator(real_logits, fake_logits),
        "D/loss_real": loss.on_real(real_logits),
        "D/loss_fake": loss.on_fake(fake_logits),
        "D/real": loss.output(real_logits).mean(),
        "D/fake": loss.output(fake_logits).mean(),
    }


@UPDATES.register("simultaneous")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Simultaneous:
    """Both gradients at the old weights, from one pass of G and one of D on each batch.

    Simultaneous gradient descent (Mescheder et al. 2017, section 2), as GenZoo's DCGANs train.
    """

    optimizers: ClassVar[Mapping[str, Literal["G", "D"]]] = {"G": "G", "D": "D"}
    batches_per_step: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def step(self, state: State, loss: Loss, real: Tensor, latents: Latents) -> Scalars:
        real_logits = state.judge(real)
        fake = state.generate(latents(len(real)))
        images = fake.detach().requires_grad_()
        fake_logits = state.judge(images)
        return descend_both(state, loss, fake, images, real_logits, fake_logits)


def descend_both(
    state: State, loss: Loss, fake: Tensor, images: Tensor, real_logits: Tensor, fake_logits: Tensor
) -> Scalars:
    """An update of each net with gradients at the old weights of both.

    `fake` is what G made, `images` the same values cut off from G, which D judged.
    """
    g_loss = loss.generator(fake_logits)
    d_loss = loss.discriminator(real_logits, fake_logits)
    if state.judges_alone:
        d_gradients, wanted = one_backward(
            state.D, images, g_loss, d_loss, real_logits, fake_logits
        )
    else:
        (wanted,) = torch.autograd.grad(g_loss, images, retain_graph=True)
        d_gradients = torch.autograd.grad(d_loss, list(state.D.parameters()))
    g_gradients = torch.autograd.grad(fake, list(state.G.parameters()), wanted)
    apply(state.optimizers["G"], state.G, g_gradients)
    apply(state.optimizers["D"], state.D, d_gradients)
    scalars = discriminator_scalars(loss, real_logits.detach(), fake_logits.detach())
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


def apply(optimizer: Adam, net: nn.Module, gradients: Iterable[Tensor]) -> None:
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        parameter.grad = in_layout_of(parameter, gradient)
    optimizer.step()


@UPDATES.register("controller")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Controller:
    """The losses seen last decide which updates a step takes.

    Source: MNIST-classes GAN (TensorFlow 1, 2017).

    D has two optimizers, one for its loss on reals and one for its loss on fakes, with moments of
    their own. The losses start as G 0, D on reals 1, D on fakes 1.
    """

    optimizers: ClassVar[Mapping[str, Literal["G", "D"]]] = {"G": "G", "D_real": "D", "D_fake": "D"}
    batches_per_step: ClassVar[int] = 1
    capturable: ClassVar[bool] = False  # losses seen decide on the next update

    d_fake_threshold: float = 0.6
    """D is updated on fakes while its loss on them is above this."""

    g_threshold: float = 0.5
    """G is updated while its loss is above this."""

    d_real_threshold: float = 0.45
    """D is updated on reals while its loss on them is above this."""

    def step(self, state: State, loss: Loss, real: Tensor, latents: Latents) -> Scalars:
        seen = state.memory
        seen.setdefault("G/loss", 0.0)
        seen.setdefault("D/loss_real", 1.0)
        seen.setdefault("D/loss_fake", 1.0)
        decisions = (
            ("D_fake", "D/loss_fake", self.d_fake_threshold),
            ("G", "G/loss", self.g_threshold),
            ("D_real", "D/loss_real", self.d_real_threshold),
        )
        scalars: Scalars = {}
        counts = dict.fromkeys((f"count/{name}" for name, _, _ in decisions), 0.0)
        for name, term, threshold in decisions:
            if seen[term] > threshold:
                scalars = self.update(name, term, state, loss, real, latents)
                seen |= {key: float(scalars[key]) for _, key, _ in decisions}  # a device sync
                counts[f"count/{name}"] += 1
        if not scalars:  # nor will a later step change anything: the losses seen stay what they are
            raise RunError(
                "no loss is above its threshold, so neither net will move again; lower one of "
                "update.d_fake_threshold, update.g_threshold and update.d_real_threshold"
            )
        return scalars | {key: real.new_tensor(value) for key, value in counts.items()}

    def update(
        self, name: str, term: str, state: State, loss: Loss, real: Tensor, latents: Latents
    ) -> Scalars:
        """One optimizer's step on its term, and all terms as they were before it."""
        with frozen(state.D if name == "G" else state.G):
            real_logits, fake_logits = (
                state.judge(real),
                state.judge(state.generate(latents(len(real)))),
            )
            terms = {
                "G/loss": loss.generator(fake_logits),
                "D/loss_real": loss.on_real(real_logits),
                "D/loss_fake": loss.on_fake(fake_logits),
            }
            descend(state.optimizers[name], terms[term])
        scalars = discriminator_scalars(loss, real_logits.detach(), fake_logits.detach())
        return scalars | {key: value.detach() for key, value in terms.items()}
