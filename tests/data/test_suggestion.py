"""The command that fits a folder."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganvas.config.fitting import Facts
from ganvas.data.inspection import inspect
from ganvas.data.suggestion import suggest
from ganvas.images import write_png

MINE = Facts(900, {(28, 28): 900})


def test_one_command_does() -> None:
    assert suggest("my pictures", MINE).command == "ganvas train --data 'my pictures'"
    assert suggest("mine", MINE, broken=True).command == "ganvas train --data mine --skip-broken"


def test_it_says_what_is_done_to_the_pictures() -> None:
    assert "image_size" not in suggest("mine", MINE).why
    large = suggest("mine", Facts(900, {(480, 640): 900}))
    assert "preprocess.image_size = [64, 85]" in large.why
    assert "--image-size" not in large.command
    assert "augment.name = adaptive" in large.why


def test_a_size_that_was_looked_at_is_trained_on() -> None:
    found = suggest("mine", Facts(900, {(480, 640): 900}), image_size=(20, 30))
    assert found.command == "ganvas train --data mine --image-size 20x30"
    assert "image_size" not in found.why


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(5, 7), (20, 30), (28, 28), (33, 70), (64, 200), (90, 70)])
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


def test_data_inspect_ends_with_it(cli: Callable[..., Any]) -> None:
    *_, last, why = cli("data", "inspect", "digits").out.splitlines()
    assert last == "to begin with: ganvas train --data digits"
    assert why.startswith("  convolutional nets, fitted to the pictures")
