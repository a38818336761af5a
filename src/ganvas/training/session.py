"""A run before its first step: data loaded, nets built, the run folder made or reopened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from ganvas.config import Run
from ganvas.config.length import Lengths
from ganvas.data.loader import Loader
from ganvas.data.prepare import load_images
from ganvas.errors import UsageError
from ganvas.images import grid, scale_for, write_png
from ganvas.pixels import ImageSet, Pixels, fingerprint
from ganvas.rundir import RunFolder
from ganvas.seeds import stream
from ganvas.training.compute.graph import check_device
from ganvas.training.environment import environment
from ganvas.training.monitor import Monitor
from ganvas.training.plan import make_plan
from ganvas.training.progress import Reporter
from ganvas.training.state import State, load_checkpoint, new_state
from ganvas.training.updates import Alternating


@dataclass
class Session:
    """The objects of a run in progress."""

    run: Run
    folder: RunFolder
    lengths: Lengths
    data: ImageSet
    state: State
    loader: Loader
    reals: Pixels
    """The images of reals.png."""
    grid_latents: Tensor
    events: SummaryWriter
    logged: int
    """Up to this step the log is there already: the newest checkpoint's, on resuming."""
    evaluation: Monitor


def open_session(
    run: Run,
    folder: RunFolder,
    reporter: Reporter,
    device: torch.device,
    data_root: Path | None,
    resume: bool,
    checkpoint: Path | None,
) -> Session:
    """Load the data, build the nets, and make or reopen the run folder."""
    check_device(run, device)
    data = load_images(run.data, run.preprocess, "train", data_root)
    lengths = Lengths.of(run, len(data))
    state = new_state(run, data.shape, device)
    _check_last_batch(run, lengths, state)
    plan = make_plan(run, data, data_root, device)
    run = plan.run
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
    write_sheet(folder.reals, run, reals)
    events = SummaryWriter(str(folder.path), purge_step=logged + 1 if resume else None)
    return Session(
        run=run,
        folder=folder,
        lengths=lengths,
        data=data,
        reals=reals,
        state=state,
        loader=Loader(
            data.images, lengths, run.train.order, run.seed, run.model.value_range, device
        ),
        grid_latents=_grid_latents(run).to(device),
        events=events,
        logged=logged,
        evaluation=Monitor(run, folder, plan, lengths, state, events, logged),
    )


def device_of(name: str) -> torch.device:
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


def _check_last_batch(run: Run, lengths: Lengths, state: State) -> None:
    """BatchNorm cannot train on one image; say so now rather than at the end of an epoch."""
    smallest = lengths.images_at(lengths.steps_per_epoch) % lengths.images_per_step
    smallest = (smallest or lengths.images_per_step) // run.update.batches_per_step
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


def _grid_latents(run: Run) -> Tensor:
    rows, columns = run.output.grid
    rng = torch.Generator().manual_seed(stream(run.seed, "grid"))
    return run.latent.sample(rows * columns, rng)


def _some_reals(run: Run, data: ImageSet) -> Pixels:
    rows, columns = run.output.grid
    rng = torch.Generator().manual_seed(stream(run.seed, "reals"))
    chosen: Pixels = data.images[torch.randperm(len(data), generator=rng)[: rows * columns].numpy()]
    return chosen


def write_sheet(path: Path, run: Run, images: Pixels) -> Pixels:
    sheet = grid(images, *run.output.grid)
    write_png(path, sheet, scale_for(sheet.shape[1]))
    return sheet
