"""`evaluate` of one thing, of several, of a folder of runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ganvas
from ganvas.errors import UsageError

Cli = Callable[..., Any]
OPTIONS = {"split": "train", "metrics": "fd", "num": 20}


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """runs/a and runs/b/c, and one that has no generator yet."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b/c", "begun"):
        shutil.copytree(tiny_run, tmp_path / "runs" / name)
    shutil.rmtree(tmp_path / "runs" / "begun" / "generator")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("runs", ["runs/a", "runs/b/c"]),
        (["runs/a", "runs/b/c"], ["runs/a", "runs/b/c"]),
        (["runs/b", "runs/a"], ["runs/b/c", "runs/a"]),
        ("runs/*", ["runs/a", "runs/b/c"]),
    ],
)
def test_several_are_measured_one_after_the_other(
    what: str | list[str], names: list[str], runs: Path
) -> None:
    rows = ganvas.evaluate(what, **OPTIONS)
    assert [row.what for row in rows] == names
    assert len({row.values["distance"] for row in rows}) == 1  # they are copies
    for name in names:
        (line,) = (runs.parent / name / "metrics.jsonl").read_text().splitlines()
        assert "what" not in json.loads(line)  # the folder may be moved


def test_one_alone_is_as_before(runs: Path) -> None:
    (row,) = ganvas.evaluate("runs/a", **OPTIONS)
    assert row.what == "" and row.as_json() == json.loads(Path("runs/a/metrics.jsonl").read_text())


def test_each_has_its_table_and_json_says_of_which_it_is(runs: Path, cli: Cli) -> None:
    options = ("--split", "train", "--metrics", "fd", "--num", 20)
    text = cli("evaluate", "runs", *options).out
    assert text.index("runs/a") < text.index("runs/b/c") and "begun" not in text
    found = json.loads(cli("evaluate", "runs", *options, "--json").out)
    assert [row["what"] for row in found] == ["runs/a", "runs/b/c"]


def test_a_folder_of_pictures_is_no_folder_of_runs(tmp_path: Path, tiny_npz: Path) -> None:
    from ganvas.images import write_png

    images = np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
    for i, image in enumerate(images):
        write_png(tmp_path / "pictures" / f"{i}.png", image)
    (row,) = ganvas.evaluate(tmp_path / "pictures", data=tiny_npz, **OPTIONS)
    assert row.num_fake == 20


@pytest.mark.parametrize(
    ("what", "more", "said"),
    [
        ("nowhere", {}, r"^'nowhere' does not exist; allowed: a run folder, .*hf:OWNER/NAME$"),
        ("runs/x*", {}, r"^'runs/x\*' matches no run folder"),
        ("runs", {"pairs": "x.png"}, "^--pairs: found with 2 things to measure"),
        ("runs/a", {"num": 1}, "^--num: found 1; allowed: 2 or more$"),
    ],
)
def test_what_cannot_be_measured(what: str, more: dict[str, Any], said: str, runs: Path) -> None:
    with pytest.raises(UsageError, match=said):
        ganvas.evaluate(what, **OPTIONS | more)


def test_runs_that_have_no_generator_yet(runs: Path) -> None:
    (runs / "more").mkdir()
    (runs / "begun").rename(runs / "more" / "begun")
    with pytest.raises(UsageError, match="'runs/more': none of its 1 runs has a generator yet"):
        ganvas.evaluate("runs/more", **OPTIONS)
