"""Stated intervals hold the mean over pairs of sets about as often as they say."""

from __future__ import annotations

from pathlib import Path

import interval_coverage
import numpy as np
import pytest


@pytest.mark.slow
def test_intervals_hold_on_mnist(real_data: Path) -> None:
    """Sixty pairs of each kind; the study of 200 allows 90 to 98 %."""
    found, labels = interval_coverage.seen(None)
    for kind in ("real", "dropped", "blur"):
        rows = []
        for number in range(60):
            rng = np.random.default_rng(number)
            sets = interval_coverage.pair(kind, 1000, rng, found, labels)
            rows.append(interval_coverage.measured(*sets))
        for key in interval_coverage.VALUES:
            mean = np.mean([values[key] for values, _ in rows])
            given = [intervals[key] for _, intervals in rows if key in intervals]
            held = np.mean([low <= mean <= high for low, high in given]) if given else 0.95
            assert held >= 0.85, (kind, key)  # 0.95 less three of its own errors


def test_a_line_says_how_often_the_mean_is_held() -> None:
    values, intervals = [0.4, 0.6], [(0.3, 0.55), None]
    assert interval_coverage.line("real", 10, "recall", values, intervals) == (
        "| 10 | real | recall | 0.5000 | 0.1414 | 0.0638 | 1 | 100.0% |"
    )
