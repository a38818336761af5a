"""benchmarks/reproduce.py: its plan, its queue, and what it reads from run folders."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reproduce
from reproduction import keep, measure, plan, queue, report
from reproduction.folder import Folder, running
from reproduction.plan import PLAN, Planned, select
from reproduction.queue import Queue
from safetensors.numpy import save_file

import ganvas
from ganvas.images import grid, scale_for, write_png

SHORT = Planned("cs231n-lsgan", 0, 100, 1, "pytorch", settings=("output.log=1 step",))
LONG = Planned("genzoo-cifar10", 0, 1000, 50, "tensorflow", enough=100)
Make = Callable[..., Folder]

FD = {
    "metric": "fd10k",
    "values": {"distance": 12.25},
    "intervals": {"distance": [12.0, 12.5]},
    "floor": {"distance": 0.5},
    "num_fake": 10_000,
    "split": "test",
    "data": "mnist",
    "fingerprint": "f",
    "extractor": "classifier-mnist",
    "extractor_accuracy": 0.9974,
    "resize": "none",
}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make(planned, steps, images=..., rows=...) -> a run that got so far, batches of 10."""

    def made(
        planned: Planned = SHORT,
        steps: int = 100,
        shown: int | None = None,
        rows: list[dict[str, Any]] | None = None,
    ) -> Folder:
        path = tmp_path / planned.name
        path.mkdir()
        (path / "config.toml").write_text(
            '[data]\nname = "mnist"\n[train]\nbatch_size = 10\ndrop_last = true\n'
            'order = "shuffled"\n[output]\ngrid = [2, 3]\n'
        )
        environment = {
            "versions": {"torch": "2.13.0", "ganvas": "0.1.0"},
            "source_sha256": "0123456789",
            "processor": "a processor",
            "cpu_capability": "AVX2",
            "threads": 1,
            "device": "cpu",
            "precision": "float32",
            "data": {"images": 200, "shape": [1, 8, 8]},
        }
        (path / "env.json").write_text(json.dumps(environment))
        lines = [
            {
                "step": step,
                "images": 10 * step,
                "seconds": step / 2,
                "images_per_second": 20.0,
                "D/loss": float(step),
                "G/loss": 2.0 * step,
            }
            for step in range(1, steps + 1)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (path / "log.jsonl").write_text(text + '{"step": 10')  # the last one cut short by a kill
        (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows or []))
        save_generator(path / "generator", 10 * steps if shown is None else shown)
        return Folder(planned, path)

    return made


def save_generator(path: Path, shown: int) -> None:
    path.mkdir()
    weights = {"w": np.zeros(3, np.float32)}
    save_file(weights, path / "model.safetensors", {"images_seen": str(shown)})


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


def test_running_is_seen_from_the_process(make: Make, tmp_path: Path) -> None:
    folder = make()
    words = [sys.executable, "-c", "import time; time.sleep(60)", "train", "--resume", SHORT.name]
    assert running(tmp_path) == set()
    process = subprocess.Popen(words, cwd=tmp_path)
    try:
        assert running(tmp_path) == {folder.path.resolve()}
    finally:
        process.kill()
        process.wait()


# The queue


def test_order() -> None:
    assert Queue(Path(), [SHORT, LONG]).order() == [SHORT, LONG]
    assert Queue(Path(), [SHORT, LONG], big_first=True).order() == [LONG, SHORT]


def test_next_passes_over_what_is_done_or_has_had_enough(make: Make, tmp_path: Path) -> None:
    both = Queue(tmp_path, [SHORT, LONG])
    first = both.next(set())
    assert first and first.planned == SHORT
    make(SHORT)
    second = both.next(set())
    assert second and second.planned == LONG
    make(LONG, steps=100)
    assert both.next(set()) is None
    third = Queue(tmp_path, [SHORT, LONG], big_first=True).next(set())
    assert third and third.planned == LONG  # on a GPU to its end


def test_commands(make: Make, tmp_path: Path) -> None:
    captured = Queue(tmp_path, [SHORT], device="cuda", settings=("train.cuda_graphs=true",))
    begins = captured.command(Folder(SHORT, tmp_path / "new"))
    assert begins[begins.index("train") + 1 :] == [
        *("cs231n-lsgan", "--seed", "0", "--set", "output.log=1 step", "--device", "cuda"),
        *("--set", "train.cuda_graphs=true", "--outdir", str(tmp_path / "new")),
    ]
    folder = make(steps=40)
    goes_on = captured.command(folder)
    assert goes_on[goes_on.index("train") + 1 :] == ["--resume", str(folder.path)]


TRAINER = """
import json, signal, sys, time
from pathlib import Path
path, steps = Path(sys.argv[2]), int(sys.argv[3])
path.mkdir(exist_ok=True)
(path / "config.toml").touch()
def stop(number, frame):
    (path / "saved").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
with (path / "log.jsonl").open("a") as log:
    log.write(json.dumps({"step": steps, "images": steps, "seconds": 1.0}) + "\\n")
time.sleep(60)
"""


class Pretending(Queue):
    """A queue whose trainer writes one log line and then waits to be stopped."""

    steps = 1

    def command(self, folder: Folder) -> list[str]:
        return [sys.executable, "-c", TRAINER, "train", str(folder.path), str(self.steps)]


def test_a_run_is_stopped_in_order_when_the_minutes_are_over(tmp_path: Path) -> None:
    began = time.monotonic()
    Pretending(tmp_path, [SHORT, LONG]).work(minutes=3 / 60)
    assert 3 <= time.monotonic() - began < 30
    assert (tmp_path / SHORT.name / "saved").exists()
    assert not (tmp_path / LONG.name).exists()


def stop_when_there_is(path: Path) -> None:
    """SIGTERM to this process once the file is there, from a thread beside the test."""

    def wait() -> None:
        while not path.exists():
            time.sleep(0.02)
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def test_a_run_that_has_had_enough_makes_way_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "LOOK", 0.05)
    pretending = Pretending(tmp_path, [LONG, SHORT])
    object.__setattr__(pretending, "steps", LONG.enough)
    stop_when_there_is(tmp_path / SHORT.name / "log.jsonl")
    pretending.work(minutes=1)
    assert (tmp_path / LONG.name / "saved").exists()
    assert (tmp_path / SHORT.name / "saved").exists()


def test_a_signal_stops_the_queue_and_its_run(tmp_path: Path) -> None:
    stop_when_there_is(tmp_path / SHORT.name / "log.jsonl")
    Pretending(tmp_path, [SHORT, LONG]).work(minutes=1)
    assert (tmp_path / SHORT.name / "saved").exists()
    assert not (tmp_path / LONG.name).exists()


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


# The report


def test_a_loss_is_the_mean_of_the_steps_asked_for(make: Make) -> None:
    log = make().log
    assert report.loss(log, "D", 99, 100) == 100
    assert report.loss(log, "G", 90, 100) == 191  # twice the mean of 91 to 100
    assert report.loss(log, "D", 100, 110) is None
    coarse = [
        {"step": 10, "D/loss": 1.0},
        {"step": 30, "D/loss": 4.0},
        {"step": 40, "D/loss": None},
    ]
    assert report.loss(coarse, "D", 0, 40) == 3.0  # 10 steps of 1, 20 of 4
    assert report.loss(coarse, "D", 9, 10) is None  # no line of that step alone


def test_spread() -> None:
    assert report.spread([]) == "-"
    assert report.spread([1.451, None]) == "1.451"
    assert report.spread([1.0, 2.0, 3.0]) == "2 ± 1"


def test_the_report_of_a_finished_run(make: Make) -> None:
    folder = make(rows=[FD | {"images": 1000, "step": 100}, FD | {"images": 700, "step": 70}])
    save_generator(folder.path / "best", 700)
    counted = {"tiles": 6, "legible": 5, "classes": [5, 0]}
    notes = {"sheets": {"100": counted}, "reals": counted, "drawn": counted | {"tiles": 10}}
    (folder.path / "legible.json").write_text(json.dumps(notes))
    (folder.path / "by-eye.json").write_text('{"100": {"legible": 4, "words": "one broken"}}')
    lines = report.report([folder]).splitlines()
    for row in (
        "| cs231n-lsgan-seed0 | 100 | 100 % of 100 | finished | 50 s | 20 | float32 | cpu |",
        "| cs231n-lsgan-seed0 | last, step 100 | 12.25 (12 to 12.5) " + 11 * "| - " + "|",
        "| cs231n-lsgan-seed0 | best, step 70 | 12.25 (12 to 12.5) " + 11 * "| - " + "|",
        "| real images | floor | 0.5 " + 11 * "| - " + "|",
        "| cs231n-lsgan | 0 | 1 | 0.5689 | 1 | 1 | 0.51 | 2 | 2 |",
        "| cs231n-lsgan | 250 | 0 | 0.1053 | - | - | 0.3343 | - | - |",
        "| cs231n-lsgan-seed0 | 100 | 5 of 6, 1 class | 4 | about 10 of 16 | 5 of 6 | 50.0 % |",
        "- `cs231n-lsgan-seed0`, step 100, by eye: one broken",
        "None: every run of the plan has come to its end.",
    ):
        assert row in lines, row


def test_losses_over_three_seeds(make: Make) -> None:
    folders = [make(Planned("cs231n-lsgan", seed, 300, 1, "pytorch"), 300) for seed in range(3)]
    row = "| cs231n-lsgan | 250 | 3 | 0.1053 | 251 ± 0 | 126.5 ± 0 | 0.3343 | 502 ± 0 | 253 ± 0 |"
    assert row in report.report(folders).splitlines()  # 126.5: the mean of 2 to 251


def test_what_is_not_finished_is_said_with_where_the_published_run_stood(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    curve = {"steps": 1000, "D": [0.70, 1.08], "G": [2.05, 1.22]}
    monkeypatch.setitem(plan.PUBLISHED["genzoo-cifar10"], "curve", curve)
    text = report.report([make(LONG, steps=500), Folder(SHORT, tmp_path / SHORT.name)])
    assert "- `genzoo-cifar10-seed0`: 500 of 1,000 steps (50.0 %), 4 min 10 s more" in text
    assert "on a straight line it stood at D 0.89, G 1.63 here" in text
    assert "| **not finished** |" in text
    assert "- `cs231n-lsgan-seed0`: not begun, 100 steps." in text


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


def test_a_long_log_is_kept_compressed(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "WHOLE", 1000)
    folder = make()
    keep.keep(folder, tmp_path / "kept", limit=1_000_000)
    kept = Folder(SHORT, tmp_path / "kept" / SHORT.name)
    assert not (kept.path / "log.jsonl").exists()
    assert kept.log == folder.log


def test_what_does_not_fit_or_is_not_finished_is_left_out(make: Make, tmp_path: Path) -> None:
    into = tmp_path / "kept"
    assert "over the limit of 0.0 MB" in keep.keep(make(), into, limit=100)
    assert "not finished, left out" in keep.keep(make(LONG, steps=10), into, limit=1_000_000)
    assert keep.size(into) == 0
