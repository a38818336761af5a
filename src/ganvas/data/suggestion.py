"""Which recipe fits pictures, at what size and for how long: a table, in order of preference."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final, Literal

from ganvas.errors import printable


@dataclass(frozen=True)
class Choice:
    """A line of the table: pictures that a recipe is for, and how it is run on them."""

    recipe: str
    colours: Literal["grey", "any"]
    least: int
    """Smallest height and width of pictures that it is for."""
    square: bool
    """Whether its nets take square images alone."""
    side: int
    """The shorter side to train on, if the pictures have as much."""
    multiple: int
    """What height and width must be multiples of."""
    minutes: int
    """A length after which one sees whether it comes to something, on a few processor cores."""
    why: str
    most: int | None = None
    """It is for so many images at most."""


CHOICES: Final = (
    Choice(
        "quickstart", "grey", 1, False, 28, 1, 3,
        "small grey sets: dense nets, which take a minute rather than an hour", most=5_000,
    ),
    Choice(
        "genzoo-mnist", "grey", 24, False, 28, 4, 30,
        "grey pictures: convolutions, made for 28x28",
    ),
    Choice(
        "firstgan-dcgan-mnist", "any", 64, True, 64, 64, 90,
        "square pictures of 64 pixels and more: convolutions, made for 64x64",
    ),
    Choice(
        "genzoo-cifar10", "any", 24, False, 32, 8, 60,
        "pictures in colour: convolutions, made for 32x32",
    ),
    Choice(
        "quickstart", "any", 1, False, 28, 1, 3,
        "pictures too small for the convolutional recipes: dense nets, which take any size",
    ),
)  # fmt: skip
LONGEST: Final = 2.0
"""Pictures keep their shape where the nets allow it, up to this ratio of the two sides."""


@dataclass(frozen=True)
class Suggestion:
    """A command to start with."""

    command: str
    why: str


def suggest(
    what: str,
    count: int,
    size: tuple[int, int],
    *,
    grey: bool,
    of_one_size: bool,
    broken: bool,
    batch_sizes: dict[str, int],
) -> Suggestion:
    """What to train on `count` pictures, most of them of `size` (height, width)."""
    choice = next(one for one in CHOICES if _fits(one, count, min(size), grey))
    target = _target(choice, size)
    options = ["ganvas", "train", choice.recipe, "--data", what]
    if not of_one_size or target != size:
        height, width = target
        options += ["--image-size", str(height) if height == width else f"{height}x{width}"]
    why = choice.why
    if count < batch_sizes[choice.recipe]:
        options += ["--batch-size", str(1 << (count.bit_length() - 1))]
        why += "; the batch is as large as so few pictures fill"
    if broken:
        options.append("--skip-broken")
    options += ["--minutes", str(choice.minutes)]
    why += f"; {choice.minutes} minutes show whether it comes to something, more time is better"
    return Suggestion(printable(shlex.join(options)), why)


def _fits(choice: Choice, count: int, side: int, grey: bool) -> bool:
    enough = count <= (choice.most or count)
    return enough and side >= choice.least and (grey or choice.colours == "any")


def _target(choice: Choice, size: tuple[int, int]) -> tuple[int, int]:
    """The size to train on: the pictures' own if it will do, else the nearest that will."""
    height, width = size
    if choice.square:
        return choice.side, choice.side
    short = min(height, width, choice.side)
    ratio = min(LONGEST, max(size) / min(size))
    sides = [_rounded(short * (ratio if side > min(size) else 1), choice.multiple) for side in size]
    return sides[0], sides[1]


def _rounded(pixels: float, multiple: int) -> int:
    return max(multiple, round(pixels / multiple) * multiple)
