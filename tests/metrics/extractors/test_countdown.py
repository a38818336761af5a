"""How long features still take."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from ganvas.metrics.extractors import countdown
from ganvas.metrics.extractors.pixels import pixels

Clock = Callable[[], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A call lets four seconds pass; no others do."""
    now = [100.0]
    monkeypatch.setattr(countdown.time, "monotonic", lambda: now[0])

    def tick() -> None:
        now[0] += 4

    return tick


def test_the_estimate() -> None:
    expected = "features of 1,200 of 10,000 images · 12.0 images/s · 0:12:13 left"
    assert countdown.summary(1200, 10_000, 100.0) == expected


def test_plain_lines_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for start in countdown.watched(range(0, 79, 8), 79):
        assert start % 8 == 0
        clock()
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [
        "features of 8 of 79 images · 2.0 images/s · 0:00:36 left",
        "features of 32 of 79 images · 2.0 images/s · 0:00:24 left",
        "features of 56 of 79 images · 2.0 images/s · 0:00:12 left",
        "features of 79 of 79 images · 2.0 images/s · 0:00:00 left",
    ]


def test_lines_for_whoever_wants_them(clock: Clock) -> None:
    lines: list[str] = []
    for _ in countdown.told(range(0, 79, 8), 79, "learns from", lines.append):
        clock()
    assert lines[0] == "learns from 8 of 79 images · 2.0 images/s · 0:00:36 left"
    assert len(lines) == 4  # one as soon as it takes long, then every ten seconds
    lines.clear()
    assert list(countdown.told(range(3), 3, "learns from", lines.append)) == [0, 1, 2]
    assert not lines


def test_what_is_quick_shows_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(countdown.watched(range(0, 79, 8), 79)) == list(range(0, 79, 8))
    assert capsys.readouterr().err == ""


def test_a_line_that_lives_on_a_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(countdown, "Console", lambda stderr: console)
    for _ in countdown.watched(range(0, 20, 10), 20):
        clock()
    assert "features of 20 of 20 images · 2.5 images/s · 0:00:00 left" in screen.getvalue()


def test_an_extractor_is_watched_block_by_block() -> None:
    seen = []

    def watch(starts: range, num: int) -> range:
        seen.append((starts, num))
        return starts

    extractor = replace(pixels(), watch=watch, block=8)
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    assert np.allclose(extractor(images)[0][:, 0], np.arange(20) / 255)
    assert seen == [(range(0, 20, 8), 20)]
