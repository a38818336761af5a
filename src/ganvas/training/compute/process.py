"""How the process gets memory for tensors on the processor."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
"""Parameters of mallopt(3), as in GNU's malloc.h."""


def keep_freed_memory() -> None:
    """Have freed memory kept for what is allocated next; from then on, in the whole process.

    A training step allocates and frees the same tensors as the one before. GNU's C library gives
    large ones back to the system at once, which clears every page before it hands it out again:
    up to half of a step. The process then holds what it needed at its most. On systems with
    another C library this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_TRIM_THRESHOLD, -1)  # never
    mallopt(_MMAP_MAX, 0)  # no block with pages of its own
