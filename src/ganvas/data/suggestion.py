"""The command to start with on pictures of one's own, and what it will do."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from ganvas.config.fitting import Facts, fitted
from ganvas.errors import printable

TOLD = ("preprocess.image_size", "augment.name", "train.length")
"""Settings that are worth a word beforehand."""


@dataclass(frozen=True)
class Suggestion:
    """A command to start with."""

    command: str
    why: str


def suggest(
    what: str, facts: Facts, *, image_size: tuple[int, int] | None = None, broken: bool = False
) -> Suggestion:
    """What to train on pictures, of which some may be `broken`, at a size if one was asked for."""
    options = ["ganvas", "train", "--data", what]
    given = {}
    if image_size is not None:
        height, width = image_size
        options += ["--image-size", str(height) if height == width else f"{height}x{width}"]
        given["preprocess.image_size"] = image_size
    if broken:
        options.append("--skip-broken")
    chosen = [f"{choice} ({choice.reason})" for choice in fitted(facts, TOLD, given)]
    why = "convolutional nets, fitted to the pictures; --dry-run shows all that is chosen; "
    return Suggestion(printable(shlex.join(options)), why + ", ".join(chosen))
