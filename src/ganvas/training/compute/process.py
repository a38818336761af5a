"""Settings of the whole process that make training on a processor faster, while it lasts."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import torch

_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
"""Parameters of mallopt(3), as in GNU's malloc.h."""
_TRIM_USUAL: Final = 128 * 1024
_MMAP_USUAL: Final = 65536
"""Their values in a process that never set them."""


@contextmanager
def tuned_process(device: torch.device) -> Iterator[None]:
    """Freed memory is kept and the smallest floats count as zero; put back when a run ends.

    Gradients of a D that wins sink below the smallest normal floats, with which processors are
    twenty times slower. Enter before torch starts its threads: each takes the setting over from
    the one that starts it, and keeps it.
    """
    flushed = _flushes_denormals()
    torch.set_flush_denormal(True)
    mallopt = _mallopt() if device.type == "cpu" else None
    if mallopt:
        keep_freed_memory(mallopt)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        if mallopt:
            give_back_memory(mallopt)


def _flushes_denormals() -> bool:
    tiny = torch.tensor([1e-38], dtype=torch.float32)
    return float(tiny * 1e-4) == 0.0


def _mallopt() -> Callable[[int, int], int] | None:
    """The setter of GNU's C library; None on systems with another one."""
    try:
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return None


def keep_freed_memory(mallopt: Callable[[int, int], int]) -> None:
    """Have freed memory kept for what is allocated next.

    A training step allocates and frees the same tensors as the one before. GNU's C library gives
    large ones back to the system at once, which clears every page before it hands it out again:
    up to half of a step. The process then holds what it needed at its most.
    """
    mallopt(_TRIM_THRESHOLD, -1)  # never
    mallopt(_MMAP_MAX, 0)  # no block with pages of its own


def give_back_memory(mallopt: Callable[[int, int], int]) -> None:
    """The usual settings again, and what is free now goes back to the system."""
    mallopt(_TRIM_THRESHOLD, _TRIM_USUAL)
    mallopt(_MMAP_MAX, _MMAP_USUAL)
    ctypes.CDLL(None).malloc_trim(0)
