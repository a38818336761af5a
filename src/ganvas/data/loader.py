"""Batches that are a function of their place.

Which images make batch b of epoch e depends on the seed, e and b alone, so a resumed run sees the
batches that the uninterrupted one would have seen, and nothing about the order has to be saved.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from ganvas.batch import Batch
from ganvas.config.length import Lengths
from ganvas.data.store import Store
from ganvas.images import to_float
from ganvas.seeds import stream


class Loader:
    """Endless batches: which images, and the images themselves."""

    batch_size: int
    """Images in a full batch."""

    def __init__(
        self,
        store: Store,
        lengths: Lengths,
        order: str,
        seed: int,
        value_range: tuple[float, float],
    ) -> None:
        self._store = store
        self._lengths = lengths
        self.batch_size = lengths.images_per_step
        self._order = order
        self._seed = seed
        self._range = value_range

    def indices(self, step: int) -> Iterator[Tensor]:
        """The batches from step `step` on, as image indices on the device, int64, shape (B,)."""
        epoch, start = divmod(step, self._lengths.steps_per_epoch)
        while True:
            yield from self._epoch(epoch)[start:]
            epoch, start = epoch + 1, 0

    def batch(self, indices: Tensor) -> Batch:
        """The images of indices (B,), as floats in the model's value range, with their labels."""
        images = to_float(self._store.pixels(indices), *self._range)
        return Batch(images, self._store.labels(indices))

    def _epoch(self, epoch: int) -> list[Tensor]:
        """The image indices of each batch of an epoch."""
        num, size = self._lengths.num_images, self._lengths.images_per_step
        steps = self._lengths.steps_per_epoch
        rng = Generator().manual_seed(stream(self._seed, "order", epoch))
        if self._order == "replacement":
            chosen = torch.randint(num, (steps * size,), generator=rng)
        elif self._order == "independent":
            chosen = torch.cat([torch.randperm(num, generator=rng)[:size] for _ in range(steps)])
        elif self._order == "shuffled":
            chosen = torch.randperm(num, generator=rng)
        else:
            chosen = torch.arange(num)
        return list(torch.split(chosen.to(self._store.device), size))[:steps]
