"""What is done to images, real ones and fakes alike, before D judges them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor

from ganvas.config import Positive, Probability
from ganvas.registry import AUGMENTATIONS, CHECKED


@AUGMENTATIONS.register("none")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NoAugmentation:
    """D sees images as they are (Goodfellow et al. 2014, algorithm 1)."""

    capturable: ClassVar[bool] = True

    def __call__(self, images: Tensor, rng: Generator, strength: Tensor | float) -> Tensor:
        return images


@AUGMENTATIONS.register("diffaugment")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class DiffAugment:
    """Colour, place and cut-outs of each image drawn anew (Zhao et al. 2020, section 3.2).

    Values are taken to lie around 0, as in [-1, 1]; of four channels the last, opacity, keeps its
    values.
    """

    capturable: ClassVar[bool] = True

    brightness: Annotated[float, Field(ge=0)] = 0.5
    """Most that is added to or taken from all values of an image."""

    saturation: Probability = 1.0
    """By how much colours may fade or strengthen: 1 is from grey to doubled; no effect on grey."""

    contrast: Probability = 0.5
    """By how much the distance from an image's mean may shrink or grow."""

    translation: Annotated[float, Field(ge=0, lt=1)] = 0.125
    """Most that an image moves each way, as a share of its sides; pixels from outside are 0."""

    cutout: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Sides of the square that is put to 0, as a share of the image's."""

    flips: bool = False
    """Mirror half of the images, left to right; not for writing."""

    def __call__(self, images: Tensor, rng: Generator, strength: Tensor | float) -> Tensor:
        return _changed(images, rng, self, None)


@AUGMENTATIONS.register("adaptive")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Adaptive:
    """`diffaugment`, each change with a chance that follows from D's lead (Karras et al. 2020).

    The chance starts at 0. It rises while D's mean output on reals exceeds that on fakes by more
    than `target`, which is what overfitting to few images looks like, and falls otherwise.
    """

    capturable: ClassVar[bool] = True

    changes: DiffAugment = DiffAugment()
    """What is changed, and by how much: the settings of `diffaugment`."""

    target: Annotated[float, Field(gt=0)] = 0.6
    """The lead at which the chance stays as it is, in D's outputs as they are logged: a difference
    of probabilities, or of scores where the loss works on scores."""

    span: Positive = 100_000
    """Real images in which the chance goes from 0 to 1 at the fastest."""

    def __call__(self, images: Tensor, rng: Generator, strength: Tensor | float) -> Tensor:
        return _changed(images, rng, self.changes, strength)


def _changed(
    images: Tensor, rng: Generator, by: DiffAugment, chance: Tensor | float | None
) -> Tensor:
    """Images after all changes, each of them with a chance for each image; None: for certain."""

    def one(value: Tensor) -> Tensor:
        """(N, 1, 1, 1) values for a change, those of no change (0) where it is not drawn."""
        if chance is None:
            return value
        return torch.where(_uniform(images, rng) < chance, value, torch.zeros_like(value))

    opacity = images[:, 3:] if images.shape[1] == 4 else None
    x = images if opacity is None else images[:, :3]
    if by.brightness:
        x = x + one(by.brightness * _around_zero(images, rng))
    if by.saturation and x.shape[1] == 3:
        grey = x.mean(dim=1, keepdim=True)
        x = x + (x - grey) * one(by.saturation * _around_zero(images, rng))
    if by.contrast:
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = x + (x - mean) * one(by.contrast * _around_zero(images, rng))
    if opacity is not None:
        x = torch.cat([x, opacity], dim=1)
    if by.flips:
        mirrored = one((_uniform(images, rng) < 0.5).to(x.dtype))
        x = torch.where(mirrored > 0, x.flip(3), x)
    if by.translation:
        down, right = (
            one(_most(side, by.translation) * _around_zero(images, rng))
            for side in images.shape[2:]
        )
        x = _moved(x, down.round(), right.round())
    if by.cutout:
        x = x * (1 - one(_holes(x, by.cutout, rng)))
    return x


def _uniform(images: Tensor, rng: Generator) -> Tensor:
    """A number in [0, 1) for each image, (N, 1, 1, 1)."""
    return torch.rand(len(images), 1, 1, 1, generator=rng, device=images.device)


def _around_zero(images: Tensor, rng: Generator) -> Tensor:
    """A number in [-1, 1) for each image."""
    return 2 * _uniform(images, rng) - 1


def _most(side: int, share: float) -> float:
    """Such that rounding gives each whole number of pixels up to the share the same chance."""
    return int(side * share + 0.5) + 0.499


def _moved(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each image moved by whole pixels; zeros come in."""
    height, width = x.shape[2:]
    rows, inside_rows = _sources(height, down.view(-1, 1), x)
    columns, inside_columns = _sources(width, right.view(-1, 1), x)
    image = torch.arange(len(x), device=x.device).view(-1, 1, 1)
    moved = x.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return moved.permute(0, 3, 1, 2) * inside


def _sources(side: int, shift: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Where each row comes from, (N, side), and whether that lies in the image."""
    place = torch.arange(side, device=x.device) - shift.long()
    return place.clamp(0, side - 1), (place >= 0) & (place < side)


def _holes(x: Tensor, share: float, rng: Generator) -> Tensor:
    """(N, 1, H, W), 1 in a rectangle of each image that may reach over its edge."""
    inside = []
    for dim in (2, 3):
        side = x.shape[dim]
        size = int(side * share + 0.5)
        centre = (_uniform(x, rng) * (side + 1 - size % 2)).floor()
        place = torch.arange(side, device=x.device).view(1, 1, -1, 1).transpose(2, dim)
        first = centre - size // 2
        inside.append((place >= first) & (place < first + size))
    return (inside[0] & inside[1]).to(x.dtype)
