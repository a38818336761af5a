"""One training step after another; on CUDA, if asked, as replays of a captured one.

A step's work on the device reads its image indices from a buffer and finds everything else where
it was the step before: weights, moments, statistics and sums are changed in place. On a processor
it is called. On CUDA, with `train.cuda_graphs`, it is called for the first few steps, then captured
in a CUDA graph, and from there on a step is one copy of indices and one replay: the same kernels on
the same memory, without Python in between.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from ganvas.config import COMPONENTS, Ramp, Run
from ganvas.data.loader import Loader
from ganvas.errors import RunError, UsageError
from ganvas.schedules import Progress
from ganvas.training.joint import Step
from ganvas.training.labels import Fading
from ganvas.training.state import State
from ganvas.training.weighted import Weighted, weighted

WARM_UP: Final = 3
"""Steps before the capture, in which libraries set up their handles and workspaces: as many as
torch.cuda.make_graphed_callables takes. They are steps of the run like any other."""


class Steps:
    """The steps of a run from where its state is; all of them work on the same state."""

    def __init__(self, run: Run, state: State, loader: Loader, step: Step) -> None:
        self._run, self._state, self._loader, self._step = run, state, loader, step
        self._penalty = weighted(run.penalty, state.device)
        self._fading = Fading(run.model, (state.players.G, state.players.D))
        self._order = loader.indices(state.step)
        self._indices = torch.zeros(loader.batch_size, dtype=torch.int64, device=state.device)
        self._captured: Captured | None = None
        if run.train.cuda_graphs and not obstacle(run):
            self._captured = Captured(lambda: self._play(self._indices), state)

    def take(self, progress: Progress) -> None:
        """Take one step, with the run as far as that. Nothing waits for the device."""
        for optimizer in self._state.players.optimizers.values():
            optimizer.follow(progress)
        if isinstance(self._penalty, Weighted):
            self._penalty.follow(progress)
        self._fading.follow(progress)
        indices = next(self._order)
        if self._captured and len(indices) == len(self._indices):
            self._indices.copy_(indices)
            self._captured()
        else:  # no capture, or the short batch at the end of an epoch
            self._play(indices)
        if self._state.average is not None:
            after = replace(progress, images=progress.images + len(indices))
            self._state.average.update(len(indices), after)
        self._state.step += 1
        self._state.summed += 1

    def _play(self, indices: Tensor) -> None:
        """All that the device does in a step: gather real images, update the nets, sum scalars."""
        run, state = self._run, self._state
        batch = self._loader.batch(indices)
        scalars = self._step(state.players, run.loss, self._penalty, batch)
        state.accumulate(state.players.augment.adapt(scalars, len(batch)))


def check_device(run: Run, device: torch.device) -> None:
    """UsageError if CUDA graphs are asked for on another device."""
    if run.train.cuda_graphs and device.type != "cuda":
        raise UsageError(
            f"train.cuda_graphs: found true on device '{device}'; "
            "allowed: false, or true with --device cuda"
        )


def obstacle(run: Run) -> str | None:
    """Why the run's steps cannot be captured, as a line for the user; None if they can."""
    for section in ("update", "latent", "augment"):
        part = getattr(run, section)
        if not getattr(part, "capturable", False):
            return (
                f"train.cuda_graphs has no effect with {section}.name = "
                f"'{COMPONENTS[section].name_of(part)}', whose steps depend on values that the "
                "processor reads; every step is launched from Python"
            )
    for net in ("generator", "discriminator"):
        if isinstance(getattr(run.optim, net).beta_2, Ramp):
            return (
                f"train.cuda_graphs has no effect with a ramp as optim.{net}.beta_2, which torch's "
                "fused Adam takes from the processor; every step is launched from Python"
            )
    return None


class Captured:
    """A step on full batches: called for WARM_UP steps, then captured, then replayed.

    Capturing runs nothing and draws no random numbers. What a replay draws, and by how much it
    moves the states of the generators on, is what a call would: torch adds a graph's share to the
    offsets of the default generator and of those registered with the graph before each replay.

    The graph's own memory (activations, gradients) is private to it, so whatever runs between
    replays, such as sample sheets and steps on short batches, cannot get in its way.
    """

    def __init__(self, work: Callable[[], None], state: State) -> None:
        self._work = work
        self._state = state
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._scalars: Mapping[str, Tensor] = {}  # of the captured step: where a replay leaves them
        self._stream = torch.cuda.Stream(state.device)  # type: ignore[no-untyped-call]

    def __call__(self) -> None:
        if self._graph is None and self._calls < WARM_UP:
            self._calls += 1
            self._warm_up()
            return
        if self._graph is None:
            self._graph = self._capture()
            self._scalars = self._state.latest
        self._graph.replay()
        self._state.latest = self._scalars

    def _warm_up(self) -> None:
        """One step on the stream of the capture, as its libraries keep workspaces by stream."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            self._work()
        current.wait_stream(self._stream)

    def _capture(self) -> torch.cuda.CUDAGraph:
        gc.collect()  # no graph of gradients, with nodes of other streams, outlives this
        device = self._stream.device  # the graph registers its default generator
        with torch.cuda.device(device), torch.cuda.stream(self._stream):
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self._state.players.stream)
            graph.register_generator_state(self._state.players.augment.stream)
            try:
                with torch.cuda.graph(graph, stream=self._stream):
                    self._work()
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                reason = str(error.__context__ or error).partition("\n")[0]
                raise RunError(
                    f"the training step cannot be captured in a CUDA graph: {reason}; "
                    "--set train.cuda_graphs=false trains without"
                ) from error
        return graph
