"""`fit`: a run from its first step, or from a checkpoint, to its last."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from ganvas.config import Run
from ganvas.data.loader import Loader
from ganvas.data.prepare import fingerprint, load_images
from ganvas.errors import RunError, UsageError
from ganvas.images import ImageSet, Pixels, grid, scale_for, to_float, write_png
from ganvas.metrics.evaluate import Row
from ganvas.plots import animate, plot_losses
from ganvas.sampling import draw_sheet, save_generator, snapshot
from ganvas.schedule import Schedule
from ganvas.seeds import stream
from ganvas.training.evaluation import Evaluation, make_plan
from ganvas.training.length import Length
from ganvas.training.progress import Reporter
from ganvas.training.rundir import RunFolder, environment
from ganvas.training.state import State, is_finite, load_checkpoint, new_state, save_checkpoint
from ganvas.training.steps import Steps, check_device, obstacle
from ganvas.training.stopping import signals
from ganvas.training.updates import Alternating, inference
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
    device = _device(run.train.device)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        session = _open(run, folder, reporter, device, data_root, resume, checkpoint)
        try:
            return _train(session, _length(session, begun), reporter)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise RunError(_no_memory(run, error)) from error
        except RuntimeError as error:
            if isinstance(error, RunError) or "alloc" not in str(error):
                raise
            raise RunError(_no_memory(run, error)) from error
        finally:
            reporter.stop()
            session.events.close()


@dataclass
class _Session:
    """The objects of a run in progress."""

    run: Run
    folder: RunFolder
    schedule: Schedule
    data: ImageSet
    state: State
    loader: Loader
    reals: Pixels
    """The images of reals.png."""
    grid_latents: Tensor
    events: SummaryWriter
    logged: int
    """Up to this step the log is there already: the newest checkpoint's, on resuming."""
    evaluation: Evaluation


def _open(
    run: Run,
    folder: RunFolder,
    reporter: Reporter,
    device: torch.device,
    data_root: Path | None,
    resume: bool,
    checkpoint: Path | None,
) -> _Session:
    """Load the data, build the nets, and make or reopen the run folder."""
    check_device(run, device)
    data = load_images(run.data, run.preprocess, "train", data_root)
    schedule = Schedule.of(run, len(data))
    state = new_state(run, data.shape, device)
    _check_last_batch(run, schedule, state)
    plan = make_plan(run, data, data_root)
    about_data = {"images": len(data), "shape": data.shape, "sha256": fingerprint(data.images)}
    record = environment(device, state.precision, about_data)
    logged = 0
    if resume:
        _check_environment(folder, record, reporter)
        folder.sweep()
        if folder.checkpoints():
            load_checkpoint(state, checkpoint or folder.checkpoints()[-1])
            logged = folder.step_of(folder.checkpoints()[-1])
        folder.rewind(logged)
    else:
        folder.create(run, record)
    reals = _some_reals(run, data)
    _write_sheet(folder.reals, run, reals)
    events = SummaryWriter(str(folder.path), purge_step=logged + 1 if resume else None)
    return _Session(
        run=run,
        folder=folder,
        schedule=schedule,
        data=data,
        reals=reals,
        state=state,
        loader=Loader(
            data.images, schedule, run.train.order, run.seed, run.model.value_range, device
        ),
        grid_latents=_grid_latents(run).to(device),
        events=events,
        logged=logged,
        evaluation=Evaluation(run, folder, plan, schedule, state, events, logged),
    )


def _length(session: _Session, begun: float) -> Length:
    state, plan = session.state, session.evaluation.plan
    used = state.seconds + state.evaluation_seconds - plan.seconds  # which lie after `begun`
    return Length(session.run.train, session.schedule, state, begun, used=used, longest=plan.cost)


def _train(session: _Session, length: Length, reporter: Reporter) -> Trained:
    run, state, schedule, folder = session.run, session.state, session.schedule, session.folder
    evaluation = session.evaluation
    every = {
        "log": schedule.steps(run.output.log),
        "sample": schedule.steps(run.output.sample),
        "checkpoint": schedule.steps(run.output.checkpoint),
    }
    reporter.start(_headline(session, length.total), state.step, length.total)
    steps = Steps(run, state, session.loader)
    if run.train.cuda_graphs and (reason := obstacle(run)):
        reporter.warn(reason)
    clock = time.perf_counter() - state.seconds
    alarms: list[Alarm] = []
    last = length.over()

    with signals() as stopped:
        while not last and not stopped.is_set():
            # one step of the method
            steps.take()
            last = length.over()

            # what is due at this step
            begun = time.perf_counter()
            if state.step % every["log"] == 0 or last:
                steps.wait()
                line = _log(session, time.perf_counter() - clock)
                if (fits := length.forecast()) is not None:
                    reporter.say(_fitting(session, fits))
                reporter.line(line, length.total, evaluation.note)
                alarms += check_losses(run.watchdog, line, state.memory)
            if state.step % every["sample"] == 0 or last:
                alarms += _sample(session)
            for alarm in alarms:
                reporter.warn(alarm.message)
            if any(alarm.action == "stop" for alarm in alarms):
                break
            alarms.clear()
            saves = state.step % every["checkpoint"] == 0 or last
            if evaluation.is_due(last, length.total, time.perf_counter() - clock):
                state.seconds = time.perf_counter() - clock
                saves |= evaluation.measure(reporter)
                clock = time.perf_counter() - state.seconds  # that was no training time
            if saves:
                state.seconds = time.perf_counter() - clock
                _checkpoint(session)
            length.took(time.perf_counter() - begun)

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
        schedule.images_at(state.step),
        state.seconds,
        last,
        evaluation.last,
        evaluation.best_rows,
        state.evaluation_seconds,
    )


def _log(session: _Session, seconds: float) -> dict[str, float]:
    """Write what came since the last line to log.jsonl and TensorBoard: means, and counts."""
    state, schedule = session.state, session.schedule
    images = schedule.images_at(state.step)
    elapsed = max(seconds - state.logged_seconds, 1e-9)
    line: dict[str, float] = {
        "step": state.step,
        "images": images,
        "epoch": round(state.step / schedule.steps_per_epoch, 4),
        "seconds": round(seconds, 3),
        "images_per_second": round(
            (images - schedule.images_at(state.step - state.summed)) / elapsed, 1
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


def _verdict(session: _Session) -> dict[str, float]:
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


def _on_device(session: _Session, images: Pixels) -> Tensor:
    return torch.from_numpy(images).to(session.state.latents.device)


def _sample(session: _Session) -> list[Alarm]:
    """Draw the grid of fixed latents, and look at it for collapse."""
    run, state = session.run, session.state
    fakes = draw_sheet(state.G, session.grid_latents, run.model)
    path = session.folder.path / "samples" / _sample_name(session)
    sheet = _write_sheet(path, run, fakes)
    tag = run.output.tags.get("samples", "samples")
    if state.step > session.logged:
        session.events.add_image(tag, sheet[:3], state.step)
    images = session.schedule.images_at(state.step)
    return check_samples(run.watchdog, images, fakes, session.reals, state.memory)


def _sample_name(session: _Session) -> str:
    """epoch-0003.png where sheets are due by the epoch, otherwise step-00000250.png."""
    step, schedule = session.state.step, session.schedule
    if "epoch" in session.run.output.sample and step % schedule.steps_per_epoch == 0:
        return f"epoch-{step // schedule.steps_per_epoch:04d}.png"
    return f"step-{step:08d}.png"


def _checkpoint(session: _Session) -> None:
    """Save the state and the generator, unless the nets hold NaN: then the last good ones stay."""
    run, state, folder = session.run, session.state, session.folder
    if not all(is_finite(net) for net in (state.G, state.D)):
        return
    folder.flush_log()  # before the checkpoint, which promises that the log goes this far
    save_checkpoint(state, folder.checkpoint(state.step))
    folder.prune_checkpoints(run.output.keep_checkpoints, session.evaluation.best)
    images = session.schedule.images_at(state.step)
    save_generator(folder.generator, run, snapshot(run, state.G, session.data.shape, images))


# The pictures' contents, which follow from the seed


def _grid_latents(run: Run) -> Tensor:
    rows, columns = run.output.grid
    rng = torch.Generator().manual_seed(stream(run.seed, "grid"))
    return run.latent.sample(rows * columns, rng)


def _some_reals(run: Run, data: ImageSet) -> Pixels:
    rows, columns = run.output.grid
    rng = torch.Generator().manual_seed(stream(run.seed, "reals"))
    chosen: Pixels = data.images[torch.randperm(len(data), generator=rng)[: rows * columns].numpy()]
    return chosen


def _write_sheet(path: Path, run: Run, images: Pixels) -> Pixels:
    sheet = grid(images, *run.output.grid)
    write_png(path, sheet, scale_for(sheet.shape[1]))
    return sheet


def _no_memory(run: Run, error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return f"out of memory: {reason}; lower --batch-size, which is {run.train.batch_size}"


# Before the first step


def _device(name: str) -> torch.device:
    """The device a config names; UsageError if this machine has none such."""
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError):
        raise UsageError(
            f"--device: found '{name}', which this machine does not have; "
            "allowed: auto, cpu, or an accelerator that it has (cuda, mps)"
        ) from None


def _check_last_batch(run: Run, schedule: Schedule, state: State) -> None:
    """BatchNorm cannot train on one image; say so now rather than at the end of an epoch."""
    smallest = schedule.images_at(schedule.steps_per_epoch) % schedule.images_per_step
    smallest = (smallest or schedule.images_per_step) // run.update.batches_per_step
    if isinstance(run.update, Alternating) and run.update.d_batch == "merged":
        smallest //= 2  # D's fakes are half a batch
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    if smallest < 2 and any(
        isinstance(m, norms) for net in (state.G, state.D) for m in net.modules()
    ):
        raise UsageError(
            f"--batch-size: found {run.train.batch_size}; that leaves a batch of one image, which "
            "BatchNorm cannot train on; allowed: 2 or more, 4 or more with update.d_batch=merged, "
            "and train.drop_last=true where a few images are left over at the end of an epoch"
        )


def _check_environment(folder: RunFolder, record: Mapping[str, Any], reporter: Reporter) -> None:
    """A run goes on only with the data that it began with."""
    before = folder.read_environment()
    if before["data"]["sha256"] != record["data"]["sha256"]:
        raise UsageError(
            f"--resume: the images are not those that '{folder.path}' was trained on "
            f"(SHA-256 {record['data']['sha256'][:12]}…, recorded {before['data']['sha256'][:12]}…)"
        )
    changed = [key for key in record if key != "data" and record[key] != before.get(key)]
    if changed:
        reporter.warn(
            f"{', '.join(changed)} changed since '{folder.path}' was begun (see its env.json), "
            "so the run may not end bit-identical to one that was never stopped"
        )


def _headline(session: _Session, total: int | None) -> str:
    run, state = session.run, session.state
    channels, height, width = session.data.shape
    steps = f"{run.train.minutes:g} minutes in steps" if total is None else f"{total:,} steps"
    start = f"from step {state.step:,} " if state.step else ""
    headline = (
        f"{run.recipe}: {len(session.data):,} images {height}x{width}x{channels}, "
        f"{steps} of {session.schedule.images_per_step} images {start}"
        f"on {state.latents.device} in {str(state.precision).removeprefix('torch.')}, "
        f"in {session.folder.path}"
    )
    return "\n".join(filter(None, (headline, session.evaluation.plan.about)))


def _fitting(session: _Session, total: int) -> str:
    """How much fits into the minutes, from the steps made so far."""
    epochs = total / session.schedule.steps_per_epoch
    return (
        f"about {epochs:.1f} epochs ({total:,} steps) fit in {session.run.train.minutes:g} minutes"
    )
