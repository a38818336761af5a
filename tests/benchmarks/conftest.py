"""Run folders made by hand; the scripts of benchmarks/ find their parts from there."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from made_runs import Make, make_run  # noqa: E402


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make(planned, steps, shown=..., rows=...) -> a run folder below tmp_path."""
    return partial(make_run, tmp_path)
