"""`fit`: a run from its first step, or from a checkpoint, to its last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganvas.config import Run
from ganvas.errors import RunError
from ganvas.generator import draw_sheet, save_generator, snapshot
from ganvas.images import to_float
from ganvas.metrics.rows import Row
from ganvas.pixels import Pixels
from ganvas.rundir import RunFolder
from ganvas.training.compute.graph import Steps, obstacle
from ganvas.training.compute.process import keep_freed_memory
from ganvas.training.ending import Ending
from ganvas.training.plots import animate, plot_losses
from ganvas.training.progress import Reporter
from ganvas.training.session import Session, device_of, open_session, write_sheet
from ganvas.training.state import is_finite, save_checkpoint
from ganvas.training.stopping import signals
from ganvas.training.updates import inference
from ganvas.training.watchdog import Alarm, check_losses, check_samples


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
) -> Trained:
    """Train `run` in `folder`.

    With `resume` go on with the run in there: from `checkpoint`, or from its newest one, or from
    the start if it was stopped before the first.

    Raises:
        UsageError: the data or the settings do not fit; nothing has been written then.
        RunError: the watchdog stopped the run, or the disk is full; checkpoints are intact.
    """
    # Gradients of a D that wins sink below the smallest normal floats, with which processors are
    # twenty times slower; they count as zero. Set before torch starts its threads.
    torch.set_flush_denormal(True)
    begun = time.perf_counter()
    device = device_of(run.train.device)
    if device.type == "cpu":
        keep_freed_memory()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        session = open_session(run, folder, reporter, device, data_root, resume, checkpoint)
        try:
            return _train(session, _ending(session, begun), reporter)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise RunError(_no_memory(run, error)) from error
        except RuntimeError as error:
            if isinstance(error, RunError) or "alloc" not in str(error):
                raise
            raise RunError(_no_memory(run, error)) from error
        finally:
            reporter.stop()
            session.events.close()


def _ending(session: Session, begun: float) -> Ending:
    state, plan = session.state, session.evaluation.plan
    used = state.seconds + state.evaluation_seconds - plan.seconds  # which lie after `begun`
    length = session.run.train.length
    return Ending(length, session.lengths, state, begun, used=used, longest=plan.cost)


def _train(session: Session, ending: Ending, reporter: Reporter) -> Trained:
    run, state, lengths, folder = session.run, session.state, session.lengths, session.folder
    evaluation = session.evaluation
    every = {
        "log": lengths.steps(run.output.log),
        "sample": lengths.steps(run.output.sample),
        "checkpoint": lengths.steps(run.output.checkpoint),
    }
    reporter.start(_headline(session, ending.total), state.step, ending.total)
    steps = Steps(run, state, session.loader)
    if run.train.cuda_graphs and (reason := obstacle(run)):
        reporter.warn(reason)
    clock = time.perf_counter() - state.seconds
    alarms: list[Alarm] = []
    last = ending.over()

    with signals() as stopped:
        while not last and not stopped.is_set():
            # one step of the method
            steps.take()
            last = ending.over()

            # what is due at this step
            begun = time.perf_counter()
            if state.step % every["log"] == 0 or last:
                steps.wait()
                line = _log(session, time.perf_counter() - clock)
                if (fits := ending.forecast()) is not None:
                    reporter.say(_fitting(session, fits))
                reporter.line(line, ending.total, evaluation.note)
                alarms += check_losses(run.watchdog, line, state.memory)
            if state.step % every["sample"] == 0 or last:
                alarms += _sample(session)
            for alarm in alarms:
                reporter.warn(alarm.message)
            if any(alarm.action == "stop" for alarm in alarms):
                break
            alarms.clear()
            saves = state.step % every["checkpoint"] == 0 or last
            if evaluation.is_due(last, ending.total, time.perf_counter() - clock):
                state.seconds = time.perf_counter() - clock
                saves |= evaluation.measure(reporter)
                clock = time.perf_counter() - state.seconds  # that was no training time
            if saves:
                state.seconds = time.perf_counter() - clock
                _checkpoint(session)
            ending.took(time.perf_counter() - begun)

        # end in order: the state first, the pictures next
        reporter.stop()
        state.seconds = time.perf_counter() - clock
        if not last and not alarms:
            _checkpoint(session)
        plot_losses(folder.losses, run.recipe, folder.read_log())
        animate(folder.animation, folder.samples())
    if alarms:
        seen = "; ".join(alarm.message for alarm in alarms)
        good = folder.checkpoints()
        raise RunError(
            f"stopped: {seen} (last good checkpoint: {good[-1] if good else 'none yet'})"
        )
    return Trained(
        folder.path,
        state.step,
        lengths.images_at(state.step),
        state.seconds,
        last,
        evaluation.last,
        evaluation.best_rows,
        state.evaluation_seconds,
    )


def _log(session: Session, seconds: float) -> dict[str, float]:
    """Write what came since the last line to log.jsonl and TensorBoard: means, and counts."""
    state, lengths = session.state, session.lengths
    images = lengths.images_at(state.step)
    elapsed = max(seconds - state.logged_seconds, 1e-9)
    line: dict[str, float] = {
        "step": state.step,
        "images": images,
        "epoch": round(state.step / lengths.steps_per_epoch, 4),
        "seconds": round(seconds, 3),
        "images_per_second": round(
            (images - lengths.images_at(state.step - state.summed)) / elapsed, 1
        ),
    }
    means = {
        key: float(value) / (1 if key.startswith("count/") else state.summed)
        for key, value in state.sums.items()
    }
    means |= _verdict(session)
    if state.step > session.logged:
        session.folder.append_log(line | means)
        for key, value in means.items():
            session.events.add_scalar(session.run.output.tags.get(key, key), value, state.step)
    line["seconds_per_step"] = elapsed / state.summed
    state.logged_seconds = seconds
    state.clear_sums()
    return line | means


def _verdict(session: Session) -> dict[str, float]:
    """D's mean logits without dropout: on the images of reals.png and on a sheet's."""
    run, state = session.run, session.state
    sheets = {
        "D/real_eval": session.reals,
        "D/fake_eval": draw_sheet(state.G, session.grid_latents, run.model),
    }
    with torch.no_grad(), inference(state.D, True):
        return {
            key: float(
                state.judge(to_float(_on_device(session, sheet), *run.model.value_range)).mean()
            )
            for key, sheet in sheets.items()
        }


def _on_device(session: Session, images: Pixels) -> Tensor:
    return torch.from_numpy(images).to(session.state.latents.device)


def _sample(session: Session) -> list[Alarm]:
    """Draw the grid of fixed latents, and look at it for collapse."""
    run, state = session.run, session.state
    fakes = draw_sheet(state.G, session.grid_latents, run.model)
    path = session.folder.path / "samples" / _sample_name(session)
    sheet = write_sheet(path, run, fakes)
    tag = run.output.tags.get("samples", "samples")
    if state.step > session.logged:
        session.events.add_image(tag, sheet[:3], state.step)
    images = session.lengths.images_at(state.step)
    return check_samples(run.watchdog, images, fakes, session.reals, state.memory)


def _sample_name(session: Session) -> str:
    """epoch-0003.png where sheets are due by the epoch, otherwise step-00000250.png."""
    step, lengths = session.state.step, session.lengths
    if "epoch" in session.run.output.sample and step % lengths.steps_per_epoch == 0:
        return f"epoch-{step // lengths.steps_per_epoch:04d}.png"
    return f"step-{step:08d}.png"


def _checkpoint(session: Session) -> None:
    """Save the state and the generator, unless the nets hold NaN: then the last good ones stay."""
    run, state, folder = session.run, session.state, session.folder
    if not all(is_finite(net) for net in (state.G, state.D)):
        return
    folder.flush_log()  # before the checkpoint, which promises that the log goes this far
    save_checkpoint(state, folder.checkpoint(state.step))
    folder.prune_checkpoints(run.output.keep_checkpoints, session.evaluation.best)
    images = session.lengths.images_at(state.step)
    save_generator(folder.generator, run, snapshot(run, state.G, session.data.shape, images))


def _no_memory(run: Run, error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return f"out of memory: {reason}; lower --batch-size, which is {run.train.batch_size}"


# What the user is told


def _headline(session: Session, total: int | None) -> str:
    run, state = session.run, session.state
    channels, height, width = session.data.shape
    steps = f"{run.train.length} in steps" if total is None else f"{total:,} steps"
    start = f"from step {state.step:,} " if state.step else ""
    headline = (
        f"{run.recipe}: {len(session.data):,} images {height}x{width}x{channels}, "
        f"{steps} of {session.lengths.images_per_step} images {start}"
        f"on {state.latents.device} in {str(state.precision).removeprefix('torch.')}, "
        f"in {session.folder.path}"
    )
    return "\n".join(filter(None, (headline, session.evaluation.plan.about)))


def _fitting(session: Session, total: int) -> str:
    """How much fits into the minutes, from the steps made so far."""
    epochs = total / session.lengths.steps_per_epoch
    return f"about {epochs:.1f} epochs ({total:,} steps) fit in {session.run.train.length}"
