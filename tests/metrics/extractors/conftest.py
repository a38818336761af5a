"""Fixtures for the extractors: an empty cache, small labelled sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from ganvas.data.datasets import NPZ, Digits
from ganvas.metrics.extractors.choice import choose
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.pixels import ImageSet

Choose = Callable[..., Extractor]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def two_kinds() -> ImageSet:
    """Noise on dark and on bright ground, 120 images of 8x8."""
    labels = np.arange(120) % 2
    noise = np.random.default_rng(0).integers(0, 80, (120, 1, 8, 8))
    images = (noise + 170 * labels[:, None, None, None]).astype(np.uint8)
    return ImageSet(images, labels, ("dark", "bright"))


@pytest.fixture(scope="session")
def some_digits() -> Callable[[str], ImageSet]:
    def load(split: str) -> ImageSet:
        raw = Digits().load("train" if split == "train" else "test", None)
        assert isinstance(raw.images, np.ndarray)
        return ImageSet(raw.images, raw.labels, raw.classes)

    return load


@pytest.fixture(scope="session")
def choose_for() -> Choose:
    """choose_for("auto", images) for a set of one's own."""

    def make(name: str, train: ImageSet, dataset: object = None) -> Extractor:
        return choose(name, dataset or NPZ(path="x.npz"), train, None)

    return make
