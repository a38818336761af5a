"""Where the first value that is not finite came from: net, layer, step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from torch import Tensor, nn

from ganvas.errors import UsageError
from ganvas.schedules import Progress
from ganvas.training.checkpoint import load_checkpoint
from ganvas.training.compute.device import own_randomness
from ganvas.training.compute.graph import Steps
from ganvas.training.rollback import follow_changes
from ganvas.training.session import Session
from ganvas.training.state import State, new_state
from ganvas.training.watchdog import not_finite

SECONDS: Final = 20.0
"""Most that the search takes."""


def origin(session: Session, share: float) -> str:
    """The step and the layer at which values first were not finite, in words.

    A net is spoilt whole by the step after the first such value, so the steps since the newest
    checkpoint are taken again, on a copy, with an eye on each layer. "" if that takes too long, or
    shows nothing. `share` is how far the run is.
    """
    began, end = time.perf_counter(), session.state.step
    with own_randomness(session.state.device):
        state = _as_saved(session)
        steps = Steps(session.run, state, session.loader, session.step)
        with watched(state) as first:
            while state.step < end and time.perf_counter() - began < SECONDS:
                first.clear()
                steps.take(Progress(session.lengths.images_at(state.step), share))
                if losses := not_finite(state.latest):
                    where = first[0] if first else f"{losses[0]} itself, of finite outputs"
                    return f"first at step {state.step:,}, in {where}"
    return ""


def _as_saved(session: Session) -> State:
    """The state that the newest readable checkpoint has, or that of before the first step."""
    device, shape = session.state.device, session.data.shape
    for checkpoint in reversed(session.folder.checkpoints()):
        state = new_state(session.run, shape, device, len(session.classes))
        try:
            load_checkpoint(state, checkpoint)
        except UsageError:
            continue
        follow_changes(session.run, state)
        return state
    state = new_state(session.run, shape, device, len(session.classes))
    state.memory.update(session.changes)
    follow_changes(session.run, state)
    return state


@contextmanager
def watched(state: State) -> Iterator[list[str]]:
    """Layers in the order in which their outputs are not finite, each in words."""
    found: list[str] = []
    handles = [
        layer.register_forward_hook(_look(f"{net}, layer {name} ({type(layer).__name__})", found))
        for net, of in (("G", state.players.G), ("D", state.players.D))
        for name, layer in of.named_modules()
        if not any(True for _ in layer.children())
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _look(name: str, found: list[str]) -> Callable[[nn.Module, object, object], None]:
    def look(layer: nn.Module, inputs: object, output: object) -> None:
        if found or not isinstance(output, Tensor) or bool(output.isfinite().all()):
            return
        weights = list(layer.parameters(recurse=False))
        if not all(bool(value.isfinite().all()) for value in weights):
            found.append(f"{name}, whose weights the step before made so")
        elif weights:
            largest = max(float(value.detach().abs().max()) for value in weights)
            found.append(f"{name}, whose weights are finite, up to {largest:.3g}")
        else:
            found.append(name)

    return look
