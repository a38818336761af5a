"""Runs that differ in the seed only are one group, and its name says what sets it apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganvas.comparison.groups import differences, group_runs
from ganvas.comparison.runs import RunRecord
from ganvas.rundir import RunFolder


def record(name: str, **settings: Any) -> RunRecord:
    """A run that was never on disk; settings by keyword with __ for dots."""
    dotted = {"recipe": "tiny", "seed": 0, "loss.name": "non-saturating"}
    dotted |= {key.replace("__", "."): value for key, value in settings.items()}
    return RunRecord(RunFolder(Path(name)), dotted, {}, [], [])


def names(*runs: RunRecord) -> list[str]:
    return [group.name for group in group_runs(runs)]


def test_runs_that_differ_in_the_seed_only_are_one_group() -> None:
    runs = [record("a", seed=0), record("b", seed=1), record("c", seed=0, train__length="3 epochs")]
    groups = group_runs(runs)
    assert [group.runs for group in groups] == [tuple(runs[:2]), (runs[2],)]


def test_other_training_images_make_another_group() -> None:
    """A folder of pictures may have changed between two runs with the same settings."""
    assert len(names(record("a", data__sha256="12"), record("b", data__sha256="34"))) == 2


def test_a_lone_group_has_the_recipes_name() -> None:
    assert names(record("a"), record("b", seed=4)) == ["tiny"]


def test_a_name_has_the_settings_that_differ_within_the_recipe() -> None:
    runs = [
        record("a", train__batch_size=16),
        record("b", train__batch_size=32),
        record("c", recipe="other", train__batch_size=64),
    ]
    assert names(*runs) == ["tiny train.batch_size=16", "tiny train.batch_size=32", "other"]


def test_what_follows_from_the_choice_of_a_component_is_not_named() -> None:
    ours = {"loss__name": "non-saturating", "loss__real_target": 0.9}
    theirs = {"loss__name": "least-squares", "loss__real_target": 1.0}
    assert names(record("a", **ours), record("b", **theirs)) == [
        "tiny loss.name=non-saturating",
        "tiny loss.name=least-squares",
    ]
    third = names(
        record("a", **ours), record("b", **theirs), record("c", **(ours | {"loss__real_target": 1}))
    )
    assert third[0] == "tiny loss.name=non-saturating loss.real_target=0.9"
    assert third[2] == "tiny loss.name=non-saturating loss.real_target=1"


def test_a_setting_that_a_run_lacks_is_not_in_its_name() -> None:
    old, new = record("a"), record("b", train__fast_layers=True)
    assert names(old, new) == ["tiny", "tiny train.fast_layers=True"]
    assert differences([old.settings, new.settings]) == {"train.fast_layers": ["unset", "True"]}


def test_names_are_short_and_each_is_there_once() -> None:
    many = {f"train__x{i}": 0 for i in range(5)}
    first, second = names(record("a", **many), record("b", **dict.fromkeys(many, 1)))
    assert first == "tiny train.x0=0 train.x1=0 train.x2=0 and 2 more"
    assert second == "tiny train.x0=1 train.x1=1 train.x2=1 and 2 more"
    alike = [record(f"{i}", **(many | {"train__x4": i})) for i in range(2)]
    alike = [*alike, record("c", train__x0=1, train__x1=1, train__x2=1, train__x4=0)]
    assert len(set(names(*alike))) == 3
    path = f"/home/me/{'long/' * 20}letters"
    assert names(record("a", data__path=path), record("b", data__path="b"))[0].endswith("letters")
    assert len(names(record("a", data__path=path), record("b", data__path="b"))[0]) < 60


def test_copies_of_a_seed_do_not_count() -> None:
    runs = [record("a", seed=0), record("b", seed=1), record("c", seed=0)]
    (group,) = group_runs(runs)
    assert group.counted == tuple(runs[:2])
    assert group.runs == tuple(runs)
