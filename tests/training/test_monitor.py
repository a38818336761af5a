"""Monitor during training: it changes nothing, says what `evaluate` says, keeps the best."""

from __future__ import annotations

import json
import math
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ganvas
from ganvas.config import Evaluate, Length
from ganvas.errors import RunError
from ganvas.generator import load
from ganvas.metrics import reference
from ganvas.metrics.rows import Row
from ganvas.rundir import RunFolder
from ganvas.training import loop, monitor, records
from ganvas.training.compute.graph import Steps
from ganvas.training.hooks import Hooks
from ganvas.training.monitor import Monitor
from ganvas.training.plan import Criterion, Plan

Train = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("own_cache", "plain_plots")


def measuring(metrics: str = "kd", every: str = "3 steps", **others: Any) -> dict[str, Any]:
    return {"evaluate.metrics": metrics, "evaluate.every": every, **others}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return RunFolder(folder).read_metrics()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def scored(monkeypatch: pytest.MonkeyPatch, scores: dict[int, float]) -> None:
    """Decide by these scores of the steps."""
    monkeypatch.setattr(Criterion, "score", lambda self, rows: scores[rows[0].step])


# It changes nothing, and says what `ganvas evaluate` says


@pytest.mark.parametrize("model", ["quickstart", "mnist-classes"])
def test_training_is_the_same_to_the_last_bit_with_and_without_it(
    model: str, train_tiny: Train, tmp_path: Path
) -> None:
    """With dropout and BatchNorm by running statistics, and with BatchNorm by the batch."""
    train_tiny(tmp_path / "without", **{"model.name": model})
    train_tiny(tmp_path / "with", **{"model.name": model} | measuring("fd,prdc", "5 steps"))
    without, with_it = contents(tmp_path / "without"), contents(tmp_path / "with")
    same = [
        name
        for name in without
        if name.startswith(("generator/", "samples/", "reals", "training"))
        or name == "checkpoints/step-00000012/state.safetensors"
    ]
    same.remove("generator/README.md")  # which says what was measured
    assert len(same) == 8
    assert [name for name in same if without[name] != with_it[name]] == []
    clock = {"seconds", "images_per_second"}
    logs = [
        [{k: v for k, v in line.items() if k not in clock} for line in RunFolder(f).read_log()]
        for f in (tmp_path / "without", tmp_path / "with")
    ]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("model", ["quickstart", "mnist-classes"])
def test_its_rows_are_those_of_ganvas_evaluate(
    model: str, train_tiny: Train, tmp_path: Path
) -> None:
    trained = train_tiny(tmp_path / "run", **{"model.name": model} | measuring("fd20,prdc"))
    assert [row.metric for row in trained.last] == ["fd20", "prdc32"]
    for name, num, found in (("fd", 20, trained.last[0]), ("prdc", 32, trained.last[1])):
        (row,) = ganvas.evaluate(tmp_path / "run", metrics=name, num=num, split="train")
        assert row == found
    for name, num, found in (("fd", 20, trained.best[0]), ("prdc", 32, trained.best[1])):
        (row,) = ganvas.evaluate(tmp_path / "run" / "best", metrics=name, num=num, split="train")
        assert row == found


def test_its_rows_are_those_of_ganvas_evaluate_on_a_test_split(tmp_path: Path) -> None:
    trained = ganvas.train(
        images=640,
        evaluate="fd100,memorisation100",
        settings={"preprocess.first": 700},
        outdir=tmp_path / "run",
        progress=False,
    )
    found = ganvas.evaluate(tmp_path / "run", metrics="fd,memorisation", num=100)
    assert trained.last == tuple(replace(row, picture="") for row in found)
    assert trained.last[0].extractor == "classifier-digits" and trained.last[0].split == "test"
    assert (trained.last[0].step, trained.last[0].images) == (trained.steps, trained.images)


# When


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("3 steps", [3, 6, 9, 12]),
        ("5steps", [5, 10, 12]),
        ("1epoch", [4, 8, 12]),
        ("100 images", [7, 12]),
        ("9 epochs", [12]),
    ],
)
def test_a_period_is_obeyed_and_the_end_is_measured(
    every: str, steps: list[int], train_tiny: Train, tmp_path: Path
) -> None:
    trained = train_tiny(tmp_path / "run", **measuring("fd10,kd10", every))
    found = [(row["metric"], row["step"], row["images"]) for row in rows_of(tmp_path / "run")]
    assert found == [(name, step, 16 * step) for step in steps for name in ("fd10", "kd10")]
    assert [row.as_json() for row in trained.last] == rows_of(tmp_path / "run")[-2:]
    assert trained.evaluation_seconds > 0

    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    scalars = events.Scalars("fd10/distance")
    assert [event.step for event in scalars] == steps
    values = [row["values"]["distance"] for row in rows_of(tmp_path / "run")[::2]]
    assert [event.value for event in scalars] == pytest.approx(values)


def monitor_of(length: str, ready: float, cost: float | None) -> Any:
    """A monitor in a run of epochs of 10 steps; making ready took so long, measuring will."""
    found = Monitor.__new__(Monitor)
    train = SimpleNamespace(length=Length.parse(length))
    found.run = SimpleNamespace(evaluate=Evaluate(), train=train)  # type: ignore[assignment]
    task = SimpleNamespace(reference=SimpleNamespace(num=2_000))
    found.plan = Plan(None, tasks=(task,), seconds=ready)  # type: ignore[arg-type]
    found.lengths = SimpleNamespace(steps_per_epoch=10, steps=lambda _: 10)  # type: ignore[assignment]
    found.state = SimpleNamespace(step=0, evaluation_seconds=ready)  # type: ignore[assignment]
    found.logged, found.rows, found._cost = 0, {}, cost
    return found


@pytest.mark.parametrize("ready", [0.0, 4.0])
@pytest.mark.parametrize("grows", [1.0, 1.15])
@pytest.mark.parametrize("cost", [0.1, 2.0, 10.0, 22.0])
@pytest.mark.parametrize("length", ["100 epochs", "16.6666 minutes"])
def test_auto_stays_under_its_share_of_the_time(
    length: str, cost: float, grows: float, ready: float
) -> None:
    """1,000 steps of 1 s; an evaluation may take a little longer than the one before."""
    found = monitor_of(length, ready, cost)
    state = found.state
    measured = []
    total = 1_000
    said = found.costly(total, 0.0) if "minutes" in length else ""
    for step in range(1, total + 1):
        state.step = step
        said = said or found.costly(total, float(step))
        if found.is_due(step == total, total, float(step)):
            cost *= grows if len(measured) < 2 else 1.0
            state.evaluation_seconds += cost
            found._cost = cost
            measured.append(step)
    share = state.evaluation_seconds / total
    assert (
        measured[-1] == total
        and max(measured[:-1], default=0) <= 950
        and all(step % 10 == 0 for step in measured)
    )
    assert share < 0.05 and said == ""
    assert len(measured) >= min(60, int(0.6 * (50 - ready) / cost))  # which is used


def test_where_the_end_alone_takes_more_it_is_said_beforehand() -> None:
    found = monitor_of("100 epochs", ready=20.0, cost=40.0)
    found.state.step = 20
    said = found.costly(1_000, 20.0)
    assert (
        "measuring 2,000 images, at the end alone, comes to about 60.0 s, 6 % of 1,000.0 s" in said
    )
    assert "the real images took 20.0 s" in said
    assert not any(found.is_due(False, 1_000, float(step)) for step in (20, 500, 990))
    found = monitor_of("100 epochs", ready=20.0, cost=40.0)
    found.run.evaluate = Evaluate(every="10 steps")  # what was asked for is done
    assert found.costly(1_000, 20.0) == ""


def test_a_costly_evaluation_is_said_to_be_once_before_it_is_made(
    cli: Any, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Monitor, "cost", 9.0)
    result = cli("train", tiny_run / "config.toml", "--evaluate", "kd", "--outdir", "run")
    said = [line for line in result.out.splitlines() if line.startswith("measuring 32 images")]
    assert len(said) == 1 and "at the end alone, comes to about" in said[0]
    assert {row["step"] for row in rows_of(Path("run"))} == {12}


def test_the_first_guess_has_the_drawing_of_fakes_in_it(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of nets that take longer to draw with than to train with."""
    drawn = Monitor._drawn

    def slowly(self: Monitor, generator: Any, num: int, seed: int) -> Any:
        time.sleep(0.002 * num)
        return drawn(self, generator, num, seed)

    costs = []

    def look(state: Any) -> None:
        costs.append(sessions[0].cost)

    sessions: list[Monitor] = []
    begin = Monitor.__post_init__
    monkeypatch.setattr(Monitor, "__post_init__", lambda self: (begin(self), sessions.append(self)))
    monkeypatch.setattr(Monitor, "_drawn", slowly)
    monkeypatch.setattr(loop, "Hooks", lambda: Hooks(after_step=look))
    train_tiny(tmp_path / "run", **measuring("kd", "9 epochs"))
    assert costs[0] > 0.064


def test_time_for_evaluation_is_no_training_time(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that only evaluations move, 10 s each."""
    clock = SimpleNamespace(now=100.0)
    measure = Monitor.measure

    def slow(self: Monitor, reporter: Any) -> bool:
        before, clock.now = clock.now, clock.now + 10
        assert self.state.seconds == 0 and before >= 100
        return measure(self, reporter)

    monkeypatch.setattr(loop, "Hooks", lambda: Hooks(clock=lambda: clock.now))
    monkeypatch.setattr(Monitor, "measure", slow)
    assert train_tiny(tmp_path / "run", **measuring("fd10")).seconds == 0
    assert {line["seconds"] for line in RunFolder(tmp_path / "run").read_log()} == {0}


# The best


def test_the_best_generator_is_kept_and_its_checkpoint_too(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, {3: 1.0, 6: 2.0, 9: math.nan, 12: 2.0})
    changes = measuring(**{"output.keep_checkpoints": 1, "output.checkpoint": "4 steps"})
    trained = train_tiny(tmp_path / "run", **changes)
    assert {row.step for row in trained.best} == {6} and trained.last[0].step == 12
    folder = RunFolder(tmp_path / "run")
    assert [path.name for path in folder.checkpoints()] == ["step-00000006", "step-00000012"]
    assert load(folder.best).images_seen == 96 and load(folder.path).images_seen == 192
    kept = load_file(folder.checkpoint(6) / "state.safetensors")
    for key, value in load(folder.best).net.state_dict().items():
        assert torch.equal(value, kept[f"G.{key}"]), key
    assert len(ganvas.sample(folder.best, num=3, npz=tmp_path / "x.npz")) == 3


# Stopping and going on


def stop_after(patch: pytest.MonkeyPatch, step: int) -> None:
    original = Steps.take

    def take(self: Steps, images: int) -> None:
        original(self, images)
        if self._state.step == step:
            signal.raise_signal(signal.SIGTERM)

    patch.setattr(Steps, "take", take)


@pytest.mark.slow_after(1)
@pytest.mark.parametrize("stops", [[3], [7, 11]], ids=str)
def test_wherever_it_stops_the_evaluations_go_on_as_if_nothing_had_been(
    stops: list[int], train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = measuring("fd20,kd32", **{"output.checkpoint": "5 steps"})
    whole = train_tiny(tmp_path / "whole", **changes)
    folder, spent = tmp_path / "cut", 0.0
    for step in stops:
        with monkeypatch.context() as patch:
            stop_after(patch, step)
            cut = train_tiny(None, resume=folder) if spent else train_tiny(folder, **changes)
        assert cut.steps == step and cut.evaluation_seconds > spent
        spent = cut.evaluation_seconds
    cut = train_tiny(None, resume=folder)
    assert (cut.last, cut.best) == (whole.last, whole.best)
    assert cut.evaluation_seconds > spent
    assert_same(tmp_path / "whole", folder)


def assert_same(one: Path, two: Path) -> None:
    """The same rows, generators and newest checkpoint, and the best one's checkpoint is there."""
    a, b = contents(one), contents(two)
    newest = RunFolder(one).checkpoints()[-1].name
    assert newest == RunFolder(two).checkpoints()[-1].name
    parts = ("best/", "generator/", "metrics", f"checkpoints/{newest}/state.safetensors")
    names = [name for name in a if name.startswith(parts)]
    assert names == [name for name in b if name.startswith(parts)] and len(names) == 8
    assert [name for name in names if a[name] != b[name]] == []
    step = load(one / "best").images_seen // 16
    assert RunFolder(two).checkpoint(step).is_dir()


class Killed(BaseException):
    pass


@pytest.mark.slow_after(1)
@pytest.mark.parametrize(
    ("where", "at"),
    [
        ("save_generator", 3),
        ("save_generator", 6),
        ("save_checkpoint", 6),
        ("prune_checkpoints", 9),
    ],
)
def test_a_kill_between_a_best_generator_and_its_checkpoint_leaves_no_trace(
    where: str, at: int, train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, {3: 1.0, 6: 2.0, 9: 3.0, 12: 0.0})
    changes = measuring(**{"output.keep_checkpoints": 1, "output.checkpoint": "5 steps"})
    train_tiny(tmp_path / "whole", **changes)
    home = {
        "save_generator": monitor,
        "save_checkpoint": records,
        "prune_checkpoints": RunFolder,
    }
    original = getattr(home[where], where)

    def killing(*arguments: Any) -> Any:
        if where != "save_checkpoint":  # just after; a checkpoint: just before
            original(*arguments)
        if len(rows_of(tmp_path / "cut")) == at // 3:
            raise Killed
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(home[where], where, killing)
        with pytest.raises(Killed):
            train_tiny(tmp_path / "cut", **changes)
    train_tiny(None, resume=tmp_path / "cut")
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_a_run_goes_on_from_a_checkpoint_before_the_best(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, {3: 1.0, 6: 2.0, 9: 0.0, 12: 0.0})
    changes = measuring(**{"output.keep_checkpoints": 9})
    train_tiny(tmp_path / "whole", **changes)
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    measured = []
    monkeypatch.setattr(Monitor, "_write", lambda self, step, rows: measured.append(step))
    train_tiny(None, resume=tmp_path / "again" / "checkpoints" / "step-00000004")
    assert measured == []  # the rows are there
    assert_same(tmp_path / "whole", tmp_path / "again")


def test_a_lost_best_generator_comes_back_from_its_checkpoint(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With batch statistics: the standing ones are computed again, to the same bits."""
    scored(monkeypatch, {3: 1.0, 6: 2.0, 9: 0.0, 12: 0.0})
    train_tiny(tmp_path / "whole", **measuring() | {"model.name": "mnist-classes"})
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    (tmp_path / "again" / "best" / "config.json").unlink()
    assert train_tiny(None, resume=tmp_path / "again").best[0].step == 6
    assert_same(tmp_path / "whole", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "best")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "step-00000006")
    assert train_tiny(None, resume=tmp_path / "again").best[0].step == 12  # what there still is


def test_rows_of_another_protocol_are_kept_and_count_for_nothing(
    train_tiny: Train, tmp_path: Path
) -> None:
    trained = train_tiny(tmp_path / "run", **measuring("kd32"))
    folder = RunFolder(tmp_path / "run")
    (row,) = ganvas.evaluate(tmp_path / "run", metrics="kd", num=32, split="train", seed=1)
    other = row.as_json() | {"values": {"distance": -1.0}}
    folder.append_metrics([other, {"metric": "kd32", "mine": True}, {"note": 1}])
    with folder.metrics.open("a") as file:
        file.write("mine\n")
    before = folder.metrics.read_bytes()
    again = train_tiny(None, resume=tmp_path / "run")
    assert (again.last, again.best) == (trained.last, trained.best)
    assert folder.metrics.read_bytes() == before


def test_a_row_goes_through_json(train_tiny: Train, tmp_path: Path) -> None:
    (row,) = train_tiny(tmp_path / "run", **measuring("1nn20")).last
    assert row.intervals and row.floor
    assert Row.of_json(json.loads(json.dumps(row.as_json()))) == row
    unknown = replace(row, values={"precision": math.nan})
    assert math.isnan(Row.of_json(unknown.as_json()).values["precision"])
    with pytest.raises((TypeError, ValueError)):
        Row.of_json({"metric": "old"})


# What cannot be measured


def test_weights_that_are_not_finite_are_not_measured(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Steps.take

    def take(self: Steps, images: int) -> None:
        original(self, images)
        if self._state.step == 7:
            with torch.no_grad():
                next(self._state.players.G.parameters()).fill_(float("nan"))

    monkeypatch.setattr(Steps, "take", take)
    trained = train_tiny(tmp_path / "run", **measuring() | {"watchdog.not_finite": "warn"})
    assert [row["step"] for row in rows_of(tmp_path / "run")] == [3, 6]
    assert trained.best and trained.last[0].step == 6


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--evaluate", "fdd10k"], ["unknown metric 'fdd'", "did you mean", "fd"]),
        (["--evaluate", "fid10k"], ["'fid' is measured in Inception's features", "take fd"]),
        (["--evaluate", "fd2k,"], ["unknown metric ''"]),
        (["--evaluate", "fd1"], ["evaluate.metrics: found 'fd1'", "2 images or more"]),
        (["--evaluate", "fd", "--every", "epoch"], ["evaluate.every: found 'epoch'", "1 epoch"]),
        (["--evaluate", "none", "--every", "1epoch"], ["--every: found '1epoch'", "--evaluate"]),
        (["--every", "1epoch"], ["--every: found '1epoch'", "--evaluate"]),
        (["--evaluate", "classes"], ["classes: a classifier is needed", "have no labels"]),
        (["--evaluate", "parzen"], ["evaluate.metrics: parzen: it is defined on test images"]),
        (["--evaluate", "prdc3"], ["evaluate.metrics: prdc3:", "at least 6"]),
        (["--evaluate", "fd", "--set", "evaluate.best=kd"], ["evaluate.best: found 'kd'", "fd"]),
        (
            ["--evaluate", "prdc", "--set", "evaluate.best=prdc.cover"],
            ["evaluate.best: prdc has no value 'cover'", "coverage"],
        ),
        (
            ["--evaluate", "fd", "--set", "evaluate.features=inceptoin"],
            ["evaluate.features: found 'inceptoin'", "classifier"],
        ),
        (["--set", "evaluate.metrics=3"], ["evaluate.metrics: found 3"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_honoured_is_one_line_and_nothing_is_written(
    arguments: list[str], parts: list[str], tiny_run: Path, cli: Any, tmp_path: Path
) -> None:
    result = cli("train", tiny_run / "config.toml", *arguments)
    assert result.code == 2 and len(result.err.splitlines()) == 1, result.err
    for part in parts:
        assert part in result.err
    assert not list(tmp_path.iterdir())


def test_what_nobody_asked_for_is_left_out_with_a_line(
    cli: Any, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(dataset: Any, preprocess: Any, split: str, root: Any) -> Any:
        raise RunError("the test images are nowhere")

    monkeypatch.setattr(reference, "load_images", missing)
    text = (tiny_run / "config.toml").read_text()
    Path("mine.toml").write_text(text.replace("metrics = []", 'metrics = ["fd"]'))
    result = cli("train", "mine.toml", "--outdir", "run")
    assert result.code == 0 and "not evaluated: the test images are nowhere" in result.out
    assert not Path("run/best").exists() and not Path("run/metrics.jsonl").exists()
    result = cli("train", "mine.toml", "--evaluate", "fd100", "--outdir", "other")
    assert result.code == 1 and result.err == "ganvas: the test images are nowhere\n"
    assert not Path("other").exists()


# What the user sees


def test_the_command_says_last_best_and_real_images(
    cli: Any, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, {4: 1.0, 8: 2.0, 12: 0.0})
    result = cli(
        "train", tiny_run / "config.toml", "--evaluate", "fd20,prdc500", "--every", "1epoch",
        "--outdir", "run", "--set", "evaluate.best=prdc",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert "evaluates fd20, prdc32 every 1epoch" in result.out and "prdc500 is prdc32" in result.out
    rows = rows_of(Path("run"))
    (last,) = [line for line in result.out.splitlines() if line.startswith("  last: ")]
    (best,) = [line for line in result.out.splitlines() if line.startswith("  best: ")]
    (floor,) = [line for line in result.out.splitlines() if line.startswith("  real images: ")]
    for line, row in ((last, rows[4]), (best, rows[2])):
        assert f"fd20 distance {row['values']['distance']:.4g}, prdc32 precision " in line
    assert best.endswith("; step 8, 128 images: run/best")
    assert f"fd20 distance {rows[0]['floor']['distance']:.4g}" in floor
    assert "% of the training time" in floor
    progress = [line for line in result.out.splitlines() if line.startswith("epoch")]
    assert f" · prdc32 {rows[3]['values']['precision']:.4g} · " in progress[-1]
