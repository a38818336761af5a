"""Settings that have no effect are named; those of bundled recipes are known to their authors."""

from __future__ import annotations

from typing import Any

import pytest

import ganvas
from ganvas import config


@pytest.mark.parametrize(
    ("recipe", "settings", "keys"),
    [
        ("quickstart", {}, []),
        ("quickstart", {"evaluate.every": "1 epoch"}, []),
        ("quickstart", {"evaluate.metrics": "none"}, []),
        (
            "quickstart",
            {"evaluate.metrics": "none", "evaluate.best": "fd", "evaluate.features": "random"},
            ["evaluate.best", "evaluate.features"],
        ),
        (
            "quickstart",
            {"evaluate.metrics": "none", "evaluate.every": "1 epoch"},
            ["evaluate.every"],
        ),
        ("quickstart", {"train.drop_last": False}, []),
        (
            "quickstart",
            {"train.drop_last": False, "train.order": "replacement"},
            ["train.drop_last"],
        ),
        (
            "quickstart",
            {"train.drop_last": False, "train.order": "independent"},
            ["train.drop_last"],
        ),
        ("quickstart", {"loss.d_scale": 0.5, "update.d_batch": "merged"}, []),
        ("quickstart", {"loss.d_scale": 0.5, "update.d_batch": "separate"}, ["loss.d_scale"]),
        ("quickstart", {"watchdog.collapse": "stop"}, []),
        (
            "quickstart",
            {"watchdog.collapse": "stop", "train.on_failure": "rollback"},
            ["watchdog.collapse"],
        ),
        (
            "quickstart",
            {"model.name": "modern", "model.label_fade": "0 to 1"},
            ["model.label_fade"],
        ),
        (
            "quickstart",
            {"model.name": "modern", "model.label_fade": "0 to 1", "model.labels": "on"},
            [],
        ),
        ("mnist-classes", {"loss.d_scale": 0.5}, ["loss.d_scale"]),
        ("modelzoo-vanilla-as-coded", {"loss.d_scale": 0.25}, ["loss.d_scale"]),
    ],
)
def test_what_has_no_effect(recipe: str, settings: dict[str, Any], keys: list[str]) -> None:
    lines = config.ignored(ganvas.resolve(recipe, settings=settings))
    assert [line.partition(" = ")[0] for line in lines] == keys
    assert all(" has no effect: " in line for line in lines)


@pytest.mark.parametrize("name", config.recipe_names())
def test_bundled_recipes_are_silent(name: str) -> None:
    assert config.ignored(ganvas.resolve(name)) == []


def test_a_run_says_it(tmp_path: Any, train_tiny: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = ganvas.resolve(
        images=64,
        evaluate="none",
        settings={"train.drop_last": False, "train.order": "replacement", "train.device": "cpu"},
    )
    ganvas.train(run, outdir=tmp_path / "run")
    said = capsys.readouterr().out.replace("\n", " ")
    assert (
        "warning: train.drop_last = False has no effect: with train.order = 'replacement'" in said
    )
