"""What a run writes on its way: log lines, sample sheets, checkpoints with their generators."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ganvas.batch import Batch
from ganvas.errors import UsageError
from ganvas.generator import load, save_generator, snapshot
from ganvas.images import as_text, grid, scale_for, stretched, to_float, write_png
from ganvas.pixels import Pixels
from ganvas.rundir import RunState, Status
from ganvas.training.checkpoint import load_checkpoint, save_checkpoint
from ganvas.training.compute.device import own_randomness
from ganvas.training.players import inference
from ganvas.training.session import Session
from ganvas.training.state import is_finite, new_state


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
        session.curves.write()
        there = state.latest if session.run.output.scalars else {}
        for key, value in means.items():
            if key not in there:
                session.events.add_scalar(session.run.output.tags.get(key, key), value, state.step)
    line["seconds_per_step"] = _elapsed(session, seconds) / state.summed
    state.logged_seconds = seconds
    state.clear_sums()
    return line | means


def keep_scalars(session: Session) -> None:
    """Keep the newest step's scalars for TensorBoard."""
    state = session.state
    if state.step > session.logged:
        session.curves.keep(state.step, state.latest)


def _verdict(session: Session) -> dict[str, float]:
    """D's mean logits without dropout: on the images of reals.png and on a sheet's."""
    reals = _logits(session, session.reals, session.real_labels)
    fakes = _logits(session, session.sheet(), session.grid_latents.labels)
    return {"D/real_eval": float(reals.mean()), "D/fake_eval": float(fakes.mean())}


def _logits(session: Session, images: Pixels, labels: Tensor | None) -> Tensor:
    """D's logits without dropout."""
    players = session.state.players
    with torch.no_grad(), inference(players.D):
        return players.judge(Batch(_on_device(session, images), labels))


def _on_device(session: Session, images: Pixels) -> Tensor:
    on_device = torch.from_numpy(images).to(session.state.device)
    return to_float(on_device, *session.run.model.value_range)


def write_samples(session: Session) -> None:
    """Draw the grid of fixed latents."""
    run, name = session.run, _sample_name(session)
    fakes = session.sheet()
    _write_sheet(session.folder.path / "samples" / name, grid(fakes, *run.output.grid))
    if run.output.wide:
        _write_sheet(session.folder.path / "wide" / name, grid(stretched(fakes), *run.output.wide))


def show_sheet(session: Session) -> None:
    """Hand the sheet to TensorBoard: the wide one where there is one."""
    fakes, output, step = session.sheet(), session.run.output, session.state.step
    sheet = grid(stretched(fakes), *output.wide) if output.wide else grid(fakes, *output.grid)
    if step > session.logged:
        session.events.add_image(output.tags.get("samples", "samples"), sheet[:3], step)


def _write_sheet(path: Path, sheet: Pixels) -> None:
    write_png(path, sheet, scale_for(sheet.shape[1]))


def printed(session: Session) -> str:
    """The first few samples of the sheet in letters, with D's scores of them."""
    num = session.run.output.printed
    labels = session.grid_latents.labels
    samples = session.sheet()[:num]
    scores = _logits(session, samples, None if labels is None else labels[:num]).tolist()
    found = ", ".join(f"{score:.2f}" for score in scores)
    return f"{as_text(samples)}\nstep {session.state.step:,}: D's scores {found}"


def _sample_name(session: Session) -> str:
    """epoch-0003.png where sheets are due by the epoch, otherwise step-00000250.png."""
    step, lengths = session.state.step, session.lengths
    if "epoch" in session.run.output.sample and step % lengths.steps_per_epoch == 0:
        return f"epoch-{step // lengths.steps_per_epoch:04d}.png"
    return f"step-{step:08d}.png"


def write_checkpoint(session: Session) -> None:
    """Save the state and the generator, unless the nets hold NaN: then the last good ones stay.

    A step that this sitting saved, or began with, is not saved again.
    """
    run, state, folder = session.run, session.state, session.folder
    session.curves.write()
    if not all(is_finite(net) for net in (state.players.G, state.players.D)):
        return
    if state.step != session.saved:
        folder.flush_log()  # before the checkpoint, which promises that the log goes this far
        save_checkpoint(state, folder.checkpoint(state.step))
        session.saved = state.step
        folder.prune_checkpoints(run.output.keep_checkpoints, session.monitor.best)
    write_generator(session)


def write_generator(session: Session) -> None:
    """Save the generator as it is now, unless it is there; no stream of random numbers changes."""
    run, state = session.run, session.state
    images = session.lengths.images_at(state.step)
    with own_randomness(state.device):
        made = snapshot(run, state.sampler, session.data.shape, images, session.classes)
    save_generator(session.folder.generator, run, made)


def mend_generators(session: Session) -> None:
    """Make the saved generators what the run goes on from: a kill may have come between them.

    `generator/` is that of the state, `best/` that of its checkpoint; without one, its weights are
    believed and the rest is written anew.
    """
    write_generator(session)
    run, folder, best = session.run, session.folder, session.monitor.best
    if best is None:
        return
    device, shape, classes = session.state.device, session.data.shape, session.classes
    with own_randomness(device):
        then = new_state(run, shape, device, len(classes))
        try:
            load_checkpoint(then, folder.checkpoint(best))
        except UsageError:
            made = load(folder.best)
        else:
            images = session.lengths.images_at(best)
            made = snapshot(run, then.sampler, shape, images, classes)
    save_generator(folder.best, run, made)
