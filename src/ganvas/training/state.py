"""What training changes, and nothing else: nets, optimizers, counters, random streams.

A checkpoint is a folder with `state.safetensors` and `state.json`, written aside, flushed and
renamed as a whole, so that it either exists completely or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Generator, Tensor, nn

from ganvas.config import Run
from ganvas.errors import UsageError
from ganvas.files import replace_folder, write_file
from ganvas.models.layers import judges_alone, judges_repeatably
from ganvas.pixels import Shape
from ganvas.seeds import stream
from ganvas.training.optim import Adam

FORMAT: Final = 1
_WEIGHTS, _COUNTERS = "state.safetensors", "state.json"


@dataclass
class State:
    """The moving parts of a run, on one device."""

    G: nn.Module
    D: nn.Module
    optimizers: dict[str, Adam]
    latents: Generator
    """The stream that training latents are drawn from."""
    precision: torch.dtype = torch.float32
    """What products and convolutions are computed in."""
    judges_alone: bool = False
    """Whether D judges each image alone, so that one backward pass through it serves both nets."""
    judges_repeatably: bool = False
    """Whether D judges images the same way twice, so that one pass over them serves both nets."""
    step: int = 0
    seconds: float = 0.0
    """Training time so far, over all sittings."""
    logged_seconds: float = 0.0
    """Training time at the last log line."""
    evaluation_seconds: float = 0.0
    """Time that evaluations took so far, over all sittings; no part of the training time."""
    sums: dict[str, Tensor] = field(default_factory=dict)
    """Sums of the scalars since the last log line; they keep their memory for the whole run."""
    summed: int = 0
    """How many steps those sums hold."""
    memory: dict[str, float] = field(default_factory=dict)
    """What an update rule or the watchdog remembers from step to step."""

    def generate(self, latents: Tensor) -> Tensor:
        """G's images of latents (N, dims), shape (N, C, H, W)."""
        with self._autocast():
            images: Tensor = self.G(latents)
        return images

    def judge(self, images: Tensor) -> Tensor:
        """D's logits of images (N, C, H, W), float32, shape (N,)."""
        with self._autocast():
            logits: Tensor = self.D(images)
        return logits.float()

    def accumulate(self, scalars: Mapping[str, Tensor]) -> None:
        """Add a step's scalars to the sums, in place; no device synchronisation."""
        for key, value in scalars.items():
            if key in self.sums:
                self.sums[key].add_(value)
            else:
                self.sums[key] = value.clone()

    def clear_sums(self) -> None:
        """Begin the sums of the next log line."""
        for value in self.sums.values():
            value.zero_()
        self.summed = 0

    def _autocast(self) -> torch.autocast:
        device = self.latents.device.type
        return torch.autocast(device, self.precision, enabled=self.precision != torch.float32)


def new_state(run: Run, shape: Shape, device: torch.device) -> State:
    """Nets, optimizers and random streams as they are before the first step."""
    torch.manual_seed(run.seed)
    G = run.model.generator(shape, run.latent.dims).to(device)
    D = run.model.discriminator(shape).to(device)
    for net in (G, D):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in net.modules():
            if hasattr(module, "fast"):
                module.fast = run.train.fast_layers  # type: ignore[assignment]
    nets = {"G": (G, run.optim.generator), "D": (D, run.optim.discriminator)}
    optimizers = {}
    for name, key in run.update.optimizers.items():
        net, settings = nets[key]
        optimizers[name] = Adam(net.parameters(), settings)
    latents = Generator(device).manual_seed(stream(run.seed, "latents"))
    precision = _precision(run.train.precision, device)
    state = State(G, D, optimizers, latents, precision)
    if run.train.shared_passes:
        state.judges_alone, state.judges_repeatably = judges_alone(D), judges_repeatably(D)
    return state


def _precision(setting: str, device: torch.device) -> torch.dtype:
    """The data type that a setting stands for on this device."""
    if setting != "auto":
        return torch.bfloat16 if setting == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    matrix_units = device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if matrix_units else torch.float32


def is_finite(net: nn.Module) -> bool:
    return all(bool(value.isfinite().all()) for value in net.parameters())


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
        replace_folder(aside, folder)
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
    if counters.get("format") != FORMAT:
        raise UsageError(
            f"checkpoint '{folder}' has format {counters.get('format')}; "
            f"this version reads {FORMAT}"
        )
    try:
        _unpack(state, tensors, counters)
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
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
    device = state.latents.device
    names = {key.split(".")[1] for key in tensors if key.startswith("optimizer.")}
    if unknown := sorted(names - set(state.optimizers)):
        raise ValueError(f"it has an optimizer {unknown[0]}, the run {', '.join(state.optimizers)}")
    for name, net in (("G", state.G), ("D", state.D)):
        net.load_state_dict(_under(tensors, f"{name}."))
    for name, optimizer in state.optimizers.items():
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, f"optimizer.{name}.").items():
            index, _, moment = key.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        optimizer.load(moments)
    sums = _under(tensors, "sums.")
    state.sums = {key: value.to(device, copy=True) for key, value in sums.items()}
    state.step, state.seconds = counters["step"], counters["seconds"]
    state.logged_seconds = counters["logged_seconds"]
    state.evaluation_seconds = counters.get("evaluation_seconds", 0.0)
    state.summed, state.memory = counters["summed"], counters["memory"]
    torch.set_rng_state(tensors["rng.cpu"])
    state.latents.set_state(tensors["rng.latents"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
