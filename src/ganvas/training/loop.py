"""`fit`: a run from its first step, or from a checkpoint, to its last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from ganvas.config import Run
from ganvas.errors import RunError
from ganvas.metrics.rows import Row
from ganvas.rundir import RunFolder
from ganvas.training import records
from ganvas.training.compute.device import device_of, own_randomness, wait_for
from ganvas.training.compute.graph import Steps, obstacle
from ganvas.training.compute.process import tuned_process
from ganvas.training.ending import Ending
from ganvas.training.hooks import Hooks
from ganvas.training.output import BestEffort
from ganvas.training.plots import animate, plot_losses
from ganvas.training.progress import Reporter
from ganvas.training.session import Session, open_session
from ganvas.training.stopping import signals
from ganvas.training.watchdog import Alarm, check_losses

STATUS_SECONDS: Final = 2.0
"""Least time between two looks at the run in its status.json."""


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


def fit(
    run: Run,
    folder: RunFolder,
    reporter: Reporter,
    data_root: Path | None = None,
    *,
    resume: bool = False,
    checkpoint: Path | None = None,
    hooks: Hooks | None = None,
) -> Trained:
    """Train `run` in `folder`.

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
            session = open_session(run, folder, reporter, device, data_root, resume, checkpoint)
            try:
                return _train(session, _ending(session, hooks, begun), reporter, hooks)
            except BaseException:
                records.write_status(session, "running")  # how far it came
                raise
            finally:
                reporter.stop()
                session.events.close()
        except BaseException as error:
            failure = _in_words(run, error)
            folder.fail(" ".join(str(failure).split()) or "interrupted a second time")
            if failure is error:
                raise
            raise failure from error


def _train(session: Session, ending: Ending, reporter: Reporter, hooks: Hooks) -> Trained:
    run, state, lengths, folder = session.run, session.state, session.lengths, session.folder
    monitor, clock = session.evaluation, hooks.clock
    steps = Steps(run, state, session.loader, session.step)
    log_every, sample_every, checkpoint_every = (
        lengths.steps(period)
        for period in (run.output.log, run.output.sample, run.output.checkpoint)
    )
    reporter.start(_headline(session, ending.total), state.step, ending.total)
    if run.train.cuda_graphs and (reason := obstacle(run)):
        reporter.warn(reason)
    began = clock() - state.seconds
    told = -math.inf
    alarms: list[Alarm] = []
    last = ending.over()
    if state.step:
        records.mend_generators(session)

    with signals(reporter.say) as stopped:
        while not last and not stopped.is_set():
            # one step of the method
            steps.take(lengths.images_at(state.step))
            hooks.after_step(state)
            last = ending.over()

            # what is due at this step
            due = clock()
            if due - told >= STATUS_SECONDS:
                records.write_status(session, "running", ending.total)
                told = due
            if state.step % log_every == 0 or last:
                wait_for(state.device)
                with hooks.span("log"):
                    line = records.write_log(session, clock() - began)
                if (fits := ending.forecast()) is not None:
                    reporter.say(_fitting(session, fits))
                reporter.line(line, ending.total, monitor.note)
                alarms += check_losses(run.watchdog, line, state.memory)
            if state.step % sample_every == 0 or last:
                with hooks.span("sample"):
                    alarms += records.write_samples(session)
            for alarm in alarms:
                reporter.warn(alarm.message)
            if any(alarm.action == "stop" for alarm in alarms):
                break
            alarms.clear()
            saves = state.step % checkpoint_every == 0 or last
            if monitor.is_due(last, ending.total, clock() - began):
                state.seconds = clock() - began
                with hooks.span("evaluate"):
                    saves |= monitor.measure(reporter)
                began = clock() - state.seconds  # that was no training time
            if saves:
                state.seconds = clock() - began
                with hooks.span("checkpoint"):
                    records.write_checkpoint(session)
            ending.took(clock() - due)

        # end in order: the state first, the pictures next
        reporter.stop()
        state.seconds = clock() - began
        if not last and not alarms:
            records.write_checkpoint(session)
        with hooks.span("pictures"):
            plot_losses(folder.losses, run.recipe, folder.read_log())
            if left_out := animate(folder.animation, folder.samples()):
                reporter.warn(
                    f"{len(left_out)} of the sheets cannot be read, such as '{left_out[0]}'; "
                    "the animation is without them"
                )
    if alarms:
        seen = "; ".join(alarm.message for alarm in alarms)
        good = folder.checkpoints()
        raise RunError(
            f"stopped: {seen} (last good checkpoint: {good[-1] if good else 'none yet'})"
        )
    records.write_status(session, "finished" if last else "stopped", ending.total)
    return Trained(
        folder.path,
        state.step,
        lengths.images_at(state.step),
        state.seconds,
        last,
        monitor.last,
        monitor.best_rows,
        state.evaluation_seconds,
    )


def _ending(session: Session, hooks: Hooks, begun: float) -> Ending:
    state, plan = session.state, session.evaluation.plan
    used = state.seconds + state.evaluation_seconds - plan.seconds  # which lie after `begun`
    return Ending(
        session.run.train.length,
        session.lengths,
        state,
        begun,
        clock=hooks.clock,
        used=used,
        longest=plan.cost,
    )


# What the user is told


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


def _headline(session: Session, total: int | None) -> str:
    run, state = session.run, session.state
    channels, height, width = session.data.shape
    steps = f"{run.train.length} in steps" if total is None else f"{total:,} steps"
    start = f"from step {state.step:,} " if state.step else ""
    headline = (
        f"{run.recipe}: {len(session.data):,} images {height}x{width}x{channels}, "
        f"{steps} of {session.lengths.images_per_step} images {start}"
        f"on {state.device} in {str(state.players.precision).removeprefix('torch.')}, "
        f"in {session.folder.path}"
    )
    return "\n".join(filter(None, (headline, session.evaluation.plan.about)))


def _fitting(session: Session, total: int) -> str:
    """How much fits into the minutes, from the steps made so far."""
    epochs = total / session.lengths.steps_per_epoch
    return f"about {epochs:.1f} epochs ({total:,} steps) fit in {session.run.train.length}"
