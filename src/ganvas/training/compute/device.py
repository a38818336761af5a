"""Where a run is computed."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

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
    forked: AbstractContextManager[None] = torch.random.fork_rng(
        [device] if device.type == "cuda" else []
    )
    return forked
