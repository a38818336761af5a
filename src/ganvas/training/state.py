"""What training changes, and nothing else: the players, counters, sums for the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn

from ganvas.augment import NoAugmentation
from ganvas.config import Run
from ganvas.errors import UsageError
from ganvas.losses.penalties import FiniteDifference
from ganvas.models.fast.switch import use_fast
from ganvas.pixels import Shape
from ganvas.protocols import build_discriminator, build_generator
from ganvas.seeds import stream
from ganvas.training.augmenter import Augmenter
from ganvas.training.compute.precision import precision_on
from ganvas.training.ema import Average
from ganvas.training.optim import Adam
from ganvas.training.players import Players


@dataclass
class State:
    """The moving parts of a run."""

    players: Players
    average: Average | None = None
    """Of G's weights, if the run keeps one."""
    step: int = 0
    seconds: float = 0.0
    """Training time so far, over all sittings."""
    logged_seconds: float = 0.0
    """Training time at the last log line."""
    evaluation_seconds: float = 0.0
    """Time that evaluations took so far, over all sittings; no part of the training time."""
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Sums of the scalars since the last log line; they keep their memory for the whole run."""
    summed: int = 0
    """How many steps those sums hold."""
    latest: Mapping[str, Tensor] = field(default_factory=dict)
    """The newest step's scalars; the next one may overwrite them."""

    @property
    def device(self) -> torch.device:
        return self.players.stream.device

    @property
    def memory(self) -> dict[str, float]:
        """What the update rule and the watchdog remember from step to step."""
        return self.players.memory

    @property
    def sampler(self) -> nn.Module:
        """The G that is drawn from: for sheets, evaluations and saved generators."""
        return self.players.G if self.average is None else self.average.net

    def accumulate(self, scalars: Mapping[str, Tensor]) -> None:
        """Add a step's scalars to the sums, in place; no device synchronisation."""
        self.latest = scalars
        for key, value in scalars.items():
            if key in self.sums:
                self.sums[key].add_(value)
            else:
                self.sums[key] = value.clone()

    def clear_sums(self) -> None:
        """Begin the sums of the next log line."""
        for value in self.sums.values():
            value.zero_()
        self.summed = 0


def new_state(run: Run, shape: Shape, device: torch.device, num_classes: int = 0) -> State:
    """Nets, optimizers and random streams as they are before the first step.

    `num_classes` is for a model that takes labels.
    """
    precision = precision_on(device, run.train.precision)
    _check_differences(run, precision)
    torch.manual_seed(run.seed)
    G = build_generator(run.model, shape, run.latent.dims, num_classes).to(device)
    D = build_discriminator(run.model, shape, num_classes).to(device)
    for net in (G, D):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        use_fast(net, run.train.fast_layers)
    nets = {"G": (G, run.optim.generator), "D": (D, run.optim.discriminator)}
    optimizers = {}
    for name, key in run.update.optimizers.items():
        net, settings = nets[key]
        optimizers[name] = Adam(net.parameters(), settings)
    latents = Generator(device).manual_seed(stream(run.seed, "latents"))
    augment = Augmenter(run.augment, device, stream(run.seed, "augment"))
    players = Players(G, D, optimizers, run.latent, latents, precision, augment)
    average = Average(G, run.ema) if run.ema.half_life else None
    return State(players, average)


def _check_differences(run: Run, precision: torch.dtype) -> None:
    """UsageError where the differences of a penalty would not be those of D alone."""
    if not isinstance(run.penalty, FiniteDifference):
        return
    if precision != torch.float32:
        raise UsageError(
            "penalty.name: found 'finite-difference' in bfloat16, where its steps are lost in "
            "rounding; allowed: train.precision=float32, or r1, r1-r2 or gradient-penalty"
        )
    if not isinstance(run.augment, NoAugmentation):
        raise UsageError(
            "penalty.name: found 'finite-difference' with an augmentation, which changes the two "
            "images of a difference in two ways; allowed: r1, r1-r2 or gradient-penalty"
        )


def is_finite(net: nn.Module) -> bool:
    return all(bool(value.isfinite().all()) for value in net.parameters())
