"""What is asked of a component of each family: a class with these methods, and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ganvas.pixels import Pixels, Shape
    from ganvas.training.state import State

Split = Literal["train", "test"]
SampleMode = Literal["inference", "batch"]


@dataclass(frozen=True)
class RawImages:
    """A data set as found, before preprocessing: its images may differ in size and channels."""

    images: Pixels | list[Pixels]
    """uint8: one (N, C, H, W) array, or a list of (C, H, W) arrays; C is 1, 3 or 4."""
    labels: NDArray[np.int64] | None = None
    """Class index of each image, from 0."""
    classes: tuple[str, ...] = ()
    """Class names in index order."""


class Dataset(Protocol):
    @property
    def known(self) -> tuple[int, Shape] | None:
        """Number and shape of the training images, where they are known without reading them."""

    def load(self, split: Split, root: Path | None) -> RawImages:
        """The images of a split; `root` is where the user said that data files are.

        Raises:
            UsageError: a file is corrupt, or there is no such split.
            RunError: a file is nowhere to be found and cannot be downloaded.
        """


class Model(Protocol):
    value_range: ClassVar[tuple[float, float]]
    """What images are scaled to; what G's output lies in."""
    sample_mode: ClassVar[SampleMode]
    """BatchNorm's statistics when G draws sample sheets: running ones, or those of the sheet."""

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        """A net from (N, latent_dims) latents to (N, *shape) images in `value_range`."""

    def discriminator(self, shape: Shape) -> nn.Module:
        """A net from (N, *shape) images to (N,) logits; higher means more real."""


class Latent(Protocol):
    dims: int
    capturable: ClassVar[bool]
    """Whether drawing is the same work on the device each time, whatever values come up; a CUDA
    graph then replays it. A class that does not say is taken for one where it is not."""

    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """(num, dims) float32 latents on the generator's device."""

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The latent, (dims,), a share in [0, 1] of the way from a to b."""


class Loss(Protocol):
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss, a scalar, from its logits on real and on fake images."""

    def on_real(self, logits: Tensor) -> Tensor:
        """The real images' share of D's loss, for rules that update D on them alone."""

    def on_fake(self, logits: Tensor) -> Tensor:
        """The fake images' share of D's loss, for rules that update D on them alone."""

    def generator(self, fake: Tensor) -> Tensor:
        """G's loss, a scalar, from D's logits on fake images."""

    def output(self, logits: Tensor) -> Tensor:
        """What D's logits mean to a reader: the probability of being real, or the score."""


class UpdateRule(Protocol):
    batches_per_step: int
    """Batches of real images that one step uses."""
    optimizers: ClassVar[Mapping[str, Literal["G", "D"]]]
    """The optimizers of the rule, by name, and the net that each of them updates."""
    capturable: ClassVar[bool]
    """Whether a step is the same work on the device each time, whatever values come up: no
    float(tensor), no branch on one. As for a latent."""

    def step(
        self, state: State, loss: Loss, real: Tensor, latents: Callable[[int], Tensor]
    ) -> dict[str, Tensor]:
        """Update the nets once, in place.

        `real` is batches_per_step * batch_size images (fewer at the end of an epoch),
        `latents(n)` draws n fresh latents. Returns detached scalars to log.
        """
