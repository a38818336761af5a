"""What is to be run: recipe, seed, length, and in which order."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PUBLISHED: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("published.toml").read_text(encoding="utf-8")
)
"""What the published documents say of each recipe; see the head of that file."""


@dataclass(frozen=True)
class Planned:
    """A run of the queue."""

    recipe: str
    seed: int
    steps: int
    """The published length."""
    minutes: float
    """About how long it takes on two cores; the order goes by it."""
    born: str
    """The framework of the original: tensorflow or pytorch."""
    epochs: int | None = None
    """Where the length is not the recipe's own."""
    enough: int | None = None
    """Without a GPU the queue goes on with the next run after so many steps."""
    settings: tuple[str, ...] = ()
    """Further settings, as `ganvas train --set` takes them."""

    @property
    def name(self) -> str:
        """The run's folder."""
        length = f"-{self.epochs}epochs" if self.epochs else ""
        return f"{self.recipe}{length}-seed{self.seed}"

    @property
    def published(self) -> dict[str, Any]:
        found: dict[str, Any] = PUBLISHED[self.recipe]
        return found

    @property
    def arguments(self) -> list[str]:
        """What follows `ganvas train` the first time."""
        length = ["--epochs", str(self.epochs)] if self.epochs else []
        settings = [word for setting in self.settings for word in ("--set", setting)]
        return [self.recipe, "--seed", str(self.seed), *length, *settings]


EACH_STEP = ("output.log=1 step",)
"""The published losses of these recipes are those of single steps."""


def _cs231n(kind: str, minutes: float) -> list[Planned]:
    return [
        Planned(f"cs231n-{kind}", seed, 3_900, minutes, "pytorch", settings=EACH_STEP)
        for seed in range(3)
    ]


PLAN = (
    *_cs231n("lsgan", 2),
    *_cs231n("vanilla", 2),
    *(Planned("modelzoo-vanilla", seed, 23_400, 10, "tensorflow") for seed in range(3)),
    *_cs231n("dcgan", 12),
    Planned("firstgan-vanilla-mnist", 0, 120_000, 50, "pytorch"),
    Planned("mnist-classes", 0, 50_000, 65, "tensorflow"),
    Planned("modelzoo-vanilla", 0, 187_200, 80, "tensorflow", epochs=400),
    Planned("firstgan-vanilla-alphabet", 0, 267_000, 110, "pytorch"),
    Planned("genzoo-mnist", 0, 93_750, 150, "tensorflow"),
    Planned("genzoo-mnist-as-coded", 0, 93_750, 150, "tensorflow"),
    Planned("firstgan-dcgan-mnist", 0, 12_000, 220, "pytorch"),
    Planned("genzoo-cifar10", 0, 78_000, 1_800, "tensorflow", enough=12_000),
    Planned("firstgan-dcgan-alphabet", 0, 267_000, 4_800, "pytorch", enough=8_000),
)
"""Short ones first, those of TensorFlow and of PyTorch mixed. On a GPU the big ones come first."""


def select(only: Iterable[str] = (), born: str | None = None) -> list[Planned]:
    """The runs that are named, by recipe or by folder, in the plan's order; without names all.

    Raises:
        ValueError: no run has one of the names.
    """
    wanted = [word.strip() for words in only for word in words.split(",") if word.strip()]
    for word in wanted:
        if not any(word in (run.recipe, run.name) for run in PLAN):
            names = ", ".join(run.name for run in PLAN)
            raise ValueError(f"--only: found '{word}'; allowed: a recipe of, or one of {names}")
    return [
        run
        for run in PLAN
        if (not wanted or run.recipe in wanted or run.name in wanted)
        and (born is None or run.born == born)
    ]
