"""Where a run is computed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from ganvas.errors import UsageError


def device_of(name: str) -> torch.device:
    """The device that `train.device` names; UsageError if this machine has none such."""
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError):
        raise UsageError(
            f"--device: found '{name}', which this machine does not have; "
            f"allowed: {', '.join(_there())}"
        ) from None


def _there() -> list[str]:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return ["auto", "cpu", *([accelerator.type] if accelerator else [])]


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was given, so that a clock can be read."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def own_randomness(device: torch.device) -> AbstractContextManager[None]:
    """Inside, random numbers may be drawn; the process's streams are as before afterwards."""
    devices, kind = ([], None) if device.type == "cpu" else ([device], device.type)
    forked: AbstractContextManager[None] = torch.random.fork_rng(devices, device_type=kind)
    return forked


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of the default streams of the processor and of the device, by kind of device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_random_states(device: torch.device, states: Mapping[str, Tensor]) -> None:
    """Put back what `random_states` gave; KeyError if the device's is not among them."""
    torch.set_rng_state(states["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[device.type], device)
