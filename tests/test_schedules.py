"""Schedules: values along the way, by images and by shares of a run."""

from __future__ import annotations

import pytest

from ganvas.config import Ramp
from ganvas.schedules import Progress, constant, schedule


@pytest.mark.parametrize(
    ("text", "images", "share", "expected"),
    [
        ("2 to 1", 0, 0.0, 2.0),
        ("2 to 1", 10**6, 0.25, 1.75),
        ("2 to 1", 0, 1.0, 1.0),
        ("2 to 1 from 50 % to 100 %", 0, 0.5, 2.0),
        ("2 to 1 from 50 % to 100 %", 0, 0.75, 1.5),
        ("2 to 1 over 20 %", 0, 0.2, 1.0),
        ("2 to 1 over 20 %", 0, 0.9, 1.0),
        ("2 to 1 over 1000 images", 100, 0.9, 1.9),
        ("2 to 1 from 1000 images to 2000 images", 999, 0.9, 2.0),
        ("2 to 1 from 1000 images to 2000 images", 1500, 0.0, 1.5),
        ("2 to 1 from 1000 images to 2000 images", 5000, 0.0, 1.0),
        ("2 to 1 cosine", 0, 0.0, 2.0),
        ("2 to 1 cosine", 0, 1 / 3, 1.75),
        ("2 to 1 cosine", 0, 0.5, 1.5),
        ("2 to 1 cosine", 0, 1.0, 1.0),
        ("0 to 8 cosine over 50 %", 0, 0.25, 4.0),
    ],
)
def test_values_on_the_way(text: str, images: int, share: float, expected: float) -> None:
    value = schedule(Ramp.parse(text))(Progress(images, share))
    assert value == pytest.approx(expected, abs=1e-12)


def test_the_ends_are_exact() -> None:
    for text in ("0.3 to 0.1", "0.3 to 0.1 cosine"):
        made = schedule(Ramp.parse(text))
        assert (made(Progress(0, 0.0)), made(Progress(0, 1.0))) == (0.3, 0.1)


def test_a_number_stays_as_it_is() -> None:
    for made in (schedule(0.7), constant(0.7)):
        assert {made(Progress(images, 0.5)) for images in (0, 10**9)} == {0.7}
