"""Settings of the whole process that make training on a processor faster, while it lasts."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch

_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
"""Parameters of mallopt(3), as in GNU's malloc.h."""
_TRIM_USUAL: Final = 128 * 1024
_MMAP_USUAL: Final = 65536
"""Their values in a process that never set them."""

_PAUSE_HARD: Final = 2
"""As in OpenMP's omp.h."""


@contextmanager
def tuned_process(device: torch.device) -> Iterator[None]:
    """Freed memory is kept and the smallest floats count as zero; put back when a run ends.

    Gradients of a D that wins sink below the smallest normal floats, with which processors are
    twenty times slower. A thread of torch's takes the setting over from the one that starts it,
    and keeps it; so they are started anew, now and when the run ends.
    """
    flushed = flushes_denormals()
    torch.set_flush_denormal(True)
    end_worker_threads()
    if device.type == "cpu":
        keep_freed_memory()
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        end_worker_threads()
        if device.type == "cpu":
            give_back_memory()


def flushes_denormals() -> bool:
    """Whether this thread takes floats below the smallest normal one for zero."""
    return float(torch.tensor([1e-38]) * 1e-4) == 0.0


def end_worker_threads() -> None:
    """End the threads among which torch divides its work; the next work starts them anew.

    They belong to GNU's OpenMP, which comes with torch; where there is another this does nothing.
    """
    package = Path(torch.__file__).parent
    for library in (*package.glob("lib/libgomp*.so*"), *package.parent.glob("torch.libs/libgomp*")):
        try:
            ctypes.CDLL(str(library)).omp_pause_resource_all(_PAUSE_HARD)
        except (AttributeError, OSError, TypeError):
            continue


def keep_freed_memory() -> None:
    """Have freed memory kept for what is allocated next.

    A training step allocates and frees the same tensors as the one before. GNU's C library gives
    large ones back to the system at once, which clears every page before it hands it out again:
    up to half of a step. The process then holds what it needed at its most. On systems with
    another C library this does nothing.
    """
    _set_malloc(trim_threshold=-1, mmap_max=0)  # never trimmed; no block with pages of its own


def give_back_memory() -> None:
    """The usual settings again, and what is free now goes back to the system."""
    _set_malloc(trim_threshold=_TRIM_USUAL, mmap_max=_MMAP_USUAL, trim=True)


def _set_malloc(*, trim_threshold: int, mmap_max: int, trim: bool = False) -> None:
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, trim_threshold)
        library.mallopt(_MMAP_MAX, mmap_max)
        if trim:
            library.malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
