"""What a run measures: which metrics, of how many images, and which value decides."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ganvas
from ganvas import config
from ganvas.config import Evaluate
from ganvas.data.prepare import load_images
from ganvas.errors import UsageError
from ganvas.metrics.extractors import classifier, countdown, taught
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.kernel import KernelDistance
from ganvas.rundir import RunFolder
from ganvas.training.plan import Criterion, Plan, asked, make_plan, usual_count

Train = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("own_cache", "plain_plots")


@pytest.mark.parametrize(
    ("length", "num_images", "count"),
    [
        ("200000 images", 9, 2_000),
        ("199999 images", 9, 1_000),
        ("5 epochs", 60_000, 2_000),
        ("1 epoch", 60_000, 500),
        ("1 epoch", 100, 200),
    ],
)
def test_a_short_run_measures_fewer_images(length: str, num_images: int, count: int) -> None:
    tables = config.override(config.read_recipe("quickstart").tables, [("train.length", length)])
    assert usual_count(config.build(tables), num_images) == count


@pytest.mark.parametrize(
    ("better", "values", "order"),
    [("lower", [3, 1, 2], [1, 2, 0]), ("higher", [3, 1, 2], [0, 2, 1]),
     ("half", [0.1, 0.6, math.nan], [1, 0, 2])],
)  # fmt: skip
def test_better_has_a_direction(better: Any, values: list[float], order: list[int]) -> None:
    decides = Criterion("fd2k", "distance", better)
    blank = SimpleNamespace(metric="fd2k")
    scores = [
        decides.score([SimpleNamespace(**vars(blank), values={"distance": v})])  # type: ignore[list-item]
        for v in values
    ]
    assert sorted(range(len(values)), key=lambda i: -scores[i]) == order


@pytest.mark.parametrize(
    ("metrics", "best", "expected"),
    [
        ("prdc30,kd30", "", ("prdc30", "precision", "higher")),
        ("prdc30,kd30", "kd", ("kd30", "distance", "lower")),
        ("fd30,prdc30", "prdc.coverage", ("prdc30", "coverage", "higher")),
        ("kd30,kernel31", "kernel.distance", ("kd30", "distance", "lower")),
        ("kd30,kernel31", "kd31.distance", ("kd31", "distance", "lower")),
        ("1nn30", "", ("1nn30", "accuracy", "half")),
        ("kd", "", ("kd32", "distance", "lower")),
        ("fd500,fd9000", "", ("kd32", "distance", "lower")),  # of 32 images in 128 features
        ("fd30,prdc31", "", ("prdc31", "precision", "higher")),
    ],
)
def test_which_value_decides(
    metrics: str, best: str, expected: tuple[str, ...], tiny_settings: dict[str, Any]
) -> None:
    plan = plan_of(tiny_settings | {"evaluate.metrics": metrics, "evaluate.best": best})
    assert plan.criterion == Criterion(*expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metrics", "best", "measured", "said"),
    [
        ("fd", "", ["fd32", "kd32"],
         "kd32 decides, for 32 images are too few for the covariance of 128 features"),
        ("fd", "fd", ["fd32"], "no best generator is kept: 32 images are too few for the covari"),
        ("kd29", "", ["kd29"], "no best generator is kept: 29 images are too few to tell gene"),
        ("fd29", "", ["fd29"], "no best generator is kept: 29 images are too few to tell gene"),
        ("fd,kd29,prdc", "", ["fd32", "kd29", "prdc32"], "prdc32 decides, for 32 images are too"),
    ],
)  # fmt: skip
def test_what_has_too_few_images_does_not_decide(
    metrics: str, best: str, measured: list[str], said: str, tiny_settings: dict[str, Any]
) -> None:
    plan = plan_of(tiny_settings | {"evaluate.metrics": metrics, "evaluate.best": best})
    assert [task.blank.metric for task in plan.tasks] == measured
    assert (plan.criterion is None) == ("no best" in said)
    assert said in plan.about


def test_a_frechet_distance_decides_of_more_images_than_features() -> None:
    """The digits' classifier has 128 features."""
    plan = {}
    for num in (128, 129):
        settings = [("evaluate.metrics", f"fd{num}")]
        run = config.build(config.override(config.read_recipe("quickstart").tables, settings))
        plan[num] = make_plan(run, load_images(run.data, run.preprocess), None)
    assert [of.criterion and of.criterion.metric for of in plan.values()] == ["kd128", "fd129"]


def test_what_evaluate_measures_is_measured_on_the_way_too() -> None:
    """A trial on a few images would refuse both."""
    tables = config.read_recipe("quickstart").tables
    changes = [("evaluate.metrics", "parzen200,classes200")]
    run = config.build(config.override(tables, changes))
    plan = make_plan(run, load_images(run.data, run.preprocess), None)
    assert [task.blank.metric for task in plan.tasks] == ["parzen200", "classes200"]
    assert plan.criterion and all(task.blank.floor for task in plan.tasks)


def test_of_twenty_pictures_none_is_the_best(cli: Any, tmp_path: Path) -> None:
    """They are trained on and measured; what the numbers cannot tell is not told."""
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", images=images)
    run = ("train", "--data", "few.npz", "--epochs", "3", "--batch-size", "4", "--outdir", "run")
    said = cli(*run)
    assert said.code == 0 and "no best generator is kept: 10 images are too few" in said.out
    assert "  last: fd10 distance" in said.out and "best:" not in said.out
    assert not (tmp_path / "run" / "best").exists()
    assert cli("train", "--resume", "run").code == 0


def plan_of(settings: dict[str, Any], **options: Any) -> Plan:
    tables = config.override(config.read_recipe("cs231n-vanilla").tables, list(settings.items()))
    del tables["preprocess"]
    run = config.build(tables)
    return make_plan(run, load_images(run.data, run.preprocess), None, **options)


def test_what_is_lowered_and_what_images_are_looked_at_with_is_said(
    tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labelled images are looked at with a classifier, which is trained first."""
    monkeypatch.setattr(classifier, "SHOWN", 200)
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "labelled.npz", images=images, labels=np.arange(80) % 2)
    labelled = tiny_settings | {"data.path": str(tmp_path / "labelled.npz")}
    plan = plan_of(labelled | {"evaluate.metrics": "fd9000,prdc10", "evaluate.every": "2 epochs"})
    for part in (
        "evaluates fd40, prdc10, kd40 every 2 epochs, against npz",
        "features: classifier: trained here on 40 training images, right on ",
        " % of 40 others",
        "fd9000 is fd40 here",
    ):
        assert part in plan.about


def test_the_flags_are_settings(cli: Any, tmp_path: Path) -> None:
    result = cli("train", "--evaluate", "fd10k, prdc10k", "--every", "1epoch", "--dry-run")
    (tmp_path / "x.toml").write_text(result.out)
    found = config.load(tmp_path / "x.toml").evaluate
    assert found == Evaluate(metrics=("fd10k", "prdc10k"), every="1epoch")
    assert ganvas.resolve(evaluate=["fd10k", "prdc10k"], every="1epoch").evaluate == found
    settings = ["evaluate.metrics=fd10k,prdc10k", "evaluate.every=1epoch"]
    assert ganvas.resolve(settings=settings).evaluate == found
    assert cli("train", "--evaluate", "none", "--dry-run").out.count("metrics = []") == 1
    assert [item.num for item in asked(found)] == [10_000, 10_000]
    assert [item.num for item in asked(Evaluate(metrics=("1nn", "1nn500")))] == [None, 500]


# How many images


def test_the_number_of_images_is_written_down(train_tiny: Train, tmp_path: Path) -> None:
    """Of 64 images half are the reference; a number that was asked for stays as it is."""
    trained = train_tiny(tmp_path / "run", **{"evaluate.metrics": "fd,prdc9k,kernel"})
    assert [row.metric for row in trained.last] == ["fd32", "prdc32", "kd32"]
    begun = config.load(tmp_path / "run" / "config.toml")
    assert begun.evaluate.metrics == ("fd32", "prdc9k", "kd32")


def test_a_run_ends_with_the_words_of_the_number_that_decides(cli: Any, tiny_run: Path) -> None:
    said = cli("train", tiny_run / "config.toml", "--evaluate", "fd", "--outdir", "run")
    (words,) = [line for line in said.out.splitlines() if line.startswith("how good: ")]
    assert "real images: kd32 " in words or "by so few: kd32 " in words


def test_a_run_goes_on_with_the_distance_that_was_added(train_tiny: Train, tmp_path: Path) -> None:
    trained = train_tiny(tmp_path / "run", **{"evaluate.metrics": "fd"})
    assert [row.metric for row in trained.last] == ["fd32", "kd32"]
    for metrics in (None, "fd", "fd,kd"):
        again = ganvas.train(resume=tmp_path / "run", evaluate=metrics, progress=False)
        assert (again.last, again.best) == (trained.last, trained.best)


@pytest.mark.slow_after(2)
@pytest.mark.parametrize("metrics", [None, "fd,kd", "frechet,kd", "fd32,kd20"])
def test_a_run_goes_on_by_the_names_that_it_was_begun_with(
    metrics: str | None, train_tiny: Train, tmp_path: Path
) -> None:
    trained = train_tiny(tmp_path / "run", **{"evaluate.metrics": "fd,kd20"})
    again = ganvas.train(resume=tmp_path / "run", evaluate=metrics, progress=False)
    assert (again.last, again.best) == (trained.last, trained.best)


@pytest.mark.parametrize("metrics", ["fd20,kd20", "kd,fd", "prdc", "fd,kd,prdc"])
def test_a_run_does_not_go_on_with_other_metrics(
    metrics: str, train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(tmp_path / "run", **{"evaluate.metrics": "fd,kd20"})
    with pytest.raises(UsageError, match="--resume: .*evaluate.metrics"):
        ganvas.train(resume=tmp_path / "run", evaluate=metrics, progress=False)


def test_a_run_of_an_earlier_version_goes_on(train_tiny: Train, tmp_path: Path) -> None:
    """Its config.toml has no number, and its rows have settings under other names."""
    trained = train_tiny(
        tmp_path / "run", **{"evaluate.metrics": "fd,kd", "evaluate.every": "3 steps"}
    )
    folder = RunFolder(tmp_path / "run")
    text = folder.config.read_text()
    assert '["fd32", "kd32"]' in text
    folder.config.write_text(text.replace('["fd32", "kd32"]', '["fd", "kd"]'))
    rows = folder.read_metrics()
    for row in rows:
        if row["metric"] == "fd32":
            row["settings"] = {"frechet": row["settings"]["fd"]}
        else:
            kernel = row["settings"]["kd"]
            exact = {key: kernel[key] for key in ("degree", "gamma", "coef")}
            row["settings"] = {"kernel-exact": exact, "kernel": kernel}
    folder.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = train_tiny(None, resume=tmp_path / "run")
    assert (again.last, again.best) == (trained.last, trained.best)
    assert len(folder.read_metrics()) == len(rows)


# Settings of metrics


def test_settings_of_metrics_are_those_of_the_run(train_tiny: Train, tmp_path: Path) -> None:
    changes = {"evaluate.metrics": "prdc,kernel", "metrics.prdc.k": 2, "metrics.kernel.subsets": 7}
    trained = train_tiny(tmp_path / "run", **changes)
    prdc, kd = trained.last
    assert prdc.settings["prdc"]["k"] == 2
    assert kd.settings["kd"]["subsets"] == 7 and kd.settings["kd"]["subset_size"] == 16
    run = config.load(tmp_path / "run" / "config.toml")
    assert run.metrics["kd"] == KernelDistance(subsets=7)
    found = ganvas.evaluate(tmp_path / "run", metrics="prdc,kd", num=32, split="train")
    assert tuple(found) == trained.last
    again = train_tiny(None, resume=tmp_path / "run")
    assert again.last == trained.last
    with pytest.raises(UsageError, match="metrics.prdc.k: 2 -> 3"):
        ganvas.train(resume=tmp_path / "run", settings={"metrics.prdc.k": 3}, progress=False)


def test_the_command_takes_them(cli: Any, tmp_path: Path) -> None:
    said = cli("train", "--set", "metrics.prdc.k=3", "--set", "metrics.1nn-two-sample.x=1")
    assert said.code == 2 and "'metrics.1nn.x': metrics.1nn has no settings" in said.err
    said = cli("train", "--set", "metrics.prdc.k=3", "--dry-run")
    (tmp_path / "mine.toml").write_text(said.out)
    assert "[metrics.prdc]\nk = 3\n" in said.out
    assert config.load(tmp_path / "mine.toml").metrics["prdc"].k == 3


# What is computed once


def test_real_images_are_looked_at_once(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the floor and all of four evaluations."""
    calls = []
    statistics = FrechetDistance.statistics
    monkeypatch.setattr(
        FrechetDistance, "statistics", lambda self, real: calls.append(1) or statistics(self, real)
    )
    changes = {"evaluate.metrics": "fd20", "evaluate.every": "3 steps"}
    train_tiny(tmp_path / "run", **changes)
    assert len(RunFolder(tmp_path / "run").read_metrics()) == 4 and len(calls) == 1


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """80 images of 8x8 of two kinds."""
    images = np.random.default_rng(0).integers(0, 80, (80, 8, 8), dtype=np.uint8)
    images[::2] += 170
    np.savez(tmp_path / "labelled.npz", images=images, labels=np.arange(80) % 2)
    return tmp_path / "labelled.npz"


def test_one_name_is_one_number_on_the_way_and_afterwards(
    labelled: Path, train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "SHOWN", 200)
    changes = {"data.path": str(labelled), "evaluate.metrics": ["fd20"]}
    (found,) = train_tiny(tmp_path / "run", **changes).last
    (row,) = ganvas.evaluate(tmp_path / "run", metrics="fd", num=20, split="train")
    assert row == found and row.extractor == "classifier" and row.extractor_accuracy


def test_a_runs_features_are_those_that_it_is_evaluated_in(
    labelled: Path, train_tiny: Train, tmp_path: Path
) -> None:
    changes = {
        "data.path": str(labelled),
        "evaluate.metrics": "fd20",
        "evaluate.features": "random",
    }
    (found,) = train_tiny(tmp_path / "run", **changes).last
    options: dict[str, Any] = {"metrics": "fd", "num": 20, "split": "train"}
    (row,) = ganvas.evaluate(tmp_path / "run", **options)
    assert row == found and row.extractor == "random"
    (other,) = ganvas.evaluate(tmp_path / "run", **options, features="pixels")
    assert other.extractor == "pixels"


def test_a_net_is_trained_aloud_but_not_to_tell_whether_it_can_be(
    labelled: Path, tiny_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "SHOWN", 240)
    monkeypatch.setattr(taught, "PASSES", 59)  # a net of its own in the cache
    monkeypatch.setattr(countdown, "PATIENCE", 0.0)
    settings = tiny_settings | {"data.path": str(labelled), "evaluate.metrics": "fd20"}
    lines: list[str] = []
    assert plan_of(settings, say=lines.append, learn=False).tasks == () and not lines
    plan = plan_of(settings, say=lines.append)
    assert plan.tasks[0].reference.extractor.name == "classifier"
    assert lines[0].startswith("a small net for the features learns from 40 of 240 images · ")


def test_a_metric_that_needs_a_classifier_is_refused_before_a_net_learns(
    tiny_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taught, "lesson", None)
    for learn in (True, False):
        with pytest.raises(UsageError, match="classes: a classifier is needed, and .* no labels"):
            plan_of(tiny_settings | {"evaluate.metrics": "classes"}, learn=learn)
