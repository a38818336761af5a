"""What flows through a training step: images with their labels, and what G makes images of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Images on the way to D, real ones or fakes."""

    images: Tensor
    """(N, C, H, W), floats in the model's value range."""
    labels: Tensor | None = None
    """Class index of each image, int64 (N,); None where the model takes no labels."""

    def __len__(self) -> int:
        return len(self.images)

    def split(self, parts: int) -> list[Batch]:
        """At most so many batches, as equal as can be; empty ones are left out."""
        images = self.images.tensor_split(parts)
        labels = [None] * parts if self.labels is None else self.labels.tensor_split(parts)
        return [Batch(*pair) for pair in zip(images, labels, strict=True) if len(pair[0])]

    def head(self, num: int) -> Batch:
        """The first `num` images."""
        return Batch(self.images[:num], None if self.labels is None else self.labels[:num])

    def detach(self) -> Batch:
        """The same images, cut off from the net that made them."""
        return replace(self, images=self.images.detach())

    def with_gradient(self) -> Batch:
        """The same images as leaves, at which gradients can be taken."""
        return replace(self, images=self.images.detach().requires_grad_())


def joined(first: Batch, second: Batch) -> Batch:
    """Both batches as one; they have labels both or neither."""
    images = torch.cat([first.images, second.images])
    if first.labels is None or second.labels is None:
        return Batch(images)
    return Batch(images, torch.cat([first.labels, second.labels]))


@dataclass(frozen=True)
class Latents:
    """What G makes images of."""

    z: Tensor
    """(N, dims), noise."""
    labels: Tensor | None = None
    """The class that each image is to be of, int64 (N,); or how much of each, (N, classes), on the
    way from one to another. None where the model takes no labels."""

    def __len__(self) -> int:
        return len(self.z)
