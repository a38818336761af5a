"""Evaluation during training: when it is due, what it says, which generator is the best so far."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from ganvas.classes import Classes
from ganvas.config import Run
from ganvas.config.length import Lengths
from ganvas.errors import UsageError
from ganvas.generator import Generator, load, save_generator, snapshot
from ganvas.metrics.forms import fake_views
from ganvas.metrics.rows import Row
from ganvas.pixels import ImageSet, Shape, fingerprint
from ganvas.rundir import RunFolder
from ganvas.training.checkpoint import load_checkpoint
from ganvas.training.compute.device import own_randomness
from ganvas.training.events import Events
from ganvas.training.plan import SHARE, Plan
from ganvas.training.progress import Reporter
from ganvas.training.state import State, is_finite, new_state

MARGIN: Final = 1.2
"""The next evaluation may take so many times as long as the longest one so far."""
TRIED: Final = 64
"""Fakes that are drawn to see how long that takes."""


@dataclass
class Monitor:
    """The evaluations of a run in progress.

    Where nothing else is asked for they are spread over the run so that all of it, making ready and
    the end's included, stays under SHARE of the training time by what they are seen to cost.
    """

    run: Run
    folder: RunFolder
    plan: Plan
    lengths: Lengths
    state: State
    events: Events
    shape: Shape
    classes: Classes
    """Those that the nets are told; none if the model takes no labels."""
    logged: int
    """Up to this step the rows are there already: the newest checkpoint's, on resuming."""
    best: int | None = None
    """The step with the best value so far."""
    rows: dict[int, list[Row]] = field(default_factory=dict)
    """What was measured, by step; when a run goes on from an old checkpoint, later steps too."""

    def __post_init__(self) -> None:
        self.state.evaluation_seconds += self.plan.seconds
        self._cost: float | None = None  # of the next one, once it has been tried
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
        if total and total - step < SHARE * total:
            return False  # the end is near
        cost, at_end = MARGIN * self.cost, self._at_end(total, seconds)
        return (
            spent + cost <= SHARE * seconds and spent + 2 * cost <= SHARE * at_end
            # the last one is certain
        )

    def costly(self, total: int | None, seconds: float) -> str:
        """Where the end's evaluation alone will take more than its share: so much, in words.

        Arguments as of `is_due`; "" where it will not, or where a period was asked for.
        """
        if self._period or self.rows or not self.plan.tasks:
            return ""
        at_end = self._at_end(total, seconds)
        whole = self.cost + self.state.evaluation_seconds
        if whole <= SHARE * at_end:
            return ""
        num = max(task.reference.num for task in self.plan.tasks)
        return (
            f"measuring {num:,} images, at the end alone, comes to about {whole:,.1f} s, "
            f"{100 * whole / max(at_end, 1e-9):,.0f} % of {at_end:,.1f} s of training: the real "
            f"images took {self.plan.seconds:,.1f} s; a longer run, or fewer images, makes it less "
            "(--evaluate none: nothing is measured)"
        )

    def _at_end(self, total: int | None, seconds: float) -> float:
        """The training time at the end of the run, as far as can be told."""
        minutes = self.run.train.length.minutes
        if minutes:
            return 60 * minutes - self.state.evaluation_seconds
        return seconds * (total or self.state.step) / max(1, self.state.step)

    @property
    def cost(self) -> float:
        """The seconds that the next evaluation takes: as many as the longest one so far did.

        Before the first, what comparing real images took, and drawing some fakes.
        """
        if self._cost is None:
            began = time.perf_counter()
            num = max(task.reference.num for task in self.plan.tasks)
            tried = min(num, TRIED)
            with own_randomness(self.state.device):
                generator = self._snapshot(self.state)
            made = time.perf_counter()
            self._drawn(generator, tried, 0)
            ended = time.perf_counter()
            self._cost = self.plan.cost + made - began + (ended - made) * num / tried
            self.state.evaluation_seconds += ended - began
        return self._cost

    def measure(self, reporter: Reporter) -> bool:
        """Measure G as it is now; True if it is the best so far, and kept as such.

        Neither the nets nor any stream of random numbers change.
        """
        if not is_finite(self.state.players.G):
            return False
        began = time.perf_counter()
        step = self.state.step
        with own_randomness(self.state.device):
            generator = self._snapshot(self.state)
        if step not in self.rows:
            self._write(step, self._measured(generator, reporter))
        is_best = self.plan.criterion is not None and self._score(step) > (
            -math.inf if self.best is None else self._score(self.best)
        )
        if is_best:
            save_generator(self.folder.best, self.run, generator)
            self.best = step
        seconds = time.perf_counter() - began
        self._cost = max(seconds, self._cost or 0.0)
        self.state.evaluation_seconds += seconds
        return is_best

    def _snapshot(self, state: State) -> Generator:
        images = self.lengths.images_at(state.step)
        return snapshot(self.run, state.sampler, self.shape, images, self.classes)

    def _measured(self, generator: Generator, reporter: Reporter) -> list[Row]:
        """A row a metric, all of the same fakes; metrics that need fewer take the first ones."""
        tasks, step = self.plan.tasks, self.state.step
        references = [task.reference for task in tasks]
        fakes = self._drawn(generator, max(r.num for r in references), references[0].seed)
        needs = {need for task in tasks for need in task.metric.needs}
        seen = fake_views(fakes, references[0].extractor, needs)
        images = generator.images_seen
        rows = []
        for task in tasks:
            try:
                measured = task.reference.measure(task.metric, seen.first(task.reference.num))
            except UsageError as error:
                reporter.warn(f"{task.blank.metric} not measured at step {step:,}: {error}")
                continue
            row = replace(
                task.blank,
                values=measured.values,
                intervals=measured.intervals,
                remark=measured.remark,
                fakes_sha256=fingerprint(fakes.images[: task.reference.num]),
                recipe=generator.recipe,
                images=images,
                step=step,
            )
            rows.append(row)
        return rows

    def _drawn(self, generator: Generator, num: int, seed: int) -> ImageSet:
        """Fakes, drawn on the run's device."""
        generator.net.to(self.state.device)
        fakes = generator.labelled(num, seed)
        generator.net.cpu()
        return fakes

    def _write(self, step: int, measured: list[Row]) -> None:
        self.rows[step] = measured
        self.folder.append_metrics([row.as_json() for row in measured])
        if step > self.logged:
            for row in measured:
                for key, value in row.values.items():
                    self.events.add_scalar(f"{row.metric}/{key}", value, step)

    def _score(self, step: int) -> float:
        assert self.plan.criterion
        return self.plan.criterion.score(self.rows[step])

    @property
    def note(self) -> str:
        """The newest value, for the progress line."""
        criterion = self.plan.criterion
        for row in self.last:
            if criterion is None or row.metric == criterion.metric:
                key = criterion.key if criterion else next(iter(row.values))
                return f"{row.metric} {row.values[key]:.4g}"
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
            if blank and row.num_train is None:  # of an earlier version; the run has one data set
                row = replace(row, num_train=blank.num_train, train_sha256=blank.train_sha256)
            if blank and row.step is not None and row.protocol == blank.protocol:
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
        if self.plan.criterion is None:
            return None
        steps = [step for step in self.rows if step <= self.state.step]
        for step in sorted(steps, key=lambda step: (-self._score(step), step)):
            images = self.lengths.images_at(step)
            try:
                if load(self.folder.best).images_seen == images:
                    return step
            except UsageError:
                pass  # none yet, or half of one
            with own_randomness(self.state.device):
                then = new_state(self.run, self.shape, self.state.device, len(self.classes))
                try:
                    load_checkpoint(then, self.folder.checkpoint(step))
                except UsageError:
                    continue
                save_generator(self.folder.best, self.run, self._snapshot(then))
            return step
        return None
