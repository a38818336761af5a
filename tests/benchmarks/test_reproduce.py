"""benchmarks/reproduce.py: its plan, its queue, and what it reads from run folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reproduce
from made_runs import FD, LONG, SHORT, Make, save_generator
from reproduction import keep, measure, report
from reproduction.folder import Folder
from reproduction.plan import PLAN, Planned, select

import ganvas
from ganvas.images import grid, scale_for, write_png

# The plan


def test_lengths_are_those_of_the_recipes() -> None:
    recipes = {name: ganvas.show(name) for name in {planned.recipe for planned in PLAN}}
    for planned in PLAN:
        recipe = recipes[planned.recipe]
        steps = planned.epochs and planned.epochs * recipe["steps_per_epoch"]
        assert planned.steps == (steps or recipe["steps"]), planned.name


def test_the_plan_has_every_run_once_and_the_short_ones_first() -> None:
    names = [planned.name for planned in PLAN]
    assert len(set(names)) == len(names) == 21
    assert [p.minutes for p in PLAN] == sorted(p.minutes for p in PLAN)
    seeds = [p.seed for p in PLAN if p.recipe.startswith("cs231n")]
    assert seeds == 3 * [0, 1, 2]
    assert "modelzoo-vanilla-400epochs-seed0" in names


def test_published_figures_are_there_for_every_run_and_within_its_length() -> None:
    for planned in PLAN:
        said = planned.published
        assert said["source"] and said["tiles"] and said["pictures"]
        assert said.get("losses") or said.get("spans") or said["early"]
        longest = max(p.steps for p in PLAN if p.recipe == planned.recipe)
        assert max(said["moments"]) <= longest
        assert all(0 <= s["from"] < s["to"] <= longest for s in said.get("spans", []))


def test_select() -> None:
    assert len(select()) == len(PLAN)
    assert [p.name for p in select(["cs231n-lsgan,genzoo-mnist-seed0"])] == [
        *(f"cs231n-lsgan-seed{seed}" for seed in range(3)),
        "genzoo-mnist-seed0",
    ]
    assert {p.recipe for p in select(born="tensorflow")} == {
        *("modelzoo-vanilla", "mnist-classes", "genzoo-cifar10"),
        *("genzoo-mnist", "genzoo-mnist-as-coded"),
    }
    with pytest.raises(ValueError, match="--only: found 'cs231'; allowed: "):
        select(["cs231"])


# A run folder


def test_progress(make: Make) -> None:
    folder = make(steps=40)
    assert (folder.step, folder.images, folder.seconds, folder.speed) == (40, 400, 20.0, 20.0)
    assert folder.seconds_left == 30.0  # 60 steps of 10 images at 20 images/s
    assert folder.steps_per_epoch == 20


def test_states(make: Make, tmp_path: Path) -> None:
    assert Folder(SHORT, tmp_path / "nowhere").state(set()) == "waiting"
    assert make(LONG, steps=100).state(set()) == "stopped"
    folder = make()
    assert folder.state(set()) == "finished"
    assert folder.state({folder.path}) == "running"


def test_a_run_whose_last_generator_is_not_saved_is_not_finished(make: Make) -> None:
    folder = make(shown=900)
    assert folder.step == SHORT.steps
    assert folder.state(set()) == "stopped"


def test_a_failed_run_says_why_until_it_goes_on(make: Make) -> None:
    folder = make(steps=40)
    folder.log_file.parent.mkdir()
    folder.log_file.write_text("epoch 1\nganvas: stopped: D/loss is not finite\n")
    assert folder.state(set()) == "failed"
    assert folder.failure == "ganvas: stopped: D/loss is not finite"
    folder.log_file.write_text("ganvas: no memory\nepoch 2\n")
    assert folder.state(set()) == "stopped"


def test_newest_distance_and_what_was_measured_at_the_end(make: Make) -> None:
    on_the_way = FD | {"metric": "fd2k", "num_fake": 2000, "images": 500, "step": 50}
    at_end = FD | {"images": 1000, "step": 100}
    folder = make(rows=[at_end, on_the_way])
    assert folder.newest_distance == "fd10k 12.25"
    assert folder.measured(1000) == {"fd": at_end}
    assert folder.measured(500) == {}


def test_sheets_by_step(make: Make) -> None:
    folder = make()
    (folder.path / "samples").mkdir()
    for name in ("epoch-0002", "step-00000007", "epoch-0005"):
        (folder.path / "samples" / f"{name}.png").touch()
    assert set(folder.sheets()) == {40, 7, 100}
    assert set(folder.shown_sheets()) == {100}  # the last one; 250 and so on are not reached


# What is measured


def test_each_generator_is_measured_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    known = [FD | {"metric": f"{name}10k", "images": 1000} for name in measure.METRICS[1:]]
    folder = make(rows=known)
    save_generator(folder.path / "best", 700)
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(measure, "_ganvas", lambda *words, nice: calls.append(words))
    monkeypatch.setattr(measure, "count_tiles", lambda folder, nice: None)
    measure.evaluate(folder, nice=0)
    num = ("--num", "10000")
    assert calls == [
        ("evaluate", str(folder.path), "--metrics", "fd", *num),
        (
            *("evaluate", str(folder.path / "best"), "--metrics"),
            *("fd,kd,prdc,classes,memorisation,duplicates", *num),
        ),
    ]


def test_a_set_without_test_images_takes_those_of_mnist(make: Make) -> None:
    folder = make()
    assert measure.data_option(folder) == []
    folder.config["data"]["name"] = "mnist-classes"
    assert measure.data_option(folder) == ["--data", "mnist"]


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_of_a_sheet_are_the_images_drawn(make: Make, channels: int) -> None:
    folder = make()
    shape = (6, channels, 8, 8)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sheet = grid(images, 2, 3)
    write_png(folder.path / "sheet.png", sheet, scale_for(sheet.shape[1]))
    assert np.array_equal(measure.tiles(folder, folder.path / "sheet.png"), images)


def test_the_referee_counts_what_it_is_sure_of() -> None:
    referee = measure.Referee("mnist")
    counted = referee.count(np.zeros((5, 1, 28, 28), np.uint8))
    assert counted["tiles"] == 5
    assert counted["legible"] == sum(counted["classes"]) in (0, 5)  # alike images, alike verdicts
    assert len(counted["classes"]) == 10
    assert referee.name == "classifier-mnist"


def test_look_notes_what_one_saw(make: Make, tmp_path: Path) -> None:
    run = Planned("cs231n-lsgan", 0, 3_900, 2, "pytorch")
    folder = make(run, steps=40)
    (folder.path / "samples").mkdir()
    (folder.path / "samples" / "step-00000040.png").touch()
    words = ["look", "--folder", str(tmp_path), run.name]
    args = reproduce.parse([*words, "40", "7", "two broken"])
    args.does(args)
    assert folder.note("by-eye.json") == {"40": {"legible": 7, "words": "two broken"}}
    args = reproduce.parse([*words, "41", "7", "two broken"])
    with pytest.raises(ValueError, match="STEP: found 41; allowed: 40"):
        args.does(args)


# What is kept


def test_keep_copies_what_the_report_needs(make: Make, tmp_path: Path) -> None:
    folder = make(rows=[FD | {"images": 1000, "step": 100}])
    into = tmp_path / "kept"
    said = keep.keep(folder, into, limit=1_000_000)
    assert said.startswith("cs231n-lsgan-seed0: 0.0 MB; 0.0 MB of 1.0 MB in ")
    kept = Folder(SHORT, into / SHORT.name)
    assert kept.is_finished
    assert report.report([kept]) == report.report([folder])
    assert keep.keep(folder, into, limit=1_000_000) == said  # anew, not twice


def test_what_is_kept_does_not_say_where_the_run_lay(make: Make, tmp_path: Path) -> None:
    folder = make(
        rows=[FD | {"images": 1000, "step": 100, "picture": f"{tmp_path}/run/copies.png"}]
    )
    keep.keep(folder, tmp_path / "kept", limit=1_000_000)
    files = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert files and not any(str(tmp_path).encode() in path.read_bytes() for path in files)
    assert Folder(SHORT, tmp_path / "kept" / SHORT.name).metrics[0]["picture"] == "copies.png"


def test_a_long_log_is_kept_compressed(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "WHOLE", 1000)
    folder = make()
    folder.log[0]["D/loss"] = 1 / 3
    keep.keep(folder, tmp_path / "kept", limit=1_000_000)
    kept = Folder(SHORT, tmp_path / "kept" / SHORT.name)
    assert not (kept.path / "log.jsonl").exists()
    assert kept.log[0]["D/loss"] == 0.333333
    assert kept.log[1:] == folder.log[1:]


def test_what_does_not_fit_or_is_not_finished_is_left_out(make: Make, tmp_path: Path) -> None:
    into = tmp_path / "kept"
    assert "over the limit of 0.0 MB" in keep.keep(make(), into, limit=100)
    assert "not finished, left out" in keep.keep(make(LONG, steps=10), into, limit=1_000_000)
    assert keep.size(into) == 0
