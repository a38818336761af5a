"""Which training images no feature net learns from, so that real images can stand in for fakes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ganvas.seeds import stream

SHARE: Final = 0.2
"""Of the training images, where there are test images besides."""


def spared(num: int, has_test: bool) -> NDArray[np.bool_]:
    """(num,): True for the training images that are spared, the same ones each time.

    Without test images it is one half, and the other half is what fakes are compared with.
    """
    share = SHARE if has_test else 0.5
    order = np.random.default_rng(stream(0, "spared")).permutation(num)
    found = np.zeros(num, bool)
    found[order[num - round(num * share) :]] = True
    return found
