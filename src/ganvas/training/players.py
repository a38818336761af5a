"""What an update rule sees: G and D, the doors to them, and how one of them is moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from ganvas.batch import Batch, Latents
from ganvas.drawing import generate
from ganvas.protocols import Latent
from ganvas.training.augmenter import Augmenter
from ganvas.training.optim import Adam, in_layout_of

Net = Literal["G", "D"]


@dataclass
class Players:
    """Both nets and all that it takes to play a step, on one device."""

    G: nn.Module
    D: nn.Module
    optimizers: dict[str, Adam]
    """By the names that the update rule gives them."""
    latent: Latent
    stream: Generator
    """Random numbers that training latents are drawn from; its device is the players'."""
    precision: torch.dtype = torch.float32
    """What products and convolutions are computed in."""
    augment: Augmenter = field(default_factory=Augmenter)
    memory: dict[str, float] = field(default_factory=dict)
    """What an update rule remembers from step to step; part of a checkpoint."""

    # The doors to the nets

    def generate(self, real: Batch) -> Batch:
        """Fakes from fresh noise: as many as there are reals, with the reals' labels."""
        latents = Latents(self.latent.sample(len(real), self.stream), real.labels)
        with self._autocast():
            images = generate(self.G, latents)
        return Batch(images, latents.labels)

    def judge(self, batch: Batch) -> Tensor:
        """D's logits (N,), float32 or finer, of images as it is to see them, with labels."""
        with self._autocast():
            images = self.augment(batch.images)
            logits: Tensor = (
                self.D(images) if batch.labels is None else self.D(images, batch.labels)
            )
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def _autocast(self) -> torch.autocast:
        device = self.stream.device.type
        return torch.autocast(device, self.precision, enabled=self.precision != torch.float32)

    # Moving one of them

    def net(self, name: Net) -> nn.Module:
        return self.G if name == "G" else self.D

    @contextmanager
    def frozen(self, name: Net) -> Iterator[None]:
        """Gradients pass through a net and none gather in it; what was frozen before stays so."""
        trained = [value for value in self.net(name).parameters() if value.requires_grad]
        for value in trained:
            value.requires_grad_(False)
        try:
            yield
        finally:
            for value in trained:
                value.requires_grad_(True)

    def descend(self, optimizer: str, loss: Tensor) -> None:
        """One step of an optimizer down the gradient of a loss."""
        self.optimizers[optimizer].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers[optimizer].step()

    def apply(self, net: Net, gradients: Iterable[Tensor]) -> None:
        """A step of a net's own optimizer along gradients computed before, one a parameter."""
        for parameter, gradient in zip(self.net(net).parameters(), gradients, strict=True):
            parameter.grad = in_layout_of(parameter, gradient)
        self.optimizers[net].step()


@contextmanager
def inference(net: nn.Module, enabled: bool = True) -> Iterator[None]:
    """`net` in evaluation mode, if enabled."""
    net.train(not enabled)
    try:
        yield
    finally:
        net.train()
