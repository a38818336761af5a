"""The state of a run on disk, to go on from.

A checkpoint is a folder with `state.safetensors` and `state.json`, written aside, flushed and
renamed as a whole, so that it either exists completely or not at all.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ganvas.errors import UsageError
from ganvas.files import replace_folder, set_aside, write_file
from ganvas.training.compute.device import random_states, set_random_states
from ganvas.training.state import State

FORMAT: Final = 1
_WEIGHTS, _COUNTERS = "state.safetensors", "state.json"


def save_checkpoint(state: State, folder: Path) -> None:
    """Write the whole state as the folder `folder`, or leave nothing there.

    Raises:
        RunError: the disk is full or the folder not writable.
    """
    tensors, counters = _pack(state)
    weights = save(tensors)
    counters["sha256"] = hashlib.sha256(weights).hexdigest()
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        write_file(aside / _WEIGHTS, weights)
        write_file(aside / _COUNTERS, json.dumps(counters, indent=1).encode())
        replace_folder(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and counters of a checkpoint; UsageError if it is missing or damaged."""
    try:
        counters = json.loads((folder / _COUNTERS).read_text())
        weights = (folder / _WEIGHTS).read_bytes()
        damaged = hashlib.sha256(weights).hexdigest() != counters["sha256"]
        tensors = {} if damaged else load(weights)
    except (OSError, ValueError, LookupError, TypeError, RecursionError, SafetensorError) as error:
        first_line = str(error).partition("\n")[0]
        raise UsageError(
            f"checkpoint '{folder}' cannot be read: {first_line}; resume from another one"
        ) from None
    if damaged:
        raise UsageError(
            f"checkpoint '{folder}' is damaged: its SHA-256 is not the recorded one; "
            "resume from another one"
        )
    if counters.get("format") != FORMAT:
        raise UsageError(
            f"checkpoint '{folder}' has format {counters.get('format')}; "
            f"this version reads {FORMAT}"
        )
    return tensors, counters


def load_checkpoint(state: State, folder: Path) -> None:
    """Put the state back that `save_checkpoint` wrote, bit for bit.

    Raises:
        UsageError: the checkpoint is missing, damaged, or of another run.
    """
    tensors, counters = read_checkpoint(folder)
    try:
        _unpack(state, tensors, counters)
    except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        first_line = str(error).partition("\n")[0]
        raise UsageError(f"checkpoint '{folder}' does not fit this run: {first_line}") from None


def load_newest(state: State, checkpoints: Sequence[Path]) -> tuple[Path, list[str]]:
    """Put the newest state back that can be read; which, and a sentence on each that cannot.

    `checkpoints` are in order, the newest last. Those after it are set aside, as NAME.damaged,
    for they would count as newest again.

    Raises:
        UsageError: none of them can be read.
        RunError: one cannot be set aside.
    """
    refused: list[tuple[Path, UsageError]] = []
    for folder in reversed(checkpoints):
        try:
            load_checkpoint(state, folder)
        except UsageError as error:
            refused.append((folder, error))
            continue
        for damaged, _ in refused:
            set_aside(damaged, damaged.with_name(f"{damaged.name}.damaged"))
        return folder, [
            f"{_fault(error)}; it is set aside as '{damaged.name}.damaged', and the run goes on "
            f"from '{folder.name}'"
            for damaged, error in refused
        ]
    newest, fault = refused[0]
    raise UsageError(
        f"none of the {len(refused)} checkpoints in '{newest.parent}' can be read; the newest: "
        f"{_fault(fault)}; start a new run"
    )


def _fault(error: UsageError) -> str:
    """What is wrong with a checkpoint, without the advice."""
    return str(error).rpartition("; resume from")[0] or str(error)


def _pack(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    players = state.players
    tensors = {f"rng.{kind}": value for kind, value in random_states(state.device).items()}
    tensors["rng.latents"] = players.stream.get_state()
    tensors |= {f"augment.{key}": value for key, value in players.augment.state().items()}
    for name, net in _nets(state):
        tensors |= {f"{name}.{key}": value for key, value in net.state_dict().items()}
    for name, optimizer in players.optimizers.items():
        for index, moments in optimizer.moments.items():
            tensors |= {f"optimizer.{name}.{index}.{key}": value for key, value in moments.items()}
    tensors |= {f"sums.{key}": value for key, value in state.sums.items()}
    counters = {
        "format": FORMAT,
        "step": state.step,
        "seconds": state.seconds,
        "logged_seconds": state.logged_seconds,
        "evaluation_seconds": state.evaluation_seconds,
        "summed": state.summed,
        "memory": state.memory,
    }
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}, counters


def _unpack(state: State, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
    players, device = state.players, state.device
    names = {key.split(".")[1] for key in tensors if key.startswith("optimizer.")}
    if unknown := sorted(names - set(players.optimizers)):
        raise ValueError(
            f"it has an optimizer {unknown[0]}, the run {', '.join(players.optimizers)}"
        )
    for name, net in _nets(state):
        net.load_state_dict(under(tensors, f"{name}."))
    for name, optimizer in players.optimizers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in under(tensors, f"optimizer.{name}.").items():
            index, _, moment = key.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        optimizer.load(moments)
    sums = under(tensors, "sums.")
    state.sums = {key: value.to(device, copy=True) for key, value in sums.items()}
    state.step, state.summed = _count(counters, "step"), _count(counters, "summed")
    state.seconds = _seconds(counters, "seconds")
    state.logged_seconds = _seconds(counters, "logged_seconds")
    state.evaluation_seconds = _seconds(
        {"evaluation_seconds": 0.0} | counters, "evaluation_seconds"
    )
    memory: dict[str, float] = counters["memory"]
    if not all(isinstance(value, int | float) for value in memory.values()):
        raise ValueError(f"memory is {memory!r:.80}")
    state.memory.clear()  # which the players share
    state.memory.update(memory)
    set_random_states(device, under(tensors, "rng."))
    players.stream.set_state(tensors["rng.latents"])
    players.augment.load(under(tensors, "augment."))


def _count(counters: dict[str, Any], key: str) -> int:
    value = counters[key]
    if type(value) is not int or value < 0:
        raise ValueError(f"{key} is {value!r:.40}")
    return value


def _seconds(counters: dict[str, Any], key: str) -> float:
    value = counters[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{key} is {value!r:.40}")
    return float(value)


def _nets(state: State) -> Iterator[tuple[str, nn.Module]]:
    """The nets of a run, by what their tensors' names begin with."""
    yield "G", state.players.G
    yield "D", state.players.D
    if state.average is not None:
        yield "average", state.average.net


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
