"""Evaluation during training: what is measured, when, and which generator is the best so far."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import torch
from torch.utils.tensorboard import SummaryWriter

from ganvas.config import Evaluate, Run
from ganvas.config.length import Lengths
from ganvas.data.prepare import load_images
from ganvas.errors import RunError, UsageError
from ganvas.generator import load, save_generator, snapshot
from ganvas.metrics import features as extraction
from ganvas.metrics.evaluate import check_features, own_name
from ganvas.metrics.inputs import Better
from ganvas.metrics.measures import ON_PIXELS, Measured, Side
from ganvas.metrics.rows import TRIAL, Comparison, Row, most
from ganvas.pixels import ImageSet, Shape
from ganvas.registry import closest
from ganvas.rundir import RunFolder
from ganvas.training.checkpoint import load_checkpoint
from ganvas.training.compute.device import own_randomness
from ganvas.training.progress import Reporter
from ganvas.training.state import State, is_finite, new_state

SHARE: Final = 0.05
"""Of the training time, what `auto` spends at most."""
COUNTS: Final = (2_000, 1_000, 500, 200)
"""Images of a metric that is asked for without a number: as many as the run is long enough for."""
SHOWN: Final = 100
"""Images that a run shows for each one of such a metric, so that one evaluation takes less than
SHARE of the time even with small dense nets, whose steps take no longer than measuring."""


# What is measured


@dataclass(frozen=True)
class Wanted:
    """A metric as the settings ask for it."""

    text: str
    name: str
    num: int | None
    """Images; None: as many as the run is long enough for."""


def wanted(settings: Evaluate) -> list[Wanted]:
    """The metrics that the settings ask for; UsageError if one of them is wrong."""
    check_features(settings.features, "evaluate.features")
    found = []
    for text in settings.metrics:
        match = re.fullmatch(r"(.*?)(?:(\d+)(k?))?", text)
        assert match
        name, num, thousands = match.groups()
        name = own_name(name, settings.features, "evaluate.metrics")
        images = None if num is None else int(num) * (1000 if thousands else 1)
        if images is not None and images < 2:
            raise UsageError(f"evaluate.metrics: found '{text}'; allowed: 2 images or more")
        found.append(Wanted(text, name, images))
    best = settings.best.partition(".")[0]
    if best and found and best not in [item.name for item in found]:
        raise UsageError(
            f"evaluate.best: found '{settings.best}', which is not measured; "
            f"{closest(best, {item.name for item in found})}"
        )
    return found


def usual_count(run: Run, num_images: int) -> int:
    """Images of a metric that is asked for without a number, by the length of the run."""
    shown = run.train.length.images(num_images)
    if shown is None:
        return COUNTS[0]
    return next((count for count in COUNTS if SHOWN * count <= shown), COUNTS[-1])


@dataclass(frozen=True)
class Task:
    """A metric of a run: what its fakes are compared with, and its row but for them."""

    name: str
    comparison: Comparison
    blank: Row
    """Its protocol and floor, with the values of some real images."""


@dataclass(frozen=True)
class Deciding:
    """The value by which the best generator is kept."""

    metric: str
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

    tasks: tuple[Task, ...] = ()
    deciding: Deciding | None = None
    """None if nothing is measured."""
    about: str = ""
    """A line that says what is measured, or why nothing is."""
    seconds: float = 0.0
    """What it took to make ready."""
    cost: float = 0.0
    """A guess at the seconds that one evaluation takes, from a few real images."""

    @property
    def shape(self) -> Shape:
        return self.tasks[0].comparison.train.shape


def make_plan(run: Run, data: ImageSet, root: Path | None) -> Plan:
    """Load the test images and the extractor, look at the real images.

    `data` are the images that the run trains on.

    Raises:
        UsageError: the settings are wrong, or something that they ask for cannot be measured.
        RunError: the test images are nowhere to be found.
    """
    asked = wanted(run.evaluate)
    if not asked:
        return Plan()
    began = time.perf_counter()
    try:
        with torch.random.fork_rng(devices=[]):
            plan = _planned(run, asked, data, root)
    except (UsageError, RunError) as error:
        if run.evaluate != Evaluate():
            raise
        return Plan(about=f"not evaluated: {error}")  # nobody asked for it
    return replace(plan, seconds=time.perf_counter() - began)


def _planned(run: Run, asked: Iterable[Wanted], data: ImageSet, root: Path | None) -> Plan:
    whole = replace(run.preprocess, first=None)  # as `ganvas evaluate` has them
    cut = run.preprocess.first is not None
    train = load_images(run.data, whole, "train", root) if cut else data
    try:
        test = load_images(run.data, whole, "test", root)
    except UsageError:
        test = None  # the set has no test split
    if test is not None and test.shape != train.shape:
        raise UsageError(
            f"evaluate: the test images are of shape {test.shape}, the training images of "
            f"{train.shape}; --image-size makes them alike"
        )
    choice: extraction.Choice = run.evaluate.features  # type: ignore[assignment]  # checked
    extractor = extraction.choose(choice, run.data, train, test, root, quickly=True)
    split = "test" if test is not None else "train"
    base = Comparison(run.data, run.preprocess, train, test, split, 0, extractor, 0)  # type: ignore[arg-type]

    usual = usual_count(run, len(data))
    benches: dict[int, Comparison] = {}
    tasks: dict[str, Task] = {}
    trials: dict[str, Measured] = {}
    lowered = []
    cost = 0.0
    for item in asked:
        num = min(item.num or usual, most(train, test))
        comparison = benches.setdefault(num, replace(base, num=num))
        began = time.perf_counter()
        try:
            trial = comparison.trial(item.name)
            cost += (time.perf_counter() - began) * num / (2 * min(num, TRIAL))
            floor = comparison.floor(item.name, trial)
        except UsageError as error:
            hint = "; evaluate.features=classifier trains one" if item.name == "classes" else ""
            raise UsageError(f"evaluate.metrics: {item.text}: {error}{hint}") from None
        if item.name not in ON_PIXELS:
            comparison.bench.reference.found  # noqa: B018  # computed now, and kept
        blank = comparison.row(item.name, trial, floor)
        tasks[blank.metric] = Task(item.name, comparison, blank)
        trials[item.name] = trial
        if item.num and num < item.num:
            lowered.append(f"{item.text} is {blank.metric} here")
    best, _, key = run.evaluate.best.partition(".")
    return Plan(
        tuple(tasks.values()),
        _deciding(tasks, trials, best or next(iter(trials)), key),
        _about(run, list(tasks.values()), lowered),
        cost=cost,
    )


def _deciding(
    tasks: Mapping[str, Task], trials: Mapping[str, Measured], name: str, key: str
) -> Deciding:
    """The value named, or the first of its metric that has a better direction."""
    better: dict[str, Better] = {
        value: direction
        for component in trials[name].components
        for value, direction in component.better.items()
        if value in trials[name].values
    }
    if key and key not in better:
        raise UsageError(f"evaluate.best: {name} has no value '{key}'; {closest(key, better)}")
    key = key or next(value for value in trials[name].values if value in better)
    metric = next(metric for metric, task in tasks.items() if task.name == name)
    return Deciding(metric, key, better[key])


def _about(run: Run, tasks: Sequence[Task], lowered: Sequence[str]) -> str:
    blank = tasks[0].blank
    every = run.evaluate.every
    when = (
        f"after epochs, in under {100 * SHARE:.0f} % of the time"
        if every == "auto"
        else f"every {every}"
    )
    split = "test images" if blank.split == "test" else "training images, one half"
    extractor = tasks[0].comparison.extractor
    seen = [extractor.name, *([extractor.note] if extractor.note else [])]
    parts = [
        f"evaluates {', '.join(task.blank.metric for task in tasks)} {when}, against {blank.data} "
        f"({split})",
        f"features: {': '.join(seen)}",
        *lowered,
    ]
    return "; ".join(parts)


# When, and what comes of it


@dataclass
class Evaluation:
    """The evaluations of a run in progress."""

    run: Run
    folder: RunFolder
    plan: Plan
    lengths: Lengths
    state: State
    events: SummaryWriter
    logged: int
    """Up to this step the rows are there already: the newest checkpoint's, on resuming."""
    best: int | None = None
    """The step with the best value so far."""
    rows: dict[int, list[Row]] = field(default_factory=dict)
    """What was measured, by step; when a run goes on from an old checkpoint, later steps too."""

    def __post_init__(self) -> None:
        self.state.evaluation_seconds += self.plan.seconds
        self._cost = self.plan.cost  # of the next one, as far as is known
        if self.logged:
            self.rows = self._known()
            self.best = self._restored_best()

    @cached_property
    def _period(self) -> int | None:
        every = self.run.evaluate.every
        return None if every == "auto" else self.lengths.steps(every)

    def is_due(self, last: bool, total: int | None, seconds: float) -> bool:
        """Whether to measure at this step, after so many seconds of training.

        `last` is the run's last step, `total` their number as far as is known.
        """
        step, spent = self.state.step, self.state.evaluation_seconds
        if not self.plan.tasks:
            return False
        if last:
            return True
        if step <= self.logged:
            return step in self.rows  # where it was due the first time
        if self._period:
            return step % self._period == 0
        if step % self.lengths.steps_per_epoch:
            return False
        minutes = self.run.train.length.minutes
        at_end = 60 * minutes if minutes else seconds * (total or step) / step
        return (
            spent + self._cost <= SHARE * seconds
            and spent + 2 * self._cost <= SHARE * at_end  # the last one is certain
        )

    def measure(self, reporter: Reporter) -> bool:
        """Measure G as it is now; True if it is the best so far, and kept as such.

        Neither the nets nor any stream of random numbers change.
        """
        if not is_finite(self.state.sampler):
            return False
        began = time.perf_counter()
        step = self.state.step
        images = self.lengths.images_at(step)
        with own_randomness(self.state.device):
            generator = snapshot(
                self.run, self.state.sampler, self.plan.shape, images, self.state.num_classes
            )
        if step not in self.rows:
            generator.net.to(self.state.device)
            comparisons = [task.comparison for task in self.plan.tasks]
            fakes = generator.sample(max(c.num for c in comparisons), comparisons[0].seed)
            generator.net.cpu()
            sides = {c.num: Side(fakes[: c.num], c.extractor, is_real=False) for c in comparisons}
            measured = []
            for task in self.plan.tasks:
                try:
                    row, _ = task.comparison.measure(task.name, sides[task.comparison.num])
                except UsageError as error:
                    reporter.warn(f"{task.blank.metric} not measured at step {step:,}: {error}")
                    continue
                measured.append(replace(row, recipe=generator.recipe, images=images, step=step))
            self._write(step, measured)
        is_best = self._score(step) > (-math.inf if self.best is None else self._score(self.best))
        if is_best:
            save_generator(self.folder.best, self.run, generator)
            self.best = step
        self._cost = time.perf_counter() - began
        self.state.evaluation_seconds += self._cost
        return is_best

    def _write(self, step: int, measured: list[Row]) -> None:
        self.rows[step] = measured
        self.folder.append_metrics([row.as_json() for row in measured])
        if step > self.logged:
            for row in measured:
                for key, value in row.values.items():
                    self.events.add_scalar(f"{row.metric}/{key}", value, step)

    def _score(self, step: int) -> float:
        assert self.plan.deciding
        return self.plan.deciding.score(self.rows[step])

    @property
    def note(self) -> str:
        """The newest value, for the progress line."""
        deciding = self.plan.deciding
        for row in self.last:
            if deciding and row.metric == deciding.metric:
                return f"{row.metric} {row.values[deciding.key]:.4g}"
        return ""

    @property
    def last(self) -> tuple[Row, ...]:
        """The newest rows up to the present step."""
        steps = [step for step in self.rows if step <= self.state.step]
        return tuple(self.rows[max(steps)]) if steps else ()

    @property
    def best_rows(self) -> tuple[Row, ...]:
        """The rows at the best step, the one that decides first."""
        return () if self.best is None else tuple(self.rows[self.best])

    # On resuming

    def _known(self) -> dict[int, list[Row]]:
        """The rows in the run folder that are of this run's protocol, the newest of each step."""
        found: dict[int, dict[str, Row]] = {}
        blanks = {task.blank.metric: task.blank for task in self.plan.tasks}
        for line in self.folder.read_metrics():
            blank = blanks.get(line.get("metric", ""))
            try:
                row = Row.of_json(line)
            except (TypeError, ValueError):
                continue  # a user's own line
            if blank and row.step is not None and _protocol(row) == _protocol(blank):
                found.setdefault(row.step, {})[row.metric] = row
        return {
            step: [rows[metric] for metric in blanks if metric in rows]
            for step, rows in sorted(found.items())
        }

    def _restored_best(self) -> int | None:
        """The best step so far whose generator there still is; it is put into its folder.

        A kill may have come between the generator and its checkpoint, or the run goes on from a
        checkpoint before the best one.
        """
        steps = [step for step in self.rows if step <= self.state.step]
        for step in sorted(steps, key=lambda step: (-self._score(step), step)):
            images = self.lengths.images_at(step)
            try:
                if load(self.folder.best).images_seen == images:
                    return step
            except UsageError:
                pass  # none yet, or half of one
            shape, device = self.plan.shape, self.state.device
            with own_randomness(self.state.device):
                then = new_state(self.run, shape, device)
                try:
                    load_checkpoint(then, self.folder.checkpoint(step))
                except UsageError:
                    continue
                save_generator(
                    self.folder.best, self.run, snapshot(self.run, then.sampler, shape, images)
                )
            return step
        return None


def _protocol(row: Row) -> tuple[object, ...]:
    """What two rows of one name share if their numbers may be compared."""
    return row.fingerprint, row.split, row.extractor_sha256, row.seed, row.resize, row.settings
