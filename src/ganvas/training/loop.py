"""`fit`: a run from its first step, or from a checkpoint, to its last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from ganvas.config import Run
from ganvas.errors import RunError
from ganvas.metrics.rows import Row
from ganvas.notebook import html, picture_at
from ganvas.pixels import ImageSet
from ganvas.rundir import RunFolder
from ganvas.schedules import Progress
from ganvas.training import records
from ganvas.training.compute.device import device_of, own_randomness, wait_for
from ganvas.training.compute.graph import Steps, obstacle
from ganvas.training.compute.process import tuned_process
from ganvas.training.ending import Ending
from ganvas.training.hooks import Hooks
from ganvas.training.output import BestEffort
from ganvas.training.plots import animate, plot_losses
from ganvas.training.progress import Reporter
from ganvas.training.rollback import Back, go_back
from ganvas.training.session import Session, open_session
from ganvas.training.stopping import signals
from ganvas.training.telling import Telling
from ganvas.training.watch import Watch
from ganvas.training.watchdog import Alarm


@dataclass(frozen=True)
class Trained:
    """What a call of `fit` left behind."""

    folder: Path
    steps: int
    images: int
    """Real images shown, over all sittings."""
    seconds: float
    """Training time, over all sittings."""
    finished: bool
    """False if the run was stopped by a signal; `--resume` goes on with it."""
    last: tuple[Row, ...] = ()
    """The newest evaluation: a row a metric."""
    best: tuple[Row, ...] = ()
    """The evaluation of the best generator, which is in the folder `best`."""
    evaluation_seconds: float = 0.0
    """What evaluations took besides, over all sittings."""
    decides: str = ""
    """The metric, as fd2k, by which the best generator is kept; empty if none is."""

    def __repr__(self) -> str:
        measured = "".join(f"; {row.short}" for row in self.last)
        return (
            f"Trained('{self.folder}', {'finished' if self.finished else 'stopped'} after "
            f"{self.steps:,} steps, {self.images:,} images, {self.seconds:,.0f} s{measured})"
        )

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [
            ("state", "finished" if self.finished else "stopped"),
            ("steps", f"{self.steps:,}"),
            ("images", f"{self.images:,}"),
            ("seconds", f"{self.seconds:,.1f}"),
            *(("last", row.short) for row in self.last),
            *(("best", row.short) for row in self.best),
        ]
        sheet = self.sheet() if RunFolder(self.folder).samples() else None
        return html(str(self.folder), (), rows, picture=sheet)

    def plot(self) -> Image.Image:
        """The curves of losses.png; UsageError if there are none."""
        return picture_at(RunFolder(self.folder).losses, "picture of the losses")

    def sheet(self) -> Image.Image:
        """The newest sample sheet; UsageError if there is none."""
        folder = RunFolder(self.folder)
        return picture_at([folder.path / "samples", *folder.samples()][-1], "sample sheet")


def fit(
    run: Run,
    folder: RunFolder,
    reporter: Reporter,
    data_root: Path | None = None,
    *,
    resume: bool = False,
    checkpoint: Path | None = None,
    hooks: Hooks | None = None,
    data: ImageSet | None = None,
    begin_with: str | Path | None = None,
) -> Trained:
    """Train `run` in `folder`, on `data` if its images have been loaded already.

    With `begin_with` a new run has the weights of that run, or saved generator, where they fit.

    With `resume` go on with the run in there: from `checkpoint`, or from its newest one, or from
    the start if it was stopped before the first.

    Raises:
        UsageError: the data or the settings do not fit; nothing has been written then.
        RunError: the watchdog stopped the run, or the disk is full; checkpoints are intact.
    """
    hooks = hooks or Hooks()
    reporter = BestEffort(reporter)
    begun = hooks.clock()
    device = device_of(run.train.device)
    with tuned_process(device), own_randomness(device):
        try:
            opened = partial(open_session, run, folder, reporter, device, data_root)
            session = opened(resume, checkpoint, data, begin_with)
            used = _used(session)
            while True:
                came_to = _sitting(session, _ending(session, hooks, begun, used), reporter, hooks)
                if isinstance(came_to, Trained):
                    return came_to
                go_back(folder, came_to.step, session.lengths.images_at(came_to.step))
                session = opened(True, None, session.data, changes=came_to.changes)
        except BaseException as error:
            failure = _in_words(run, error)
            folder.fail(" ".join(str(failure).split()) or "interrupted a second time")
            if failure is error:
                raise
            raise failure from error


def _sitting(session: Session, ending: Ending, reporter: Reporter, hooks: Hooks) -> Trained | Back:
    """Train until the end, or until the run is to go back to where it was well."""
    try:
        return _train(session, ending, reporter, hooks)
    except BaseException:
        records.write_status(session, "running")  # how far it came
        raise
    finally:
        reporter.stop()
        session.events.close()


def _train(session: Session, ending: Ending, reporter: Reporter, hooks: Hooks) -> Trained | Back:
    run, state, lengths, output = session.run, session.state, session.lengths, session.run.output
    monitor, clock = session.monitor, hooks.clock
    steps = Steps(run, state, session.loader, session.step)
    periods = output.log, output.sample, output.checkpoint, output.pictures or output.sample
    log_every, sample_every, checkpoint_every, picture_every = map(lengths.steps, periods)
    curve_every = lengths.steps(output.scalars) if output.scalars else 0
    last = ending.over()
    watch = Watch(session, reporter)
    telling = Telling(session, ending, reporter, watch)
    telling.begin(clock(), last)
    back: Back | None = None
    if run.train.cuda_graphs and (reason := obstacle(run)):
        reporter.warn(reason)
    began = clock() - state.seconds
    if state.step:
        records.mend_generators(session)
    watch.begin()

    with signals(reporter.say) as stopped:
        while not last and not stopped.is_set():
            # one step of the method
            steps.take(Progress(lengths.images_at(state.step), ending.share()))
            hooks.after_step(state)
            last = ending.over()

            # what is due at this step
            due = clock()
            logs = state.step % log_every == 0 or last or watch.is_spoilt()
            telling.step(due, due - began, logs)
            if curve_every and state.step % curve_every == 0:
                records.keep_scalars(session)
            if logs:
                wait_for(state.device)
                with hooks.span("log"):
                    line = records.write_log(session, clock() - began)
                telling.line(line)
                watch.line(line, ending.share())
            if state.step % sample_every == 0 or last:
                with hooks.span("sample"):
                    records.write_samples(session)
                watch.sheet(last)
                if output.printed:
                    reporter.say(records.printed(session))
            if state.step % picture_every == 0 or last:
                with hooks.span("sample"):
                    records.show_sheet(session)
            saves = state.step % checkpoint_every == 0 or last
            if not watch.is_failing and monitor.is_due(last, ending.total, clock() - began):
                state.seconds = clock() - began
                with hooks.span("evaluate"):
                    saves |= monitor.measure(reporter)
                began = clock() - state.seconds  # that was no training time
                watch.rows(last)
            if (back := watch.tell()) or watch.alarms:
                break
            if saves:
                state.seconds = clock() - began
                with hooks.span("checkpoint"):
                    records.write_checkpoint(session)
            ending.took(clock() - due)

        # end in order: the state first, the pictures next
        reporter.stop()
        if stopped.is_set() and not last:
            reporter.say(f"stopping at step {state.step:,}, saving; Ctrl-C again ends it at once")
        state.seconds = clock() - began
        if back:
            return back
        if not last and not watch.alarms:
            records.write_checkpoint(session)
        with hooks.span("pictures"):
            plot_losses(session.folder.losses, run.recipe, session.folder.read_log())
            if left_out := animate(session.folder.animation, session.folder.samples()):
                reporter.warn(
                    f"{len(left_out)} of the sheets cannot be read, such as '{left_out[0]}'; "
                    "the animation is without them"
                )
    if watch.alarms:
        raise _failure(watch.alarms, session.folder)
    records.write_status(session, "finished" if last else "stopped", ending.total)
    return _trained(session, last)


def _trained(session: Session, finished: bool) -> Trained:
    state, monitor = session.state, session.monitor
    return Trained(
        session.folder.path,
        state.step,
        session.lengths.images_at(state.step),
        state.seconds,
        finished,
        monitor.last,
        monitor.best_rows,
        state.evaluation_seconds,
        monitor.plan.criterion.metric if monitor.plan.criterion else "",
    )


def _failure(alarms: Sequence[Alarm], folder: RunFolder) -> RunError:
    seen = "; ".join(alarm.message for alarm in alarms)
    since = min(alarm.since for alarm in alarms)
    good = [path for path in folder.checkpoints() if folder.step_of(path) <= since]
    return RunError(f"stopped: {seen} (last good checkpoint: {good[-1] if good else 'none yet'})")


def _used(session: Session) -> float:
    """The seconds that earlier sittings of a run took."""
    state = session.state
    return state.seconds + state.evaluation_seconds - session.monitor.plan.seconds  # made just now


def _ending(session: Session, hooks: Hooks, begun: float, used: float) -> Ending:
    """Where the run ends that had `used` so many seconds before `begun`; what is trained and given
    up counts as well."""
    return Ending(
        session.run.train.length,
        session.lengths,
        session.state,
        begun,
        clock=hooks.clock,
        used=used,
        longest=session.monitor.plan.cost,
    )


def _in_words(run: Run, error: BaseException) -> BaseException:
    """What ends a run, as a RunError where there is no memory left; otherwise as it is."""
    is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if type(error) is RuntimeError and "alloc" in str(error):
        is_memory = True  # what torch raises on a processor
    if not is_memory:
        return error
    reason = str(error).partition("\n")[0]
    return RunError(
        f"out of memory: {reason}; lower --batch-size, which is {run.train.batch_size}, or take "
        "smaller images (--image-size) or fewer (--set preprocess.first=10000)"
    )
