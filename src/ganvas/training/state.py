"""What training changes, and nothing else: nets, optimizers, counters, random streams.

A checkpoint is a folder with `state.safetensors` and `state.json`, written aside, flushed and
renamed as a whole, so that it either exists completely or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Generator, Tensor, nn

from ganvas.config import Adam, Run
from ganvas.errors import UsageError
from ganvas.files import sync_folder, write_file, writing
from ganvas.images import Shape
from ganvas.seeds import stream

FORMAT: Final = 1
_WEIGHTS, _COUNTERS = "state.safetensors", "state.json"


@dataclass
class State:
    """The moving parts of a run, on one device."""

    G: nn.Module
    D: nn.Module
    optimizers: dict[str, torch.optim.Optimizer]
    latents: Generator
    """The stream that training latents are drawn from."""
    step: int = 0
    seconds: float = 0.0
    """Training time so far, over all sittings."""
    logged_seconds: float = 0.0
    """Training time at the last log line."""
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Sums of the scalars since the last log line."""
    summed: int = 0
    """How many steps those sums hold."""
    memory: dict[str, float] = field(default_factory=dict)
    """What an update rule or the watchdog remembers from step to step."""


def new_state(run: Run, shape: Shape, device: torch.device) -> State:
    """Nets, optimizers and random streams as they are before the first step."""
    torch.manual_seed(run.seed)
    G = run.model.generator(shape, run.latent.dims).to(device)
    D = run.model.discriminator(shape).to(device)
    nets = {"G": (G, run.optim.generator), "D": (D, run.optim.discriminator)}
    optimizers = {name: _adam(*nets[net]) for name, net in run.update.optimizers.items()}
    return State(G, D, optimizers, Generator(device).manual_seed(stream(run.seed, "latents")))


def _adam(net: nn.Module, settings: Adam) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        net.parameters(),
        lr=settings.learning_rate,
        betas=(settings.beta_1, settings.beta_2),
        eps=settings.eps,
        fused=True,
    )


# Checkpoints


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
        with writing(folder):
            if folder.exists():  # the same state, written before a crash or a resume
                shutil.rmtree(folder)
            os.rename(aside, folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_checkpoint(state: State, folder: Path) -> None:
    """Put the state back that `save_checkpoint` wrote, bit for bit.

    Raises:
        UsageError: the checkpoint is missing, damaged, or of another run.
    """
    try:
        counters = json.loads((folder / _COUNTERS).read_text())
        weights = (folder / _WEIGHTS).read_bytes()
        damaged = hashlib.sha256(weights).hexdigest() != counters["sha256"]
        tensors = {} if damaged else load_file(folder / _WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UsageError(
            f"checkpoint '{folder}' cannot be read: {error}; resume from another one"
        ) from None
    if damaged:
        raise UsageError(
            f"checkpoint '{folder}' is damaged: its SHA-256 is not the recorded one; "
            "resume from another one"
        )
    if counters["format"] != FORMAT:
        raise UsageError(
            f"checkpoint '{folder}' has format {counters['format']}; this version reads {FORMAT}"
        )
    try:
        _unpack(state, tensors, counters)
    except (KeyError, RuntimeError, ValueError) as error:
        first_line = str(error).splitlines()[0]
        raise UsageError(f"checkpoint '{folder}' does not fit this run: {first_line}") from None


def _pack(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {
        "rng.cpu": torch.get_rng_state(),
        "rng.latents": state.latents.get_state(),
    }
    if state.latents.device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(state.latents.device)
    for name, net in (("G", state.G), ("D", state.D)):
        tensors |= {f"{name}.{key}": value for key, value in net.state_dict().items()}
    for name, optimizer in state.optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}.{index}.{key}": value for key, value in moments.items()}
    tensors |= {f"sums.{key}": value for key, value in state.sums.items()}
    counters = {
        "format": FORMAT,
        "step": state.step,
        "seconds": state.seconds,
        "logged_seconds": state.logged_seconds,
        "summed": state.summed,
        "memory": state.memory,
    }
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}, counters


def _unpack(state: State, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
    device = state.latents.device
    for name, net in (("G", state.G), ("D", state.D)):
        net.load_state_dict(_under(tensors, f"{name}."))
    for name, optimizer in state.optimizers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, f"optimizer.{name}.").items():
            index, _, moment = key.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
    state.sums = {key: value.to(device) for key, value in _under(tensors, "sums.").items()}
    state.step, state.seconds = counters["step"], counters["seconds"]
    state.logged_seconds = counters["logged_seconds"]
    state.summed, state.memory = counters["summed"], counters["memory"]
    torch.set_rng_state(tensors["rng.cpu"])
    state.latents.set_state(tensors["rng.latents"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
