"""What is asked of a component of each family: a class with these methods, and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeGuard, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ganvas.batch import Batch
    from ganvas.pixels import Pixels, Shape

Split = Literal["train", "test"]
SampleMode = Literal["inference", "batch"]
Scalars = dict[str, "Tensor"]
"""What a step reports, detached and without a value read from the device."""
Judge = Callable[["Batch"], "Tensor"]
"""From images to D's logits (N,), through all that lies before D."""


@dataclass(frozen=True)
class RawImages:
    """A data set as found, before preprocessing: its images may differ in size and channels."""

    images: Pixels | list[Pixels]
    """uint8: one (N, C, H, W) array, or a list of (C, H, W) arrays; C is 1, 3 or 4."""
    labels: NDArray[np.int64] | None = None
    """Class index of each image, from 0."""
    classes: tuple[str, ...] = ()
    """Class names in index order."""
    remarks: tuple[str, ...] = ()
    """What a user should know of it, a sentence each."""
    held_out: int = 0
    """Images that training leaves out to be the test split, of a set that has none; 0 of others."""
    about: str = ""
    """How it was split, if not as it was found: what follows a run's name, as "holds out ..."."""


class Dataset(Protocol):
    @property
    def known(self) -> tuple[int, Shape] | None:
        """Number and shape of the training images, where they are known without reading them."""

    def load(self, split: Split, root: Path | None) -> RawImages:
        """The images of a split; `root` is where the user said that data files are.

        Raises:
            NoSplit: there is no test split.
            UsageError: a file is corrupt.
            RunError: a file is nowhere to be found and cannot be downloaded.
        """


class Model(Protocol):
    """A pair of nets.

    Where a class has `takes_labels = True`, both methods take `num_classes` besides, G takes
    (latents, labels) and D (images, labels), with class indices (N,) as labels. A class that does
    not say takes none. A G with a `ClassEmbedding` is also given how much of each class is meant,
    (N, classes), in walks from class to class.
    """

    value_range: ClassVar[tuple[float, float]]
    """What images are scaled to; what G's output lies in."""
    sample_mode: ClassVar[SampleMode]
    """BatchNorm's statistics when G draws sample sheets: running ones, or those of the sheet."""

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        """A net from (N, latent_dims) latents to (N, *shape) images in `value_range`."""

    def discriminator(self, shape: Shape) -> nn.Module:
        """A net from (N, *shape) images to (N,) logits; higher means more real."""


def takes_labels(model: Model) -> bool:
    """Whether a model's nets are told the class of an image."""
    return bool(getattr(model, "takes_labels", False))


def build_generator(model: Model, shape: Shape, latent_dims: int, num_classes: int) -> nn.Module:
    """A model's G; `num_classes` is for one that takes labels, and 0 for others."""
    if takes_labels(model):
        return model.generator(shape, latent_dims, num_classes)  # type: ignore[call-arg]
    return model.generator(shape, latent_dims)


def build_discriminator(model: Model, shape: Shape, num_classes: int) -> nn.Module:
    """A model's D; `num_classes` as for G."""
    if takes_labels(model):
        return model.discriminator(shape, num_classes)  # type: ignore[call-arg]
    return model.discriminator(shape)


class Latent(Protocol):
    """One that also says its `mean` can be truncated: drawn nearer to it."""

    dims: int
    capturable: ClassVar[bool]
    """Whether drawing is the same work on the device each time, whatever values come up; a CUDA
    graph then replays it. A class that does not say is taken for one where it is not."""

    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """(num, dims) float32 latents on the generator's device."""

    def between(self, a: Tensor, b: Tensor, share: float) -> Tensor:
        """The latent, (dims,), a share in [0, 1] of the way from a to b."""


class Loss(Protocol):
    """A loss whose generator loss looks at real logits too has `relativistic = True`; rules then
    judge real images for G's update as well. A class that does not say looks at fakes alone."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss, a scalar, from its logits on real and on fake images."""

    def generator(self, fake: Tensor) -> Tensor:
        """G's loss, a scalar, from D's logits on fake images."""

    def output(self, logits: Tensor) -> Tensor:
        """What D's logits mean to a reader: the probability of being real, or the score."""


@runtime_checkable
class SeparableLoss(Loss, Protocol):
    """A loss of D that is a sum of a term on reals and one on fakes."""

    def on_real(self, logits: Tensor) -> Tensor:
        """The real images' share of D's loss, for rules that update D on them alone."""

    def on_fake(self, logits: Tensor) -> Tensor:
        """The fake images' share of D's loss, for rules that update D on them alone."""


class RelativisticLoss(Protocol):
    """A loss of G that looks at how real images fare beside the fakes."""

    relativistic: ClassVar[Literal[True]]

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """G's loss, a scalar, from D's logits on as many fakes as real images."""


def is_relativistic(loss: object) -> TypeGuard[RelativisticLoss]:
    """Whether G's loss is to be given real logits too."""
    return bool(getattr(loss, "relativistic", False))


class Penalty(Protocol):
    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> Tensor | float:
        """What is added to D's loss. `fake` is cut off from G; gradients are taken at copies."""


class Augmentation(Protocol):
    capturable: ClassVar[bool]
    """As for a latent."""

    def __call__(self, images: Tensor, rng: torch.Generator, strength: Tensor | float) -> Tensor:
        """(N, C, H, W) -> the same shape, differentiable.

        Random numbers come from `rng`, which is on the images' device. `strength` in [0, 1] is for
        one that adapts, and 1 for others.
        """


class UpdateRule(Protocol):
    """A rule that does not show D all the real images of a step has a method `reals_seen`, from
    the number that is drawn to the number that D sees."""

    batches_per_step: int
    """Batches of real images that one step uses."""
    optimizers: ClassVar[Mapping[str, Literal["G", "D"]]]
    """The optimizers of the rule, by name, and the net that each of them updates."""
    capturable: ClassVar[bool]
    """Whether a step is the same work on the device each time, whatever values come up: no
    float(tensor), no branch on one. As for a latent."""

    def step(self, players: Any, loss: Loss, penalty: Penalty, batch: Batch) -> Scalars:
        """Update the nets once, in place.

        `players` is a ganvas.training.players.Players; `batch` is batches_per_step * batch_size
        real images (fewer at the end of an epoch).
        Returns at least D/loss, G/loss, D/real and D/fake (mean outputs of D), each a scalar.
        """


def reals_seen(rule: UpdateRule, drawn: int) -> int:
    """Of so many real images drawn for a step, those that D sees."""
    seen = getattr(rule, "reals_seen", None)
    return drawn if seen is None else int(seen(drawn))
