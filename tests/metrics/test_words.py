"""How good a result is, in words, against what real images have."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import ganvas
from ganvas.metrics.words import verdict


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    path = tmp_path_factory.mktemp("words") / "x.npz"
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(path, images=images)
    return ganvas.evaluate(path, data=path, split="train", num=20, metrics="fd,prdc")


@pytest.mark.parametrize(
    ("value", "floor", "said"),
    [
        (1.2, 1.0, "as near to real images as these are to each other: {} 1.2 is 1.2 times the 1 "),
        (25.0, 11.5, "near to real images: {} 25 is 2.2 times the 11.5 of real images"),
        (60.0, 11.5, "some way from real images: {} 60 is 5.2 times the 11.5 of real images"),
        (570.0, 11.5, "far from real images: {} 570 is 50 times the 11.5 of real images"),
        (5700.0, 11.5, "far from real images: {} 5,700 is 496 times the 11.5 of real images"),
    ],
)
def test_of_a_distance(value: float, floor: float, said: str, rows: list[Any]) -> None:
    row = dataclasses.replace(rows[0], values={"distance": value}, floor={"distance": floor})
    assert verdict(row).startswith(said.format(row.metric))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.9, "as good as real images: {} precision 0.9 where real images have 0.9"),
        (0.8, "close to real images"),
        (0.5, "some way from real images"),
        (0.1, "far from real images"),
    ],
)
def test_of_a_share(value: float, said: str, rows: list[Any]) -> None:
    values = {"precision": value, "recall": 0.1}
    row = dataclasses.replace(rows[1], values=values, floor=dict.fromkeys(values, 0.9))
    assert verdict(row).startswith(said.format(row.metric))


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((0.5, 1.5), "told apart from real images: kd59 1 (0.5 to 1.5), real images 0.02"),
        (
            (-0.1, 2.1),
            "not to be told from real images by so few: kd59 1 (-0.1 to 2.1), real images",
        ),
        ((0.01, 2.1), "not to be told from real images by so few: kd59 1 (0.01 to 2.1), real "),
    ],
)
def test_of_a_kernel_distance(interval: tuple[float, float], said: str, rows: list[Any]) -> None:
    row = dataclasses.replace(
        rows[0], metric="kd59", settings={"kd": {}}, values={"distance": 1.0},
        intervals={"distance": interval}, floor={"distance": 0.02},
    )  # fmt: skip
    assert verdict(row).startswith(said)


@pytest.mark.parametrize(
    "floor", [{}, {"distance": 0.0}, {"distance": -0.1}, {"distance": math.nan}]
)
def test_without_a_floor_to_speak_of_there_is_none(
    floor: dict[str, float], rows: list[Any]
) -> None:
    assert verdict(dataclasses.replace(rows[0], values={"distance": 2.0}, floor=floor)) == ""


def test_of_a_metric_that_nobody_knows_there_is_none(rows: list[Any]) -> None:
    assert verdict(dataclasses.replace(rows[0], settings={"theirs": {}})) == ""


def test_a_run_ends_with_it(cli: Any, tiny_run: Any) -> None:
    *_, last = cli("train", tiny_run / "config.toml", "--evaluate", "fd20").out.splitlines()
    assert last.startswith("how good: ") and " times the " in last
