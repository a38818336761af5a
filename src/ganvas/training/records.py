"""What a run writes on its way: log lines, sample sheets, checkpoints with their generators."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ganvas.batch import Batch
from ganvas.config import Run
from ganvas.generator import draw_sheet, save_generator, snapshot
from ganvas.images import grid, scale_for, to_float, write_png
from ganvas.pixels import Pixels
from ganvas.rundir import RunState, Status
from ganvas.training.checkpoint import save_checkpoint
from ganvas.training.players import inference
from ganvas.training.session import Session
from ganvas.training.state import is_finite
from ganvas.training.watchdog import Alarm, check_samples


def write_status(
    session: Session, state: RunState, total: int | None = None, reason: str = ""
) -> None:
    """Say in status.json how the run is doing."""
    step = session.state.step
    images = session.lengths.images_at(step)
    session.folder.write_status(
        Status(
            state=state,
            step=step,
            total=total,
            images=images,
            recipe=session.run.recipe,
            reason=reason,
            started=session.started,
        )
    )


def glance(session: Session, seconds: float) -> dict[str, float]:
    """What came since the last line of the log, for the eye: nothing is written or changed.

    Reading the means waits for the device.
    """
    counts, means = _since_last_line(session, seconds)
    return counts | means | {"seconds_per_step": _elapsed(session, seconds) / session.state.summed}


def _elapsed(session: Session, seconds: float) -> float:
    return max(seconds - session.state.logged_seconds, 1e-9)


def _since_last_line(session: Session, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Counts and clocks, and the means of what the steps since the last line reported."""
    state, lengths = session.state, session.lengths
    images = lengths.images_at(state.step)
    shown = images - lengths.images_at(state.step - state.summed)
    counts: dict[str, float] = {
        "step": state.step,
        "images": images,
        "epoch": round(state.step / lengths.steps_per_epoch, 4),
        "seconds": round(seconds, 3),
        "images_per_second": round(shown / _elapsed(session, seconds), 1),
    }
    means = {
        key: float(value) / (1 if key.startswith("count/") else state.summed)
        for key, value in state.sums.items()
    }
    return counts, means


def write_log(session: Session, seconds: float) -> dict[str, float]:
    """Write what came since the last line to log.jsonl and TensorBoard: means, and counts."""
    state = session.state
    line, means = _since_last_line(session, seconds)
    means |= _verdict(session)
    if state.step > session.logged:
        session.folder.append_log(line | means)
        for key, value in means.items():
            session.events.add_scalar(session.run.output.tags.get(key, key), value, state.step)
    line["seconds_per_step"] = _elapsed(session, seconds) / state.summed
    state.logged_seconds = seconds
    state.clear_sums()
    return line | means


def _verdict(session: Session) -> dict[str, float]:
    """D's mean logits without dropout: on the images of reals.png and on a sheet's."""
    run, players = session.run, session.state.players
    sheets = {
        "D/real_eval": Batch(_on_device(session, session.reals), session.real_labels),
        "D/fake_eval": Batch(
            _on_device(session, draw_sheet(session.state.sampler, session.grid_latents, run.model)),
            session.grid_latents.labels,
        ),
    }
    with torch.no_grad(), inference(players.D):
        return {key: float(players.judge(sheet).mean()) for key, sheet in sheets.items()}


def _on_device(session: Session, images: Pixels) -> Tensor:
    on_device = torch.from_numpy(images).to(session.state.device)
    return to_float(on_device, *session.run.model.value_range)


def write_samples(session: Session) -> list[Alarm]:
    """Draw the grid of fixed latents, and look at it for collapse."""
    run, state = session.run, session.state
    fakes = draw_sheet(state.sampler, session.grid_latents, run.model)
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


def write_sheet(path: Path, run: Run, images: Pixels) -> Pixels:
    """Write images as a grid; returns it, (C, H, W)."""
    sheet = grid(images, *run.output.grid)
    write_png(path, sheet, scale_for(sheet.shape[1]))
    return sheet


def write_checkpoint(session: Session) -> None:
    """Save the state and the generator, unless the nets hold NaN: then the last good ones stay."""
    run, state, folder = session.run, session.state, session.folder
    if not all(is_finite(net) for net in (state.players.G, state.players.D)):
        return
    folder.flush_log()  # before the checkpoint, which promises that the log goes this far
    save_checkpoint(state, folder.checkpoint(state.step))
    folder.prune_checkpoints(run.output.keep_checkpoints, session.evaluation.best)
    images = session.lengths.images_at(state.step)
    made = snapshot(run, state.sampler, session.data.shape, images, session.num_classes)
    save_generator(folder.generator, run, made)
