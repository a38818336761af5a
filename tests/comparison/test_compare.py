"""What `compare` finds: mean and spread over seeds, unlike numbers kept apart, remarks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ganvas
from ganvas.comparison.compare import Comparison
from ganvas.comparison.remarks import describe
from ganvas.comparison.table import Column
from ganvas.errors import UsageError
from ganvas.rundir import RunFolder, Status

Cli = Callable[..., Any]
Measure = Callable[..., None]


def metrics(found: Comparison) -> list[Column]:
    return [column for column in found.columns if column.is_metric]


def labels(found: Comparison) -> list[str]:
    return [column.label for column in metrics(found)]


def remark(found: Comparison, *words: str) -> str:
    """The one remark that has all these words."""
    (text,) = [text for text in found.remarks if all(word in text for word in words)]
    return text


# Mean and spread


def test_seeds_are_one_group_with_mean_and_deviation(runs: Path, measure: Measure) -> None:
    for name, values in (("bce", (1.0, 2.0, 6.0)), ("ls", (4.0, 4.0, 7.0))):
        for seed, value in enumerate(values):
            measure(runs / f"{name}-{seed}", value)
    found = ganvas.compare(runs)
    assert [group.name for group in found.groups] == [
        "tiny loss.name=non-saturating",
        "tiny loss.name=least-squares",
    ]
    (column,) = metrics(found)
    bce, ls = (cell.spread for cell in column.cells)
    assert bce and ls
    assert (bce.mean, bce.deviation, bce.num) == (3.0, pytest.approx(7**0.5), 3)
    assert (ls.mean, ls.deviation) == (5.0, pytest.approx(3**0.5))
    assert [p.value for p in column.cells[0].points.values()] == [1.0, 2.0, 6.0]
    assert column.floor == (0.1,) and column.floor_text == "0.1"


def test_how_far_and_how_fast_a_run_got_comes_from_its_log(runs: Path) -> None:
    found = ganvas.compare([runs / "bce-0"])
    last = json.loads((runs / "bce-0/log.jsonl").read_text().splitlines()[-1])
    values = {column.label: column.cells[0].points["runs/bce-0"].value for column in found.columns}
    assert values == {
        "images": 192,
        "seconds": last["seconds"],
        "images/s": 192 / last["seconds"],
        "D loss": last["D/loss"],
        "G loss": last["G/loss"],
    }
    assert found.runs[0].state == "finished"


def test_a_run_that_was_cut_off_says_how_far_it_got(runs: Path) -> None:
    log = runs / "bce-0/log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2]) + lines[2][:30])
    (runs / "bce-1/log.jsonl").write_text("")
    for name in ("bce-0", "bce-1"):  # as a version without status.json left them
        (runs / name / "status.json").unlink()
    first, second = ganvas.compare([runs / "bce-0", runs / "bce-1"]).runs
    assert (first.state, first.finished) == ("at 1 of 3 epochs", False)
    assert (second.state, second.finished) == ("nothing logged", False)


@pytest.mark.parametrize(
    ("length", "state"),
    [("3 epochs", "finished"), ("150 images", "finished"), ("9 minutes", "at 0 of 9 minutes")],
)
def test_a_run_of_any_length_says_how_far_it_got(length: str, state: str, runs: Path) -> None:
    file = runs / "bce-0/config.toml"
    file.write_text(file.read_text().replace('"3 epochs"', f'"{length}"', 1))
    (runs / "bce-0/status.json").unlink()  # which says that it is finished
    log = runs / "bce-0/log.jsonl"
    lines = [json.loads(line) | {"seconds": 0} for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run,) = ganvas.compare([runs / "bce-0"]).runs
    assert (run.state, run.finished) == (state, state == "finished")


@pytest.mark.parametrize(
    ("says", "finished"), [("finished", True), ("stopped", False), ("running", False), (3, False)]
)
def test_only_the_run_itself_can_say_that_its_minutes_are_over(
    says: object, finished: bool, runs: Path
) -> None:
    file = runs / "bce-0/config.toml"
    file.write_text(file.read_text().replace('"3 epochs"', '"9 minutes"', 1))
    (runs / "bce-0/status.json").write_text(json.dumps({"state": says}))
    (run,) = ganvas.compare([runs / "bce-0"]).runs
    assert run.finished == finished
    assert (run.state == "finished") == finished


def test_a_run_that_failed_at_its_last_step_is_not_finished(runs: Path) -> None:
    assert ganvas.compare([runs / "bce-0"]).runs[0].finished
    (runs / "bce-0/status.json").write_text(json.dumps({"state": "failed"}))
    assert not ganvas.compare([runs / "bce-0"]).runs[0].finished


@pytest.mark.parametrize(
    ("now", "older"),
    [("3 epochs", "epochs = 3"), ("20 images", "images = 20"), ("2 minutes", "minutes = 2.0")],
)
def test_a_run_of_before_there_was_one_length_is_of_the_same_group(
    now: str, older: str, runs: Path
) -> None:
    for name, line in (("bce-0", f'length = "{now}"'), ("bce-1", older)):
        file = runs / name / "config.toml"
        text = file.read_text()
        assert text.count('length = "3 epochs"') == 1
        file.write_text(text.replace('length = "3 epochs"', line))
    (group,) = ganvas.compare([runs / "bce-0", runs / "bce-1"]).groups
    assert len(group.runs) == 2
    assert group.settings["train.length"] == now


def test_a_copy_of_a_seed_is_left_out_of_mean_and_spread(runs: Path, measure: Measure) -> None:
    measure(runs / "bce-0", 1.0)
    measure(runs / "bce-1", 3.0)
    shutil.copytree(runs / "bce-1", runs / "copy")
    found = ganvas.compare([runs / "bce-0", runs / "bce-1", runs / "copy"])
    (column,) = metrics(found)
    spread = column.cells[0].spread
    assert spread and (spread.mean, spread.num) == (2.0, 2)
    assert remark(found, "repeats seed 1").startswith("runs/copy")


def test_losses_of_unlike_formulas_do_not_share_a_column(runs: Path) -> None:
    found = ganvas.compare(runs)
    of_loss = [column for column in found.columns if column.metric == "loss"]
    assert [column.label for column in of_loss] == [
        "D loss [1]",
        "G loss [1]",
        "D loss [2]",
        "G loss [2]",
    ]
    assert [[cell.spread is None for cell in column.cells] for column in of_loss] == [
        [False, True],
        [False, True],
        [True, False],
        [True, False],
    ]
    assert "[1] loss.name non-saturating; [2] loss.name least-squares" in remark(found, "loss")


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        (Status(state="finished"), "finished", ""),
        (Status(state="stopped"), "stopped at 1 of 3 epochs", "--resume runs/bce-0"),
        (Status(state="running"), "killed at 1 of 3 epochs", "--resume runs/bce-0"),
        (
            Status(state="running", host="far", time="2999-01-01T00:00:00+00:00"),
            "running at 1 of 3 epochs",
            "",
        ),
        (
            Status(state="running", host="far", time="2026-01-01T00:00:00+00:00"),
            "silent at 1 of 3 epochs",
            "silent since 2026-01-01T00:00:00+00:00",
        ),
        (
            Status(state="failed", reason="D is dead\x1b[2J"),
            "failed at 1 of 3 epochs",
            "failed: D is dead\\x1b[2J",
        ),
    ],
)
def test_a_run_is_in_the_state_that_it_says(
    status: Status, state: str, words: str, runs: Path
) -> None:
    folder = RunFolder(runs / "bce-0")
    folder.log.write_text("".join(folder.log.read_text().splitlines(keepends=True)[:2]))
    folder.write_status(status)
    found = ganvas.compare(folder.path)
    assert found.runs[0].state == state
    assert found.runs[0].finished == (state == "finished")
    assert [text for text in found.remarks if words and words in text] or not words


@pytest.mark.parametrize(
    ("length", "state"),
    [
        ("epochs = 3", "finished"),
        ("epochs = 4", "at 3 of 4 epochs"),
        ("images = 200", "at 192 of 200 images"),
        ("minutes = 2.0", "at 1.5 of 2 minutes"),
        ('length = "3 epochs"', "finished"),
        ('length = "384 images"', "at 192 of 384 images"),
        ('length = "2.5 minutes"', "at 1.5 of 2.5 minutes"),
        ('length = "long"', "unset"),
    ],
)
def test_a_length_is_read_from_any_version(length: str, state: str, runs: Path) -> None:
    config = runs / "bce-0/config.toml"
    config.write_text(config.read_text().replace('length = "3 epochs"', length))
    (runs / "bce-0/status.json").unlink()  # which says that it is finished
    log = runs / "bce-0/log.jsonl"
    line = json.loads(log.read_text().splitlines()[-1]) | {"seconds": 90.0}
    log.write_text(json.dumps(line))
    assert ganvas.compare(runs / "bce-0").runs[0].state == state


def test_a_run_by_minutes_is_finished_when_it_says_so(runs: Path) -> None:
    config = runs / "bce-0/config.toml"
    config.write_text(config.read_text().replace('"3 epochs"', '"2 minutes"'))
    (runs / "bce-0/status.json").unlink()
    assert not ganvas.compare(runs / "bce-0").runs[0].finished
    RunFolder(runs / "bce-0").write_status(Status(state="finished"))
    assert ganvas.compare(runs / "bce-0").runs[0].state == "finished"


# Protocols


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "train", "fingerprint": "ef" * 32}, "[1] test images, of mnist; [2] train"),
        ({"data": "digits", "fingerprint": "ef" * 32}, "of mnist; [2] test images, of digits"),
        ({"seed": 4, "fingerprint": "ef" * 32}, "[1] evaluation seed 0; [2] evaluation seed 4"),
        ({"fingerprint": "ef" * 32}, f"[2] reference images {'ef' * 6}"),
        ({"extractor": "random", "extractor_sha256": "1"}, "[2] features random"),
        ({"extractor_sha256": "12" * 32}, f"[2] extractor {'12' * 6}"),
        ({"resize": "data: bicubic to 8x8"}, "[1] resize none; [2] resize data: bicubic to 8x8"),
        ({"metric": "fd2k", "num_fake": 2000}, "[1] 1,000 fakes; [2] 2,000 fakes"),
        ({"num_reference": 60_000}, "[1] 1,000 reference images; [2] 60,000 reference"),
        ({"settings": {"frechet": {"groups": 0}}}, "[1] fd.groups 10; [2] fd.groups 0"),
        ({"resize": None}, "[1] resize none; [2] resize unset"),
    ],
)
def test_numbers_of_unlike_protocols_stand_apart_and_a_remark_says_why(
    changes: dict[str, Any], words: str, runs: Path, measure: Measure
) -> None:
    measure(runs / "bce-0", 1.0)
    measure(runs / "bce-1", 2.0, **changes)
    found = ganvas.compare([runs / "bce-0", runs / "bce-1"])
    first, second = metrics(found)
    assert (first.mark, second.mark) == ("1", "2")
    assert list(first.cells[0].points) == ["runs/bce-0"]
    assert list(second.cells[0].points) == ["runs/bce-1"]
    assert words in remark(found, "fd stands in 2 kinds of columns")


@pytest.mark.parametrize(
    "changes",
    [
        {"note": "other words"},
        {"recipe": "renamed", "picture": "elsewhere.png", "step": None},
        {"intervals": {"distance": [0.0, 2.0]}, "floor": {"distance": 0.2}},
        {"a_field_of_a_later_version": 1},
    ],
)
def test_what_a_number_does_not_depend_on_keeps_nothing_apart(
    changes: dict[str, Any], runs: Path, measure: Measure
) -> None:
    measure(runs / "bce-0", 1.0)
    measure(runs / "bce-1", 2.0, **changes)
    (column,) = metrics(ganvas.compare([runs / "bce-0", runs / "bce-1"]))
    assert column.mark == "" and len(column.cells[0].points) == 2


def test_the_same_images_read_from_another_place_are_the_same(runs: Path, measure: Measure) -> None:
    measure(runs / "bce-0", 1.0, data="folder /home/a/letters")
    measure(runs / "bce-1", 2.0, data="folder /mnt/letters")
    measure(runs / "bce-2", 2.0, data="folder /mnt/letters", fingerprint="")
    assert len(metrics(ganvas.compare([runs / "bce-0", runs / "bce-1"]))) == 1
    assert len(metrics(ganvas.compare([runs / "bce-1", runs / "bce-2"]))) == 2


def memorisation(**changes: Any) -> dict[str, Any]:
    return {"metric": "memorisation1k", "settings": {"memorisation": {}}} | changes


def test_memorisation_against_other_training_images_stands_apart(
    runs: Path, measure: Measure
) -> None:
    few = {"num_train": 200, "train_sha256": "12" * 32}
    measure(runs / "bce-0", 0.5, **memorisation(num_train=1_498, train_sha256="ab" * 32))
    measure(runs / "bce-1", 0.6, **memorisation(**few))
    found = ganvas.compare([runs / "bce-0", runs / "bce-1"])
    assert [column.mark for column in metrics(found)] == ["1", "2"]
    words = remark(found, "memorisation stands in 2 kinds of columns")
    assert "[1] 1,498 training images; [2] 200 training images" in words


def test_other_metrics_do_not_mind_the_training_images(runs: Path, measure: Measure) -> None:
    measure(runs / "bce-0", 0.5, num_train=1_498, train_sha256="ab" * 32)
    measure(runs / "bce-1", 0.6, num_train=200, train_sha256="12" * 32)
    assert len(metrics(ganvas.compare([runs / "bce-0", runs / "bce-1"]))) == 1


def test_rows_of_before_they_said_so_have_the_runs_own_training_images(
    runs: Path, measure: Measure
) -> None:
    data = RunFolder(runs / "bce-0").read_environment()["data"]
    known = {"num_train": data["images"], "train_sha256": data["sha256"]}
    measure(runs / "bce-0", 0.5, **memorisation(data="npz /x.npz"))
    measure(runs / "bce-1", 0.6, **memorisation(data="npz /y.npz", **known))
    assert len(metrics(ganvas.compare([runs / "bce-0", runs / "bce-1"]))) == 1
    measure(runs / "bce-2", 0.6, **memorisation(data="mnist"))  # measured against another set
    assert len(metrics(ganvas.compare([runs / "bce-1", runs / "bce-2"]))) == 2


def test_all_values_of_a_protocol_stand_side_by_side(runs: Path, measure: Measure) -> None:
    prdc = {"metric": "prdc1k", "settings": {"prdc": {"k": 5}}}
    measure(runs / "bce-0", 1.0)
    measure(runs / "bce-0", 0, **prdc, values={"precision": 0.5, "recall": 0.6})
    measure(runs / "bce-1", 0, **prdc, values={"precision": 0.5, "recall": 0.6}, split="train")
    found = ganvas.compare([runs / "bce-0", runs / "bce-1"])
    assert labels(found) == [
        "fd1k",
        *("prdc1k precision [1]", "prdc1k recall [1]"),
        *("prdc1k precision [2]", "prdc1k recall [2]"),
    ]


def test_a_setting_that_follows_from_the_component_is_not_told() -> None:
    ours, theirs = {"loss.name": "a", "loss.x": 1, "rest": 2}, {"loss.name": "b", "rest": 2}
    assert describe([ours, theirs]) == ["loss.name a", "loss.name b"]
    assert describe([ours, theirs, ours | {"loss.x": 5}]) == [
        "loss.name a, loss.x 1",
        "loss.name b",
        "loss.name a, loss.x 5",
    ]


def test_no_two_protocols_are_told_in_the_same_words() -> None:
    first = {"seed": 0, "fingerprint": "a", "data": "mnist", "split": "test"}
    protocols = [first, first | {"seed": 1, "fingerprint": "b"}, first | {"fingerprint": "c"}]
    assert describe(protocols) == [
        "evaluation seed 0, reference images a",
        "evaluation seed 1, reference images b",
        "evaluation seed 0, reference images c",
    ]


# Several measurements of a run


def test_last_and_best_are_both_there(runs: Path, measure: Measure) -> None:
    for seed, values in enumerate([(5.0, 2.0, 3.0), (4.0, 6.0, 5.0)]):
        for images, value in zip((64, 128, 192), values, strict=True):
            measure(runs / f"bce-{seed}", value, images=images)
    found = ganvas.compare([runs / "bce-0", runs / "bce-1"])
    assert labels(found) == ["fd1k", "best fd1k"]
    last, best = metrics(found)
    assert [p.value for p in last.cells[0].points.values()] == [3.0, 5.0]
    assert [(p.value, p.images) for p in best.cells[0].points.values()] == [(2.0, 128), (4.0, 64)]
    assert "flatters" in remark(found, "best:")


def test_best_is_the_highest_where_higher_is_better_and_the_nearest_to_a_half(
    runs: Path, measure: Measure
) -> None:
    prdc = {"metric": "prdc1k", "settings": {"prdc": {"k": 5}}}
    two = {"metric": "1nn1k", "settings": {"1nn-two-sample": {}}}
    for images, value in ((64, 0.9), (192, 0.3)):
        measure(runs / "bce-0", 0, images=images, **prdc, values={"recall": value})
        measure(runs / "bce-0", 0, images=images, **two, values={"accuracy": 1.2 - value})
    found = ganvas.compare(runs / "bce-0")
    best = {c.label: c.cells[0].points["runs/bce-0"].value for c in metrics(found)}
    assert best["best prdc1k recall"] == 0.9
    assert best["best 1nn1k accuracy"] == pytest.approx(0.3)


def test_a_second_measurement_at_the_same_images_replaces_the_first(
    runs: Path, measure: Measure
) -> None:
    measure(runs / "bce-0", 5.0, 2.0)
    (column,) = metrics(ganvas.compare(runs / "bce-0"))
    assert column.cells[0].points["runs/bce-0"].value == 2.0


def test_a_metric_that_this_version_does_not_know_has_no_best(runs: Path, measure: Measure) -> None:
    for images in (64, 192):
        measure(runs / "bce-0", 1.0, images=images, metric="new1k", settings={"new": {}})
    assert labels(ganvas.compare(runs / "bce-0")) == ["new1k"]


# Chance


def test_differences_larger_than_chance_are_named_with_their_verdict(
    runs: Path, measure: Measure
) -> None:
    for seed, value in enumerate((1.0, 1.1, 1.2)):
        measure(runs / f"bce-{seed}", value)
        measure(runs / f"ls-{seed}", value + 2)
    found = ganvas.compare(runs)
    (contrast,) = found.larger_than_chance
    text = str(contrast)
    assert "tiny loss.name=least-squares 2 higher than tiny loss.name=non-saturating" in text
    assert "which is worse" in text
    assert "Welch" in remark(found, "1 differences were tested")


def test_two_seeds_are_not_tested_and_one_has_no_spread(runs: Path, measure: Measure) -> None:
    for name, value in (("bce-0", 1.0), ("bce-1", 1.01), ("ls-0", 9.0)):
        measure(runs / name, value)
    found = ganvas.compare([runs / "bce-0", runs / "bce-1", runs / "ls-0"])
    assert found.tested == ()
    assert remark(found, "one seed") == "tiny loss.name=least-squares: one seed: no spread"
    assert remark(found, "no difference was tested")
    alone = ganvas.compare([runs / "bce-0", runs / "ls-0"])
    assert remark(alone, "one seed each: no spread")


# What is missing, and files of other versions


def test_a_run_without_rows_is_named_with_the_command(runs: Path, measure: Measure) -> None:
    measure(runs / "bce-0", 1.0)
    shutil.rmtree(runs / "ls-0/generator")
    found = ganvas.compare([runs / name for name in ("bce-0", "bce-1", "ls-0")])
    assert "ganvas evaluate runs/bce-1" in remark(found, "runs/bce-1")
    assert [metrics(found)[0].text(i, len(g.counted)) for i, g in enumerate(found.groups)] == [
        "1 (1 of 2)",
        "",
    ]
    assert "no generator yet" in remark(found, "runs/ls-0")


def test_numbers_of_an_earlier_generator_are_named_with_the_command_that_clears_it(
    runs: Path, measure: Measure
) -> None:
    measure(runs / "bce-0", 1.0, images=96)
    measure(runs / "bce-1", 1.0)
    found = ganvas.compare([runs / "bce-0", runs / "bce-1"])
    text = remark(found, "runs/bce-0")
    assert "fd1k after 96 images, not of the newest generator, after 192" in text
    assert text.endswith("ganvas evaluate runs/bce-0 --metrics fd1k")
    assert not any("runs/bce-1" in text for text in found.remarks)
    measure(runs / "bce-0", 1.0)
    found = ganvas.compare([runs / "bce-0", runs / "bce-1"])
    assert not any("runs/bce-0" in text for text in found.remarks)


def test_the_command_measures_under_the_same_protocol(runs: Path, measure: Measure) -> None:
    other = {"metric": "1nn1k", "split": "train", "seed": 3, "settings": {"1nn-two-sample": {}}}
    for metric in ("fd1k", "kd1k"):
        measure(runs / "bce-0", 1.0, images=96, metric=metric)
    measure(runs / "bce-0", 0, images=96, values={"accuracy": 0.5}, **other)
    found = ganvas.compare(runs / "bce-0")
    assert remark(found, "fd1k").endswith("ganvas evaluate runs/bce-0 --metrics fd1k,kd1k")
    assert remark(found, "1nn1k after").endswith("--metrics 1nn1k --split train --seed 3")


def test_what_was_measured_of_the_best_generator_is_not_in_the_last_ones_row(
    runs: Path, measure: Measure
) -> None:
    two = {"metric": "1nn1k", "settings": {"1nn-two-sample": {}}}
    measure(runs / "bce-0", 2.0, images=96)
    measure(runs / "bce-0", 3.0)
    measure(runs / "bce-0", 0, images=96, values={"accuracy": 0.7}, **two)  # of the folder best
    found = ganvas.compare(runs / "bce-0")
    values = {
        column.label: [point.value for point in column.cells[0].points.values()]
        for column in metrics(found)
    }
    assert values == {
        "fd1k": [3.0],
        "best fd1k": [2.0],
        "1nn1k accuracy": [],
        "best 1nn1k accuracy": [0.7],
    }


def test_best_is_left_out_where_the_last_is_the_best(runs: Path, measure: Measure) -> None:
    for images, value in ((64, 5.0), (128, 4.0), (192, 3.0)):
        measure(runs / "bce-0", value, images=images)
    assert labels(ganvas.compare(runs / "bce-0")) == ["fd1k"]
    measure(runs / "bce-1", 1.0, images=64)
    measure(runs / "bce-1", 2.0)
    assert labels(ganvas.compare([runs / "bce-0", runs / "bce-1"])) == ["fd1k", "best fd1k"]


def test_a_row_that_was_cut_short_or_makes_no_sense_is_passed_over(
    runs: Path, measure: Measure
) -> None:
    measure(runs / "bce-0", 1.0)
    with (runs / "bce-0/metrics.jsonl").open("a") as file:
        for text in ("[1]", '{"metric": 3, "values": {}}', '{"metric": "fd1k"}', "", '{"metri'):
            file.write(text + "\n")
    measure(runs / "bce-1", 0, values={"distance": None}, floor=None, settings=None)
    (column,) = metrics(ganvas.compare([runs / "bce-0", runs / "bce-1"]))
    assert list(column.cells[0].points) == ["runs/bce-0"]


def test_values_that_no_run_writes_do_no_harm(runs: Path, measure: Measure, cli: Cli) -> None:
    """A folder may come from a stranger."""
    config = (runs / "bce-0/config.toml").read_text()
    config = config.replace("flip = false", "flip = 1979-05-27\nother = [[1], {a = nan}]")
    (runs / "bce-0/config.toml").write_text(config)
    huge = "1" + "0" * 400
    (runs / "bce-0/log.jsonl").write_text(f'{{"images": {huge}, "D/loss": NaN, "G/loss": true}}\n')
    (runs / "bce-0/env.json").write_text("[1, 2]")
    measure(runs / "bce-0", 1.0, values={"[bold]x": 1e299, "y": float("inf")}, seed=[1])
    result = cli("compare", "runs/bce-0")
    assert (result.code, result.err) == (0, "")
    assert "[bold]x" in result.out
    found = json.loads(cli("compare", "runs/bce-0", "--json").out)
    assert [column["label"] for column in found["columns"]] == ["fd1k [bold]x"]


def test_no_name_reaches_the_terminal_as_it_is(runs: Path, measure: Measure, cli: Cli) -> None:
    """Escape sequences, line breaks and bytes that are not UTF-8, in names and in files."""
    evil = "\x1b]0;owned\x07\n\u202e"
    folder = runs / f"a{evil}\udcffb"
    shutil.copytree(runs / "bce-0", folder)
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(config.replace('"tiny"', json.dumps(evil)))
    (folder / "env.json").write_text(json.dumps({"processor": evil, evil: evil}))
    (folder / "samples" / f"{evil}\udcff.png").write_bytes(b"PNG?")
    deep = json.loads("[" * 300 + "]" * 300)
    settings = {evil: {evil: evil, "deep": deep}}
    measure(folder, 1.0, metric=f"fd{evil}", data=evil, settings=settings, images=96)
    result = cli("compare", "runs/bce-0", "runs/bce-1", folder)
    assert (result.code, result.err) == (0, "")
    page = Path("compare.html").read_text(encoding="utf-8")
    for text in (result.out, page):
        assert all(part not in text for part in ("\x1b", "\x07", "\u202e", "\udcff"))
        assert "\\x1b]0;owned\\x07\\n\\u202e" in text and "\\xffb" in text
    found = json.loads(cli("compare", folder, "--json").out)
    assert found["groups"][0]["runs"][0]["path"] == str(folder)  # as it is, for programs


def test_settings_and_facts_that_a_run_lacks_are_unset(runs: Path) -> None:
    config = (runs / "bce-1/config.toml").read_text().replace("fast_layers = true\n", "")
    (runs / "bce-1/config.toml").write_text(config)
    (runs / "bce-1/env.json").unlink()
    found = ganvas.compare([runs / "bce-0", runs / "bce-1"])
    assert found.settings["train.fast_layers"] == ["True", "unset"]
    assert found.environment["versions.torch"][1] == "unset"


def test_other_hardware_is_named(runs: Path) -> None:
    record = json.loads((runs / "bce-1/env.json").read_text())
    (runs / "bce-1/env.json").write_text(json.dumps(record | {"processor": "Z80"}))
    found = ganvas.compare([runs / "bce-0", runs / "bce-1"])
    assert "processor Z80" in remark(found, "different hardware")
    assert len(found.groups) == 1


# Which runs


def test_folders_patterns_and_repeats(runs: Path) -> None:
    paths = [run.path for run in ganvas.compare(runs).runs]
    assert paths == [f"runs/{name}-{seed}" for name in ("bce", "ls") for seed in range(3)]
    assert [run.path for run in ganvas.compare("runs/*-1").runs] == ["runs/bce-1", "runs/ls-1"]
    twice = ganvas.compare([runs / "ls-2", Path("runs/../runs/ls-2"), "runs/ls-*"])
    assert [run.path for run in twice.runs] == ["runs/ls-2", "runs/ls-0", "runs/ls-1"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere", "'nowhere' is not a folder"),
        ("runs/bce-0/config.toml", "is not a folder"),
        ("runs/bce-0/samples", "is no run folder and there is none below it"),
        ("runs/x*", "matches no run folder"),
    ],
)
def test_a_folder_that_is_no_run_is_one_line(given: str, words: str, runs: Path, cli: Cli) -> None:
    result = cli("compare", "runs/bce-0", given)
    assert result.code == 2 and len(result.err.splitlines()) == 1
    assert words in result.err
    assert not Path("compare.html").exists()


def test_a_damaged_config_is_one_line(runs: Path) -> None:
    (runs / "bce-1/config.toml").write_text("recipe = ")
    with pytest.raises(UsageError, match="'runs/bce-1/config.toml' cannot be read: Invalid"):
        ganvas.compare(runs)


# The command


def test_the_command_prints_tables_and_writes_the_page(
    runs: Path, measure: Measure, cli: Cli
) -> None:
    for seed, value in enumerate((1.0, 2.0, 6.0)):
        measure(runs / f"bce-{seed}", value)
    result = cli("compare", runs)
    assert (result.code, result.err) == (0, "")
    lines = [line.split() for line in result.out.splitlines()]
    assert ["tiny", "loss.name=non-saturating", "3.0", "±", "2.6"] in lines
    assert ["runs/bce-2", "6.0"] in lines
    assert ["real", "images", "0.1"] in lines
    assert result.out.splitlines()[-2].startswith("No two groups were measured alike")
    assert result.out.splitlines()[-1] == "wrote compare.html"
    assert Path("compare.html").is_file()


def test_a_table_wider_than_the_screen_comes_in_parts(
    runs: Path, measure: Measure, cli: Cli
) -> None:
    values = {f"value{i}": 1.0 for i in range(20)}
    measure(runs / "bce-0", 0, values=values)
    result = cli("compare", runs / "bce-0")
    assert all(len(line) <= 140 for line in result.out.splitlines() if "wrote" not in line)
    assert all(f"value{i} " in result.out for i in range(20))


def test_json_has_groups_columns_and_the_page(runs: Path, measure: Measure, cli: Cli) -> None:
    for seed, value in enumerate((1.0, 1.1, 1.3)):
        measure(runs / f"bce-{seed}", value)
        measure(runs / f"ls-{seed}", value + 1)
    result = cli("compare", runs, "--json", "--html", "out/page.html")
    found = json.loads(result.out)
    assert set(found) == {
        "headline",
        "groups",
        "columns",
        "differences",
        "settings",
        "environment",
        "remarks",
        "html",
    }
    assert found["html"] == "out/page.html" and Path("out/page.html").is_file()
    assert found["groups"][0]["runs"][1] == {
        "path": "runs/bce-1",
        "recipe": "tiny",
        "seed": 1,
        "begun": found["groups"][0]["runs"][1]["begun"],
        "code": ganvas.compare(runs).runs[1].code,
        "finished": True,
        "state": "finished",
    }
    column = found["columns"][-1]
    assert column["label"] == "fd1k" and column["better"] == "lower"
    assert column["protocol"]["split"] == "test" and column["protocol"]["fd.groups"] == 10
    assert column["groups"][1]["mean"] == pytest.approx((2 + 2.1 + 2.3) / 3)
    assert column["groups"][1]["num"] == 3
    assert column["groups"][1]["runs"]["runs/ls-0"] == {"value": 2.0, "images": 192.0}
    (difference,) = found["differences"]
    assert difference["larger_than_chance"] is True
    assert difference["difference"] == pytest.approx(1.0)


def test_rows_that_evaluate_wrote_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trained = ganvas.train(
        images=64, evaluate="none", device="cpu", outdir=tmp_path / "digits", progress=False
    )
    rows = ganvas.evaluate(trained.folder, metrics="fd,classes", num=50)
    found = ganvas.compare(trained.folder)
    assert [group.name for group in found.groups] == ["quickstart"]
    assert labels(found) == ["fd50", *(f"classes50 {key}" for key in rows[1].values)]
    for column, row in zip(metrics(found), [rows[0], *[rows[1]] * 3], strict=True):
        assert column.cells[0].points[str(trained.folder)].value == row.values[column.value]
        assert column.floor == (row.floor[column.value],)
    assert [column.better for column in metrics(found)] == ["lower", "higher", "lower", "higher"]


def test_single_classes_have_no_columns(runs: Path, measure: Measure) -> None:
    for run in runs.iterdir():
        measure(run, 1.0, values={"agreement": 0.9, "class cat": 0.8}, metric="agreement1k")
    found = ganvas.compare(runs)
    assert [c.value for c in found.columns if c.metric == "agreement1k"] == ["agreement"]
