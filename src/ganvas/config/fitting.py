"""What a recipe leaves to the images: the rules by which it is fitted to them.

A recipe names such settings in `fitted`. Each is chosen from what is known of the images and of the
settings that are given, and has its reason. docs/own-pictures.md says the rules in words, with the
measurements that they come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ganvas.config.length import Length
from ganvas.errors import UsageError
from ganvas.registry import closest

Size = tuple[int, int]
"""Height and width."""

SMALLEST, LARGEST = 8, 64
"""The shorter side of pictures that are trained on as they are. Larger ones are for a GPU."""
LONGEST: Final = 2.0
"""The ratio of the sides of a picture, of which more is squeezed."""
ENOUGH_OF_A_CLASS: Final = 200
"""Images of each class, below which the nets are not told the classes. A guess: on few images a GAN
with classes collapses where one without does not (Shahbazi et al. 2022)."""
ROWS: Final = 20
"""Classes of which a sheet shows a row each, at most."""
USUAL_LENGTH: Final = 600_000
"""Images that a run of 28x28 pixels shows."""
SHORTEST_LENGTH: Final = 150_000
"""Images that a run shows however few there are."""
PASSES: Final = 200
"""Passes over all images, after which few images are shown no more."""
USUAL_BATCH: Final = 64
FEW: Final = 5_000
"""Images, below which D sees them changed at random once it begins to know them by heart."""
SHEETS: Final = 40
"""Sheets of a run."""


@dataclass(frozen=True)
class Facts:
    """What is known of a data set before training."""

    count: int
    """Images in the train split."""
    sizes: Mapping[Size, int]
    """How many images have a size, the most frequent first."""
    class_counts: tuple[int, ...] = ()
    """Images of each class; empty without labels."""


@dataclass(frozen=True)
class Choice:
    """A setting that was chosen."""

    setting: str
    """Such as train.batch_size."""
    value: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.setting} = {self.value}"


def fitted(facts: Facts, wanted: Iterable[str], given: Mapping[str, Any]) -> list[Choice]:
    """Choices for the settings `wanted`, but those that are `given`.

    `given` are settings by their dotted names, those that the recipe says itself and the user's.
    """
    if facts.count < 2:
        return []  # which is too little to train on, and is said where images are prepared
    choices = {choice.setting: choice for choice in _choices(facts, given)}
    return [choices[name] for name in wanted if name in choices and name not in given]


RULED: Final = (
    "preprocess.image_size",
    "model.width",
    "model.dense",
    "latent.dims",
    "augment.name",
    "ema.half_life",
    "train.length",
    "train.batch_size",
    "output.sample",
    "output.checkpoint",
    "output.grid",
)
"""The settings that there is a rule for."""


def check_ruled(settings: Iterable[str]) -> None:
    """UsageError if there is no rule for one of them."""
    for setting in settings:
        if setting not in RULED:
            raise UsageError(f"fitted: no rule for '{setting}': {closest(setting, RULED)}")


def _choices(facts: Facts, given: Mapping[str, Any]) -> Iterator[Choice]:
    size = fitting_size(tuple(facts.sizes))
    if size is not None:
        yield Choice("preprocess.image_size", list(size), _why_resized(tuple(facts.sizes), size))
    height, width = _given_size(given) or size or next(iter(facts.sizes))
    count = min(facts.count, given.get("preprocess.first", facts.count))

    length = _length(count, height * width)
    yield length
    shown = Length.parse(given.get("train.length", length.value)).images(count)
    yield from _nets(shown)
    yield Choice("latent.dims", 64, "all measurements were made with it")
    yield _batch(count)
    if count < FEW:
        reason = f"{count:,} images are few: changed as soon as D begins to know them by heart"
        yield Choice("augment.name", "adaptive", reason)
    else:
        yield Choice("augment.name", "none", f"{count:,} images are enough to do without")
    yield from _average(shown)
    yield from _periods(shown)
    yield _grid(facts.class_counts)


# Size


def fitting_size(sizes: Sequence[Size]) -> Size | None:
    """Height and width to train on, of pictures of these sizes, the most frequent first.

    None if they may stay as they are.
    """
    height, width = sizes[0]
    short = min(height, width)
    fits = SMALLEST <= short <= LARGEST and max(height, width) <= LONGEST * LARGEST
    if len(sizes) == 1 and fits:
        return None
    target = min(max(short, SMALLEST), LARGEST)
    ratio = min(LONGEST, max(height, width) / short)
    long = round(target * ratio)
    return (target, long) if height == short else (long, target)


def _why_resized(sizes: Sequence[Size], size: Size) -> str:
    height, width = sizes[0]
    text = f"most pictures are {height}x{width}" if len(sizes) > 1 else f"they are {height}x{width}"
    others = f", and there are {len(sizes):,} sizes" if len(sizes) > 1 else ""
    if min(height, width) > LARGEST:
        return f"{text}{others}; {LARGEST} pixels are what a processor can do in minutes"
    if min(height, width) < SMALLEST:
        return f"{text}{others}; the nets begin at {SMALLEST} pixels"
    return f"{text}{others}; all are trained on in one"


def _given_size(given: Mapping[str, Any]) -> Size | None:
    from ganvas.config.sections import Preprocess

    size = given.get("preprocess.image_size")
    return None if size is None else Preprocess(image_size=size).image_size


# Length, nets, batch


def _length(count: int, pixels: int) -> Choice:
    usual = USUAL_LENGTH * math.sqrt(28 * 28 / pixels)
    most = max(SHORTEST_LENGTH, PASSES * count)
    amount = _two_digits(min(usual, most))
    if most < usual:
        passes = f"{amount / count:,.0f} passes over {count:,} images"
        reason = f"{passes}; more brings little but copies"
    else:
        reason = "some minutes on two processor cores; more is better"
    return Choice("train.length", f"{amount} images", reason)


def _nets(shown: int | None) -> Iterator[Choice]:
    """By the images that the run will show; None if a clock decides."""
    width, reason = 16, "learns most in some minutes on a processor"
    if shown is not None and shown < 60_000:
        width, reason = 8, "so short a run is over before wider nets have learnt as much"
    elif shown is not None and shown >= 2_000_000:
        width, reason = 32, "so long a run has the time for wider nets"
    yield Choice("model.width", width, reason)
    yield Choice("model.dense", 32 * width, f"goes with a width of {width}")


def _batch(count: int) -> Choice:
    fits = 1 << max(1, (count // 2).bit_length() - 1)
    if fits < USUAL_BATCH:
        return Choice("train.batch_size", fits, f"{count:,} images fill no larger batch twice")
    return Choice("train.batch_size", USUAL_BATCH, "half the distance of batches of 128")


def _average(shown: int | None) -> Iterator[Choice]:
    half_life = 20_000.0 if shown is None else float(min(20_000, _two_digits(shown / 15)))
    yield Choice("ema.half_life", half_life, "images; smooths what single steps do to G")


# What is written


def _periods(shown: int | None) -> Iterator[Choice]:
    every = max(_two_digits((shown or USUAL_LENGTH) / SHEETS), 1)
    reason = f"about {SHEETS} sheets" if shown else "every ten seconds or so"
    yield Choice("output.sample", f"{every} images", reason)
    yield Choice("output.checkpoint", f"{4 * every} images", "with every fourth sheet")


def _grid(class_counts: Sequence[int]) -> Choice:
    classes = len(class_counts)
    if classes > 1 and min(class_counts) >= ENOUGH_OF_A_CLASS:
        return Choice("output.grid", [min(classes, ROWS), 10], "a row a class")
    return Choice("output.grid", [8, 8], "without classes in rows")


def _two_digits(value: float) -> int:
    """Rounded to two significant digits."""
    if value < 1:
        return 1
    unit: int = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return round(value / unit) * unit
