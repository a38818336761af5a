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
LEAST: Final = 30
"""Images below which no number decides between two generators: with 20 a distance puts two of them
in the wrong order in one case of three (docs/metrics/fd.md)."""
FRECHET, IN_PLACE = "fd", "kd"
"""The second one decides where there are too few images for the first."""
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
    """None if nothing is measured, or nothing that is can decide."""
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
    more = begun.evaluate.metrics[len(metrics) :]
    if len(more) == 1 and spec(more[0], run.evaluate.features, "").metric == IN_PLACE:
        metrics += more  # which the plan had added
    data = settled(run.data, getattr(begun.data, "holdout", 0))
    return replace(run, data=data, evaluate=replace(run.evaluate, metrics=tuple(metrics)))


def make_plan(
    run: Run,
    data: ImageSet,
    root: Path | None,
    device: torch.device = CPU,
    say: Callable[[str], None] = lambda text: None,
    learn: bool = True,
    begun: bool = False,
) -> Plan:
    """Load the test images and the extractor, and prepare the real images.

    `data` are the images that the run trains on, `device` is where images pass the extractor;
    `say` is given lines while its net is trained. Without `learn` none is, and the plan is only
    good for telling whether there can be one. Nothing is added to what a run that has `begun`
    measures.

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
            plan = _planned(run, data, root, device, watch if learn else None, begun)
    except (UsageError, RunError) as error:
        if run.evaluate != Evaluate():
            raise
        return Plan(run, about=f"not evaluated: {error}")  # nobody asked for it
    return replace(plan, seconds=time.perf_counter() - began)


def _planned(
    run: Run,
    data: ImageSet,
    root: Path | None,
    device: torch.device,
    watch: Watch | None,
    begun: bool,
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
    resolved, remarks = [], []
    seconds, dims = _tried(extractor, train.images)
    cost = 0.0
    for text, item in _completed(run.evaluate, usual, available, dims, begun):
        num = min(item.num or usual, available)
        if num not in references:
            references[num] = Reference(
                run.data, run.preprocess, train, test, split, 0, extractor, num
            )
        metric = run.metrics.get(item.metric) or METRICS.get(item.metric)()
        try:
            task, comparing = _task(metric, references[num], labelled=labelled)
        except UsageError as error:
            raise UsageError(f"evaluate.metrics: {text}: {error}") from None
        tasks[task.blank.metric] = task
        cost += comparing
        resolved.append(text if item.num else str(replace(item, num=num)))
        if item.num and num < item.num:
            remarks.append(f"{text} is {task.blank.metric} here")
    if any(uses_extractor(task.metric.needs) for task in tasks.values()):
        cost += seconds * max(references)
    criterion, reason = _criterion(list(tasks.values()), run.evaluate.best, dims)
    return Plan(
        replace(run, evaluate=replace(run.evaluate, metrics=tuple(resolved))),
        tuple(tasks.values()),
        criterion,
        _about(run, list(tasks.values()), [*remarks, *filter(None, [reason])]),
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


def _tried(extractor: Extractor, images: Pixels) -> tuple[float, int]:
    """The seconds that an image takes on its way through the extractor, and its features."""
    some = images[: extractor.block]
    began = time.perf_counter()
    features, _ = extractor(some)
    return (time.perf_counter() - began) / len(some), features.shape[1]


# What decides


def _too_few(metric: str, num: int, dims: int) -> str:
    """Why a metric cannot decide between generators: it has too few images; "" if it can."""
    if num < LEAST:
        return f"{num} images are too few to tell generators apart"
    if metric == FRECHET and num <= dims:
        return f"{num} images are too few for the covariance of {dims} features"
    return ""


def _completed(
    settings: Evaluate, usual: int, available: int, dims: int, begun: bool
) -> list[tuple[str, Spec]]:
    """What is asked for, and a kernel distance where a Fréchet distance is and nothing decides."""
    asked = [(text, spec(text, settings.features, "evaluate.metrics")) for text in settings.metrics]
    counts = {item: min(item.num or usual, available) for _, item in asked}
    able = any(not _too_few(item.metric, num, dims) for item, num in counts.items())
    num = max((num for item, num in counts.items() if item.metric == FRECHET), default=0)
    if begun or able or settings.best or num < LEAST:
        return asked
    added = Spec(IN_PLACE, num)
    return [*asked, (str(added), added)]


def _criterion(tasks: Sequence[Task], best: str, dims: int) -> tuple[Criterion | None, str]:
    """The value named, or the first one that can decide; and what is to be said of that."""
    named, _, key = best.partition(".")
    name = metric_named(named) if named else ""
    fitting = [task for task in tasks if name in ("", METRICS.name_of(task.metric))]
    fitting = [task for task in fitting if task.blank.metric == named] or fitting
    reasons = [_too_few(METRICS.name_of(of.metric), of.blank.num_fake, dims) for of in fitting]
    able = [of for of, reason in zip(fitting, reasons, strict=True) if not reason]
    task = (able or fitting)[0]
    values = task.blank.floor or task.metric.better
    better = {value: way for value, way in task.metric.better.items() if value in values}
    if key and key not in better:
        raise UsageError(f"evaluate.best: {name} has no value '{key}'; {closest(key, better)}")
    key = key or next(iter(better))
    if not able:
        return None, f"no best generator is kept: {reasons[0]}"
    said = f"{task.blank.metric} decides, for {reasons[0]}" if reasons[0] else ""
    return Criterion(task.blank.metric, key, better[key]), said


def _about(run: Run, tasks: Sequence[Task], remarks: Iterable[str]) -> str:
    blank, extractor = tasks[0].blank, tasks[0].reference.extractor
    every = run.evaluate.every
    when = f"every {every}"
    if every == "auto":
        when = f"after epochs, in under {100 * SHARE:.0f} % of the time"
    named = {"test": "test images", "held out": "images held out"}
    split = named.get(blank.split, "training images, one half")
    parts = [
        f"evaluates {', '.join(task.blank.metric for task in tasks)} {when}, against {blank.data} "
        f"({split})",
        f"features: {extractor.described}",
        *remarks,
    ]
    return "; ".join(parts)
