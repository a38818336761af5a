"""A run before its first step: data loaded, nets built, the run folder made or reopened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganvas.batch import Latents
from ganvas.classes import Classes
from ganvas.config import Run
from ganvas.config.length import Lengths
from ganvas.data.holdout import settled
from ganvas.data.loader import Loader
from ganvas.data.prepare import load_images
from ganvas.data.store import Store
from ganvas.drawing import draw_sheet
from ganvas.errors import UsageError
from ganvas.images import grid, scale_for, write_png
from ganvas.pixels import ImageSet, Pixels, fingerprint
from ganvas.rundir import RunFolder, Status, now
from ganvas.seeds import stream
from ganvas.training.checkpoint import load_checkpoint, load_newest, save_checkpoint
from ganvas.training.compute.graph import check_device
from ganvas.training.curves import Curves
from ganvas.training.environment import environment
from ganvas.training.events import Events
from ganvas.training.joint import Step, fewest_passes
from ganvas.training.labels import classes_told
from ganvas.training.monitor import Monitor
from ganvas.training.plan import make_plan
from ganvas.training.progress import Reporter
from ganvas.training.rollback import make_changes
from ganvas.training.starting import start_from
from ganvas.training.state import State, new_state
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
    step: Step
    """A step of the update rule, in the fewest passes."""
    reals: Pixels
    """The images of reals.png."""
    real_labels: Tensor | None
    """Their classes, if the model takes labels."""
    grid_latents: Latents
    classes: Classes
    """Those that the nets are told; none if the model takes no labels."""
    events: Events
    logged: int
    """Up to this step the log is there already: the newest checkpoint's, on resuming."""
    monitor: Monitor
    curves: Curves
    """TensorBoard's scalars of single steps, where they are asked for."""
    started: str
    """When this sitting began."""
    saved: int
    """The step of the newest checkpoint of this sitting, or of the one that it began with."""
    changes: Mapping[str, float] = field(default_factory=dict)
    """What was changed at the beginning of this sitting, after a failure."""
    _sheet: tuple[int, Pixels] | None = None
    """The newest sheet and its step."""

    def sheet(self) -> Pixels:
        """Images of the fixed latents by G as it is, uint8; drawn once a step."""
        if self._sheet is None or self._sheet[0] != self.state.step:
            fakes = draw_sheet(self.state.sampler, self.grid_latents, self.run.model)
            self._sheet = (self.state.step, fakes)
        return self._sheet[1]


def open_session(
    run: Run,
    folder: RunFolder,
    reporter: Reporter,
    device: torch.device,
    data_root: Path | None,
    resume: bool,
    checkpoint: Path | None,
    data: ImageSet | None = None,
    begin_with: str | Path | None = None,
    changes: Mapping[str, float] | None = None,
) -> Session:
    """Load the data where it is not given, build the nets, and make or reopen the run folder.

    Nets of a new run begin with the weights of `begin_with`, a run or a saved generator. `changes`
    are made to the state that it goes on from, after a failure.
    """
    started = now()
    check_device(run, device)
    if data is None:
        data = load_images(run.data, run.preprocess, "train", data_root)
    run = replace(run, data=settled(run.data, data.held_out))
    lengths = Lengths.of(run, len(data))
    classes, about_classes = classes_told(run.model, data)
    state = new_state(run, data.shape, device, len(classes))
    check_last_batch(run, lengths, (state.players.G, state.players.D))
    taken = [] if begin_with is None else start_from(begin_with, run.model, state, classes)
    if data.about and not changes:
        reporter.say(data.about)  # before a net is trained to measure with, which takes its time
    plan = make_plan(run, data, data_root, device, reporter.say, begun=resume)
    run = plan.run
    about_data = {"images": len(data), "shape": data.shape, "sha256": fingerprint(data.images)}
    if data.held_out:
        about_data["held_out"] = data.held_out
    record = environment(device, state.players.precision, about_data)
    store = Store(data, device, with_labels=len(classes) > 0)
    logged = 0
    if resume:
        _check_environment(folder, record, reporter)
        folder.sweep()
        logged = _restore(state, folder, checkpoint, reporter)
        make_changes(run, state, changes or {})
        folder.rewind_watchdog(logged, int(state.memory.get("rollbacks", 0)))
    else:
        folder.create(run, record | ({"begun_with": str(begin_with)} if begin_with else {}))
        if begin_with is not None:
            save_checkpoint(state, folder.checkpoint(0))  # what a kill before the next goes back to
    if not changes:  # it was said when the run began
        for line in filter(None, (about_classes, *taken)):
            reporter.say(line)
        for remark in data.remarks:
            reporter.warn(remark)
    images = lengths.images_at(state.step)
    folder.write_status(
        Status(state="running", step=state.step, images=images, recipe=run.recipe, started=started)
    )
    shown = _some(run, len(data))
    reals = data.images[shown]
    sheet = grid(reals, *run.output.grid)
    write_png(folder.reals, sheet, scale_for(sheet.shape[1]))
    events = Events(folder.path, reporter.warn, purge_step=logged + 1 if resume else None)
    return Session(
        run=run,
        folder=folder,
        lengths=lengths,
        data=data,
        reals=reals,
        state=state,
        loader=Loader(store, lengths, run.train.order, run.seed, run.model.value_range),
        step=_step(run, state),
        real_labels=store.labels(torch.from_numpy(shown).to(device)),
        grid_latents=_grid_latents(run, device, len(classes)),
        classes=classes,
        events=events,
        logged=logged,
        monitor=Monitor(run, folder, plan, lengths, state, events, data.shape, classes, logged),
        curves=Curves(events, run.output.tags),
        started=started,
        saved=state.step,
        changes=changes or {},
    )


def _restore(state: State, folder: RunFolder, checkpoint: Path | None, reporter: Reporter) -> int:
    """Put back a checkpoint's state, or the newest one's; the step up to which the log is there."""
    logged = 0
    if checkpoint is not None:
        load_checkpoint(state, checkpoint)
        logged = folder.step_of(folder.checkpoints()[-1])
    elif there := folder.checkpoints():
        newest, remarks = load_newest(state, there)
        logged = folder.step_of(newest)
        for remark in remarks:
            reporter.warn(remark)
    for remark in folder.rewind(logged):
        reporter.warn(remark)
    return logged


def check_last_batch(run: Run, lengths: Lengths, nets: Iterable[nn.Module]) -> None:
    """BatchNorm cannot train on one image; say so now rather than at the end of an epoch."""
    smallest = lengths.images_in_last_step // run.update.batches_per_step
    if isinstance(run.update, Alternating) and run.update.d_batch == "merged":
        smallest //= 2  # D's fakes are half a batch
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    if smallest < 2 and any(isinstance(m, norms) for net in nets for m in net.modules()):
        raise UsageError(
            f"--batch-size: found {run.train.batch_size}; that leaves a batch of one image, which "
            "BatchNorm cannot train on; allowed: 2 or more, 4 or more with update.d_batch=merged, "
            "and train.drop_last=true where a few images are left over at the end of an epoch"
        )


def _check_environment(folder: RunFolder, record: Mapping[str, Any], reporter: Reporter) -> None:
    """A run goes on only with the data that it began with."""
    before = folder.read_environment()
    data = str(before["data"].get("sha256", ""))
    if not data:
        reporter.warn(
            f"'{folder.environment}' does not say which images the run was trained on; "
            "it is written anew, from this sitting"
        )
        folder.write_environment(record)
        return
    if data != record["data"]["sha256"]:
        raise UsageError(
            f"--resume: the images are not those that '{folder.path}' was trained on "
            f"(SHA-256 {record['data']['sha256'][:12]}…, recorded {data[:12]}…)"
        )
    changed = [key for key in record if key != "data" and record[key] != before.get(key)]
    if changed:
        reporter.warn(
            f"{', '.join(changed)} changed since '{folder.path}' was begun (see its env.json), "
            "so the run may not end bit-identical to one that was never stopped"
        )


def _step(run: Run, state: State) -> Step:
    if not run.train.shared_passes:
        return run.update.step
    return fewest_passes(run.update, run.loss, run.penalty, state.players.D)


def _grid_latents(run: Run, device: torch.device, num_classes: int) -> Latents:
    """What sample sheets are drawn from; with labels, a class a row."""
    rows, columns = run.output.grid
    rng = torch.Generator().manual_seed(stream(run.seed, "grid"))
    z = run.latent.sample(rows * columns, rng).to(device)
    if not num_classes:
        return Latents(z)
    return Latents(z, torch.arange(rows * columns, device=device) // columns % num_classes)


def _some(run: Run, num: int) -> NDArray[np.int64]:
    """The training images that reals.png shows."""
    rows, columns = run.output.grid
    rng = torch.Generator().manual_seed(stream(run.seed, "reals"))
    chosen: NDArray[np.int64] = torch.randperm(num, generator=rng)[: rows * columns].numpy()
    return chosen
