"""What a metric is: statistics of real images, computed once, with which fakes are compared."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from ganvas.metrics.inputs import Better, Values
from ganvas.pixels import ImageSet

Need = Literal[
    "features",
    "probabilities",
    "pixels",
    "images",
    "labels",
    "training",
    "unseen",
    "held_out",
    "labelled",
    "class_counts",
]
"""A field of `Views`."""
StandIns = Literal["other split", "training", "left out", "reference"]
"""Real images that stand in for fakes: those of the other split; training images, save those held
out; training images that the others are then without; or the reference images themselves."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """Images in the forms that metrics look at; a form that none of them needs is not there."""

    features: Values | None = None
    """(N, d), of an extractor."""
    probabilities: Values | None = None
    """(N, classes), of a classifier."""
    own_classes: bool = True
    """Whether those are the classes of the data set; Inception's are not."""
    pixels: Values | None = None
    """(N, d): uint8, or floats from 0 to 1; images large enough for it are shrunk."""
    images: Values | None = None
    """(N, C, H, W): as they are; uint8, or floats from 0 to 1."""
    labels: Values | None = None
    """(N,), the class of each image."""
    training: Values | None = None
    """Of real images: `pixels` of those that the generator was trained on."""
    unseen: Values | None = None
    """Of real images: `pixels` of some that it was not trained on."""
    held_out: Values | None = None
    """Of real images: `images` of the training set on which a metric may choose a setting."""
    labelled: ImageSet | None = None
    """Of real images: as many as there are fakes, of the other split, with their labels."""
    class_counts: Values | None = None
    """Of real images: (classes,), how many of the training images are of each class."""
    classes: tuple[str, ...] = ()
    """Names of the classes that labels stand for, of real images that have any."""

    def first(self, num: int) -> Views:
        """The first so many of fakes in each form."""
        forms = ("features", "probabilities", "pixels", "images", "labels")
        given = {form: getattr(self, form) for form in forms}
        cut = {form: values[:num] for form, values in given.items() if values is not None}
        return dataclasses.replace(self, **cut)


@dataclass(frozen=True)
class Pair:
    """A fake and the training image nearest to it."""

    fake: int
    """Row of the fake."""
    train: int
    """Row of the training image."""
    distance: float
    """Between them, in the unit of the pixels."""
    ratio: float
    """That distance divided by the one to the second nearest training image; 0 for a copy."""


@dataclass(frozen=True)
class Measured:
    """What a metric says of fakes."""

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """95 % intervals, of those values that have one."""
    pairs: tuple[Pair, ...] = ()
    """The fakes most like training images, for metrics that look for them."""
    remark: str = ""
    """What a reader should know of these values."""


class Metric(ABC):
    """A metric: a frozen dataclass whose fields are its settings, registered under a short name."""

    needs: ClassVar[tuple[Need, ...]]
    """The fields of `Views` that it reads; the first one is that of the fakes."""
    better: ClassVar[Mapping[str, Better]]
    """Where the best value lies, of each value that has a better direction."""
    in_inception: ClassVar[str] = ""
    """What it is called in Inception's features, and only there; empty: as ever."""
    floor: ClassVar[StandIns] = "other split"
    """Which real images stand in for fakes to tell what a perfect generator would get."""
    rules: ClassVar[tuple[str, ...]] = ()
    """Settings that are printed with its numbers, which say nothing without them."""
    more_fakes: ClassVar[bool] = False
    """Whether there may be more fakes than reference images, up to as many as can stand in."""

    @abstractmethod
    def statistics(self, real: Views) -> Any:
        """What `compare` needs of the real images. Raises UsageError as `compare` does."""

    @abstractmethod
    def compare(self, statistics: Any, fakes: Views) -> Measured:
        """The numbers of fakes, given the statistics of the real images.

        Raises:
            UsageError: too few images, not finite, or not of the same form as the real ones.
        """

    def fitted(self, real: Views) -> Self:
        """The metric with settings that were left unset as these real images allow."""
        return self
