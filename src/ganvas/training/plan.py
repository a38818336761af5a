"""What a run measures on the way: its metrics, the real images, and the value that decides."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch

from ganvas.config import Evaluate, Run
from ganvas.data.holdout import settled
from ganvas.errors import RunError, UsageError
from ganvas.metrics.extractors import choice
from ganvas.metrics.extractors.countdown import LEARNING, told
from ganvas.metrics.extractors.extractor import CPU, Extractor, Watch, unwatched
from ganvas.metrics.forms import uses_extractor
from ganvas.metrics.inputs import Better
from ganvas.metrics.metric import Measured, Metric
from ganvas.metrics.reference import Reference, most, splits
from ganvas.metrics.rows import Row
from ganvas.metrics.spec import Spec, spec, specs
from ganvas.pixels import ImageSet, Pixels
from ganvas.protocols import Split
from ganvas.registry import METRICS, closest, metric_named
from ganvas.training.labels import classes_told

SHARE: Final = 0.05
"""Of the training time, what `auto` spends at most."""
COUNTS: Final = (2_000, 1_000, 500, 200)
"""Images of a metric that is asked for without a number: as many as the run is long enough for."""
SHOWN: Final = 100
"""Images that a run shows for each one of such a metric, so that one evaluation takes less than
SHARE of the time even with small dense nets, whose steps take no longer than measuring."""


@dataclass(frozen=True)
class Task:
    """A metric to measure again and again."""

    metric: Metric
    reference: Reference
    blank: Row
    """Its protocol and floor, without values."""


@dataclass(frozen=True)
class Criterion:
    """The value by which the best generator is kept."""

    metric: str
    """With its number of images: fd2k."""
    key: str
    better: Better

    def score(self, rows: Sequence[Row]) -> float:
        """Higher is better; minus infinity if it was not measured."""
        for row in rows:
            value = row.values.get(self.key, math.nan)
            if row.metric == self.metric and math.isfinite(value):
                away = -abs(value - 0.5)
                return {"higher": value, "lower": -value, "half": away}[self.better]
        return -math.inf


@dataclass(frozen=True)
class Plan:
    """All that a run's evaluations need but the fakes."""

    run: Run
    """The run, with the number of images of each metric."""
    tasks: tuple[Task, ...] = ()
    criterion: Criterion | None = None
    """None if nothing is measured."""
    about: str = ""
    """A line that says what is measured, or why nothing is."""
    seconds: float = 0.0
    """What it took to make ready."""
    cost: float = 0.0
    """A guess at the seconds that one evaluation takes, from real images."""


def asked(settings: Evaluate) -> list[Spec]:
    """The metrics that the settings ask for; UsageError if one of them is wrong."""
    choice.check(settings.features, "evaluate.features")
    found = specs(settings.metrics, settings.features, "evaluate.metrics")
    best = settings.best.partition(".")[0]
    names = [item.metric for item in found]
    if best and found and spec(best, settings.features, "evaluate.best").metric not in names:
        raise UsageError(
            f"evaluate.best: found '{settings.best}', which is not measured; {closest(best, names)}"
        )
    return found


def usual_count(run: Run, num_images: int) -> int:
    """Images of a metric that is asked for without a number, by the length of the run."""
    shown = run.train.length.images(num_images)
    if shown is None:
        return COUNTS[0]
    return next((count for count in COUNTS if SHOWN * count <= shown), COUNTS[-1])


def as_begun(run: Run, begun: Run) -> Run:
    """`run` with the numbers that the run was begun with where it has none: of images of a metric,
    and of images held out."""
    metrics = list(run.evaluate.metrics)
    for i, then in enumerate(begun.evaluate.metrics[: len(metrics)]):
        item = spec(metrics[i], run.evaluate.features, "evaluate.metrics")
        before = spec(then, begun.evaluate.features, "evaluate.metrics")
        if item.num is None and item.metric == before.metric:
            metrics[i] = then
    data = settled(run.data, getattr(begun.data, "holdout", 0))
    return replace(run, data=data, evaluate=replace(run.evaluate, metrics=tuple(metrics)))


def make_plan(
    run: Run,
    data: ImageSet,
    root: Path | None,
    device: torch.device = CPU,
    say: Callable[[str], None] = lambda text: None,
    learn: bool = True,
) -> Plan:
    """Load the test images and the extractor, and prepare the real images.

    `data` are the images that the run trains on, `device` is where images pass the extractor;
    `say` is given lines while its net is trained. Without `learn` none is, and the plan is only
    good for telling whether there can be one.

    Raises:
        UsageError: the settings are wrong, or something that they ask for cannot be measured.
        RunError: the test images are nowhere to be found.
    """
    if not asked(run.evaluate):
        return Plan(run)
    began = time.perf_counter()
    try:
        with torch.random.fork_rng(devices=[]):
            watch = partial(told, doing=LEARNING, say=say)
            plan = _planned(run, data, root, device, watch if learn else None)
    except (UsageError, RunError) as error:
        if run.evaluate != Evaluate():
            raise
        return Plan(run, about=f"not evaluated: {error}")  # nobody asked for it
    return replace(plan, seconds=time.perf_counter() - began)


def _planned(
    run: Run, data: ImageSet, root: Path | None, device: torch.device, watch: Watch | None
) -> Plan:
    train, test = splits(run.data, run.preprocess, root, train=data)
    if test is not None and test.shape != train.shape:
        raise UsageError(
            f"evaluate: the test images are of shape {test.shape}, the training images of "
            f"{train.shape}; --image-size makes them alike"
        )
    split: Split = "test" if test is not None else "train"
    features = run.evaluate.features
    if features == choice.AUTO:
        _check_classifier(run, train)
    if watch is None and choice.learns(features, run.data, train):
        if choice.best(run.data, train)[0] == "classifier":
            return Plan(run)
        features = "random"  # they fail where those that are learnt do
    extractor = choice.choose(
        features, run.data, train, test, root, device=device, watch=watch or unwatched
    )
    usual, available = usual_count(run, len(data)), most(train, test)
    labelled = len(classes_told(run.model, data)[0]) > 0
    references: dict[int, Reference] = {}
    tasks: dict[str, Task] = {}
    resolved, lowered = [], []
    cost = 0.0
    for text in run.evaluate.metrics:
        item = spec(text, run.evaluate.features, "evaluate.metrics")
        num = min(item.num or usual, available)
        if num not in references:
            references[num] = Reference(
                run.data, run.preprocess, train, test, split, 0, extractor, num
            )
        metric = run.metrics.get(item.metric) or METRICS.get(item.metric)()
        try:
            task, seconds = _task(metric, references[num], labelled=labelled)
        except UsageError as error:
            raise UsageError(f"evaluate.metrics: {text}: {error}") from None
        tasks[task.blank.metric] = task
        cost += seconds
        resolved.append(text if item.num else str(replace(item, num=num)))
        if item.num and num < item.num:
            lowered.append(f"{text} is {task.blank.metric} here")
    if any(uses_extractor(task.metric.needs) for task in tasks.values()):
        cost += _seconds_to_extract(extractor, train.images, max(references))
    return Plan(
        replace(run, evaluate=replace(run.evaluate, metrics=tuple(resolved))),
        tuple(tasks.values()),
        _criterion(list(tasks.values()), run.evaluate.best),
        _about(run, list(tasks.values()), lowered),
        cost=cost,
    )


def _check_classifier(run: Run, train: ImageSet) -> None:
    """UsageError if a metric needs a classifier and there will be none: before a net learns."""
    name, why = choice.best(run.data, train)
    for text in run.evaluate.metrics:
        metric = METRICS.get(spec(text, run.evaluate.features, "evaluate.metrics").metric)
        if name != "classifier" and "probabilities" in metric.needs:
            raise UsageError(f"evaluate.metrics: {text}: a classifier is needed, and {why}")


def _task(metric: Metric, reference: Reference, *, labelled: bool) -> tuple[Task, float]:
    """A metric made ready, and the seconds that it takes."""
    if "labels" in metric.needs and not labelled:
        raise UsageError("it needs labelled fakes, and the generator makes none (model.labels)")
    floor = reference.floor(metric)
    return Task(metric, reference, reference.row(metric, Measured({}), floor.values)), floor.seconds


def _seconds_to_extract(extractor: Extractor, images: Pixels, num: int) -> float:
    began = time.perf_counter()
    extractor(images[: extractor.block])
    return (time.perf_counter() - began) * num / extractor.block


def _criterion(tasks: Sequence[Task], best: str) -> Criterion:
    """The value named, or the first of the first metric that has a better direction."""
    named, _, key = best.partition(".")
    name = metric_named(named) if named else ""
    fitting = [task for task in tasks if name in ("", METRICS.name_of(task.metric))]
    task = next((task for task in fitting if task.blank.metric == named), fitting[0])
    values = task.blank.floor or task.metric.better
    better = {value: way for value, way in task.metric.better.items() if value in values}
    if key and key not in better:
        raise UsageError(f"evaluate.best: {name} has no value '{key}'; {closest(key, better)}")
    key = key or next(iter(better))
    return Criterion(task.blank.metric, key, better[key])


def _about(run: Run, tasks: Sequence[Task], lowered: Iterable[str]) -> str:
    blank, extractor = tasks[0].blank, tasks[0].reference.extractor
    every = run.evaluate.every
    when = f"every {every}"
    if every == "auto":
        when = f"after epochs, in under {100 * SHARE:.0f} % of the time"
    named = {"test": "test images", "held out": "images held out"}
    split = named.get(blank.split, "training images, one half")
    seen = ": ".join(filter(None, (extractor.name, extractor.note)))
    parts = [
        f"evaluates {', '.join(task.blank.metric for task in tasks)} {when}, against {blank.data} "
        f"({split})",
        f"features: {seen}",
        *lowered,
    ]
    return "; ".join(parts)
