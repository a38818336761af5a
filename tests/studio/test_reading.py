"""What is said of a run, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganvas.rundir import RunFolder, number
from ganvas.studio.reading import detail, log, settings, sheets, summary


def line(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "images": 32 * step,
        "epoch": step / 50,
        "seconds": 0.5 * step,
        "images_per_second": 999.0,
        "D/loss": 1 / step,
    }


RUNNING = {"state": "running", "step": 120, "total": 500, "images": 3840, "host": "elsewhere"}


def test_a_running_run(make_run: Callable[..., Path]) -> None:
    from ganvas.rundir import now

    config = 'recipe = "made"\nseed = 3\n[train]\nlength = "10 epochs"\n'
    run = make_run("a", config=config, log=[line(50), line(100)], status=RUNNING | {"time": now()})
    found = summary(RunFolder(run))
    assert (found["state"], found["recipe"], found["seed"]) == ("running", "made", 3)
    assert (found["step"], found["images"], found["epoch"]) == (120, 3840, 2.0)
    assert found["images_per_second"] == 64, "3,200 images in 50 seconds"
    assert found["progress"] == 120 / 500
    assert found["time_left"] == (500 - 120) * 32 / 64


def test_time_left_of_a_run_by_the_clock(make_run: Callable[..., Path]) -> None:
    from ganvas.rundir import now

    config = '[train]\nlength = "2 minutes"\n'
    run = make_run("a", config=config, log=[line(100)], status=RUNNING | {"time": now()})
    found = summary(RunFolder(run))
    assert (found["time_left"], found["progress"]) == (70.0, 50 / 120)


def test_why_a_run_failed(make_run: Callable[..., Path]) -> None:
    status = RUNNING | {"state": "failed", "reason": "D/loss not finite\nat 10 images"}
    found = summary(RunFolder(make_run("a", log=[line(1)], status=status)))
    assert (found["state"], found["time_left"]) == ("failed", None)
    assert found["reason"] == "D/loss not finite\\nat 10 images", "one printable line"


def test_last_and_best_metric_are_of_the_one_that_decides(make_run: Callable[..., Path]) -> None:
    def row(metric: str, step: int, value: float, **more: Any) -> dict[str, Any]:
        floor = {"distance": 1.5}
        return {"metric": metric, "values": {"distance": value}, "floor": floor} | {
            "step": step, "images": 32 * step, "extractor_sha256": "x", **more
        }  # fmt: skip

    rows = [row("fd2k", 1, 9.0), row("kd2k", 1, 8.0), row("fd2k", 2, 3.0), row("fd2k", 3, 4.0)]
    rows.append(row("fd10k", 3, 2.0) | {"step": None})
    run = make_run("a", log=[line(3)], metrics=rows)
    best = run / "best"
    best.mkdir()
    header = b'{"__metadata__":{"images_seen":"64"}}'
    (best / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    found = summary(RunFolder(run))["metric"]
    assert (found["metric"], found["last"], found["best"]) == ("fd2k", 4.0, 3.0)
    assert (found["best_images"], found["floor"]) == (64, 1.5)


def test_only_the_end_of_a_long_log_is_read_for_the_table(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("a", log=[line(step) for step in range(1, 2000)])
    monkeypatch.setattr(RunFolder, "read_log", None)
    assert summary(RunFolder(run))["images"] == 32 * 1999


def test_sheets_are_placed_by_their_names(make_run: Callable[..., Path]) -> None:
    run = make_run("a", log=[line(200)])
    (run / "samples").mkdir()
    for name in ("epoch-0002.png", "step-00000075.png", "epoch-0001.png", "mine.png"):
        (run / "samples" / name).write_bytes(b"")
    found = sheets(RunFolder(run))
    assert [(one["step"], one["images"], one["epoch"]) for one in found] == [
        (50, 1600, 1.0),
        (75, 2400, 1.5),
        (100, 3200, 2.0),
        (None, None, None),
    ]


def test_the_log_as_columns_and_on_from_there(make_run: Callable[..., Path]) -> None:
    run = make_run("a", log=[line(1), line(2) | {"D/loss": None}])
    found = log(RunFolder(run))
    assert found["columns"]["D/loss"] == [1.0, None]
    assert found["columns"]["step"] == [1, 2]
    with (run / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "G/loss": 7}\n{"step": 4')
    then = log(RunFolder(run), found["offset"])
    assert (then["columns"]["step"], then["columns"]["G/loss"]) == ([3], [7])
    assert not then["rewound"]


def test_a_log_written_anew_is_told_whole(make_run: Callable[..., Path]) -> None:
    run = make_run("a", log=[line(1), line(2), line(3)])
    offset = log(RunFolder(run))["offset"]
    (run / "log.jsonl").write_text('{"step": 1}\n')
    found = log(RunFolder(run), offset)
    assert found["rewound"] and found["columns"]["step"] == [1]


def test_of_very_many_lines_every_nth_and_the_last(make_run: Callable[..., Path]) -> None:
    run = make_run("a", log=[line(step) for step in range(1, 101)])
    found = log(RunFolder(run), 0, points=10)
    assert found["columns"]["step"] == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 100]
    assert (found["every"], found["lines"]) == (10, 100)


def test_settings_with_the_recipes_reasons(make_run: Callable[..., Path]) -> None:
    from ganvas.config import read_recipe

    recipe = read_recipe("cs231n-lsgan")
    train = '[train]\norder = "sequential"\nbatch_size = 7\n'
    run = make_run("a", config=f'recipe = "cs231n-lsgan"\n{train}')
    found = {one["setting"]: one for one in settings(RunFolder(run))}
    assert found["train.order"]["reason"] == recipe.reasons["train.order"] != ""
    batch = found["train.batch_size"]
    assert (batch["value"], batch["recipe"], batch["changed"], batch["reason"]) == (
        7,
        128,
        True,
        "",
    )


def test_all_of_a_run(tiny_run: Path) -> None:
    found = detail(RunFolder(tiny_run))
    assert [one["which"] for one in found["generators"]][:1] == ["newest"]
    assert {"config.toml", "log.jsonl", "generator/model.safetensors"} <= {
        one["file"] for one in found["files"]
    }
    assert not any(one["file"].startswith(".") for one in found["files"])
    assert found["reals"] and found["sheets"]
    assert all(number(one["images"]) for one in found["sheets"])
