"""Small real images and features for the metric tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits


class Digits(NamedTuple):
    """8x8 digits in [0, 1], cut into two disjoint sets of one size."""

    real: NDArray[np.float64]
    fake: NDArray[np.float64]
    real_labels: NDArray[np.int64]
    fake_labels: NDArray[np.int64]


@pytest.fixture(scope="session")
def digits() -> Digits:
    data = load_digits()
    order = np.random.default_rng(0).permutation(1796)
    images, labels = data.images[order] / 16, data.target[order].astype(np.int64)
    return Digits(images[::2], images[1::2], labels[::2], labels[1::2])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
