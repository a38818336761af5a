"""The update rules: one step of the method each.

A rule sees the nets and their optimizers as `Players`, and a batch of real images. Only the net
that is being updated moves or gathers gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.batch import Batch, joined
from ganvas.config import Positive
from ganvas.errors import RunError, UsageError
from ganvas.protocols import Loss, Penalty, Scalars, SeparableLoss, is_relativistic
from ganvas.registry import CHECKED, UPDATES
from ganvas.training.players import Players, inference


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

    def reals_seen(self, drawn: int) -> int:
        """Of so many real images drawn for a step, those that D sees: half of them where merged."""
        if self.d_batch != "merged":
            return drawn
        each, more = divmod(drawn, self.d_steps)
        sizes = [each + (part < more) for part in range(self.d_steps)]
        return sum(_half(size) for size in sizes if size)

    def step(self, players: Players, loss: Loss, penalty: Penalty, batch: Batch) -> Scalars:
        reals = batch.split(self.d_steps)
        shared = players.generate(reals[-1]) if self.fakes == "shared" else None
        if self.first == "generator":
            scalars = self.generator_step(players, loss, reals[-1], shared)
            return self.discriminator_steps(players, loss, penalty, reals, shared) | scalars
        scalars = self.discriminator_steps(players, loss, penalty, reals, shared)
        return scalars | self.generator_step(players, loss, reals[-1], shared)

    def discriminator_steps(
        self,
        players: Players,
        loss: Loss,
        penalty: Penalty,
        reals: list[Batch],
        shared: Batch | None,
    ) -> Scalars:
        """Update D once on each batch; G is read, never moved. The last update is reported."""
        for real in reals:
            half = _half(len(real))
            if self.d_batch == "merged":
                real = real.head(half)
            fake = self.fakes_for(real, players) if shared is None else shared
            fake = fake.detach().head(len(real))
            extra = penalty(players.judge, real, fake)

            if self.d_batch == "separate":
                assert isinstance(loss, SeparableLoss)
                real_logits = players.judge(real)
                players.descend("D", loss.on_real(real_logits) + extra)
                fake_logits = players.judge(fake)
                players.descend("D", loss.on_fake(fake_logits))
            elif self.d_batch == "merged":
                real_logits, fake_logits = torch.split(players.judge(joined(real, fake)), half)
                players.descend("D", loss.discriminator(real_logits, fake_logits) + extra)
            else:
                real_logits, fake_logits = players.judge(real), players.judge(fake)
                players.descend("D", loss.discriminator(real_logits, fake_logits) + extra)
        return report(loss, real_logits.detach(), fake_logits.detach(), extra)

    def fakes_for(self, real: Batch, players: Players) -> Batch:
        """Fresh fakes for an update of D."""
        with torch.no_grad(), inference(players.G, self.fake_mode == "inference"):
            return players.generate(real)

    def generator_step(
        self, players: Players, loss: Loss, real: Batch, shared: Batch | None
    ) -> Scalars:
        """Update G once on as many fakes as reals; D is frozen while gradients pass through it."""
        with players.frozen("D"):
            fake = players.generate(real) if shared is None else shared
            value = generator_loss(players, loss, real, players.judge(fake))
            players.descend("G", value)
        return {"G/loss": value.detach()}


def _half(num: int) -> int:
    """The real images of a merged batch."""
    return max(1, num // 2)


def generator_loss(players: Players, loss: Loss, real: Batch, fake_logits: Tensor) -> Tensor:
    """G's loss; a relativistic one looks at D's logits on real images too."""
    if is_relativistic(loss):
        return loss.generator(fake_logits, players.judge(real))
    return loss.generator(fake_logits)


def report(
    loss: Loss, real_logits: Tensor, fake_logits: Tensor, extra: Tensor | float = 0.0
) -> Scalars:
    """What is logged of a D update, from its own passes; a penalty where there is one."""
    scalars = {
        "D/loss": loss.discriminator(real_logits, fake_logits),
        "D/real": loss.output(real_logits).mean(),
        "D/fake": loss.output(fake_logits).mean(),
    }
    if isinstance(loss, SeparableLoss):
        scalars["D/loss_real"] = loss.on_real(real_logits)
        scalars["D/loss_fake"] = loss.on_fake(fake_logits)
    if isinstance(extra, Tensor):
        scalars["D/penalty"] = extra.detach()
    return scalars


@UPDATES.register("simultaneous")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Simultaneous:
    """Both gradients at the old weights, from one pass of G and one of D on each batch.

    Simultaneous gradient descent (Mescheder et al. 2017, section 2), as GenZoo's DCGANs train.
    """

    optimizers: ClassVar[Mapping[str, Literal["G", "D"]]] = {"G": "G", "D": "D"}
    batches_per_step: ClassVar[int] = 1
    capturable: ClassVar[bool] = True

    def step(self, players: Players, loss: Loss, penalty: Penalty, batch: Batch) -> Scalars:
        real_logits = players.judge(batch)
        fake = players.generate(batch)
        fake_logits = players.judge(fake)
        extra = penalty(players.judge, batch, fake.detach())

        g_loss = generator_loss(players, loss, batch, fake_logits)
        d_loss = loss.discriminator(real_logits, fake_logits) + extra
        g_gradients = torch.autograd.grad(g_loss, list(players.G.parameters()), retain_graph=True)
        d_gradients = torch.autograd.grad(d_loss, list(players.D.parameters()))
        players.apply("G", g_gradients)
        players.apply("D", d_gradients)
        scalars = report(loss, real_logits.detach(), fake_logits.detach(), extra)
        return scalars | {"G/loss": g_loss.detach()}


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

    def step(self, players: Players, loss: Loss, penalty: Penalty, batch: Batch) -> Scalars:
        seen = players.memory
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
                scalars = self.update(name, term, players, loss, penalty, batch)
                seen |= {key: float(scalars[key]) for _, key, _ in decisions}  # a device sync
                counts[f"count/{name}"] += 1
        if not scalars:  # nor will a later step change anything: the losses seen stay what they are
            raise RunError(
                "no loss is above its threshold, so neither net will move again; lower one of "
                "update.d_fake_threshold, update.g_threshold and update.d_real_threshold"
            )
        return scalars | {key: batch.images.new_tensor(value) for key, value in counts.items()}

    def update(
        self,
        name: str,
        term: str,
        players: Players,
        loss: Loss,
        penalty: Penalty,
        real: Batch,
    ) -> Scalars:
        """One optimizer's step on its term, and all terms as they were before it."""
        assert isinstance(loss, SeparableLoss)
        with players.frozen("D" if name == "G" else "G"):
            real_logits, fake = players.judge(real), players.generate(real)
            fake_logits = players.judge(fake)
            terms = {
                "G/loss": generator_loss(players, loss, real, fake_logits),
                "D/loss_real": loss.on_real(real_logits),
                "D/loss_fake": loss.on_fake(fake_logits),
            }
            extra = penalty(players.judge, real, fake.detach()) if name == "D_real" else 0.0
            players.descend(name, terms[term] + extra)
        scalars = report(loss, real_logits.detach(), fake_logits.detach(), extra)
        return scalars | {key: value.detach() for key, value in terms.items()}
