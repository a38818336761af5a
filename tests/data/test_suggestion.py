"""The command that fits a folder: by size, colour and number of pictures."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganvas import config
from ganvas.data.inspection import inspect
from ganvas.data.suggestion import CHOICES, suggest
from ganvas.images import write_png

BATCHES = {choice.recipe: 32 for choice in CHOICES}


def command(count: int, size: tuple[int, int], grey: bool, **more: Any) -> list[str]:
    options: dict[str, Any] = {"of_one_size": True, "broken": False, "batch_sizes": BATCHES}
    return shlex.split(suggest("my pictures", count, size, grey=grey, **options | more).command)


@pytest.mark.parametrize(
    ("count", "size", "grey", "recipe", "image_size"),
    [
        (9000, (28, 28), True, "genzoo-mnist", None),
        (900, (28, 28), True, "quickstart", None),
        (900, (100, 100), True, "quickstart", "28"),
        (9000, (300, 200), True, "genzoo-mnist", "40x28"),  # 42 is between 40 and 44
        (9000, (32, 32), False, "genzoo-cifar10", None),
        (9000, (40, 60), False, "genzoo-cifar10", "32x48"),
        (9000, (20, 20), False, "quickstart", None),
        (9000, (480, 640), False, "firstgan-dcgan-mnist", "64"),
        (9000, (64, 64), False, "firstgan-dcgan-mnist", None),
    ],
)
def test_by_size_colour_and_number(
    count: int, size: tuple[int, int], grey: bool, recipe: str, image_size: str | None
) -> None:
    found = command(count, size, grey)
    assert found[:5] == ["ganvas", "train", recipe, "--data", "my pictures"]
    given = found[found.index("--image-size") + 1] if "--image-size" in found else None
    assert given == image_size
    assert "--minutes" in found


def test_what_else_is_needed() -> None:
    few = command(20, (28, 28), True)
    assert few[few.index("--batch-size") + 1] == "16"
    assert "--batch-size" not in command(32, (28, 28), True)
    assert "--skip-broken" in command(900, (28, 28), True, broken=True)
    assert "--image-size" in command(900, (28, 28), True, of_one_size=False)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (20, 30), (28, 28), (33, 70), (64, 64), (90, 70)])
def test_a_run_takes_what_is_suggested(
    channels: int, size: tuple[int, int], tmp_path: Path, cli: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        image = rng.integers(0, 256, (channels, *size), dtype=np.uint8)
        write_png(tmp_path / "mine" / f"{i}.png", image)
    suggestion = inspect("mine").suggestion
    done = cli(*shlex.split(suggestion.command)[1:], "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert suggestion.why


def test_data_inspect_ends_with_it(cli: Callable[..., Any]) -> None:
    *_, last, why = cli("data", "inspect", "digits").out.splitlines()
    assert last == "to begin with: ganvas train quickstart --data digits --minutes 3"
    assert why.startswith("  small grey sets: dense nets")


def test_every_choice_is_a_recipe() -> None:
    assert {choice.recipe for choice in CHOICES} <= set(config.recipe_names())
