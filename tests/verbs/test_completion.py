"""What the shell completes: names of recipes, data sets, metrics, settings, families."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ganvas import config
from ganvas.registry import DATASETS, EXTRACTORS, METRICS
from ganvas.verbs import completion


def test_data_sets_are_those_that_are_registered() -> None:
    assert completion.data_sets("") == DATASETS.names()
    assert completion.data_sets("emnist") == ["emnist-letters"]


def test_names_are_recipes_and_components() -> None:
    families = [*config.COMPONENTS.values(), METRICS, EXTRACTORS]
    known = {name for registry in families for name in registry.names()}
    assert set(completion.names("")) == known | set(config.recipe_names())


def test_metrics_are_those_that_can_be_measured() -> None:
    assert set(completion.METRICS) == set(METRICS.names())


def test_a_list_of_metrics_goes_on_after_its_comma() -> None:
    assert completion.metrics("kd,1nn") == ["kd,1nn", "kd,1nn-labels"]


def test_settings_are_those_of_the_sections() -> None:
    assert completion.settings("train.le") == ["train.length="]
    assert completion.settings("loss.") == ["loss.name="]
    for text in completion.settings(""):
        section, _, key = text.removesuffix("=").partition(".")
        assert key == "name" or key in vars(config.SECTIONS[section](**needed(section)))


def needed(section: str) -> dict[str, object]:
    return {"length": "1 epoch"} if section == "train" else {}


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("ganvas sho", ["show"]),
        ("ganvas train modelzoo-vanilla", ["modelzoo-vanilla", "modelzoo-vanilla-as-coded"]),
        ("ganvas train --data emn", ["emnist-letters"]),
        ("ganvas train --batch", ["--batch-size"]),
        ("ganvas list data", ["data-sets"]),
        ("ganvas list los", ["losses"]),
    ],
)
def test_bash_gets_what_a_line_goes_on_with(line: str, completions: list[str]) -> None:
    words = line.split()
    asked = {
        "_GANVAS_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "ganvas"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | asked,
    )
    assert (done.stdout.split(), done.stderr) == (completions, "")
