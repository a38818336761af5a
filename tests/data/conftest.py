"""Every test has an empty cache and no data of the user's; small published sets stand in."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from PIL import Image

from ganvas.data.sources import SOURCES, DataFile

REAL_DATA = os.environ.get("GANVAS_DATA")
UNREACHABLE = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the user's cache; no mirror can be reached."""
    folder = tmp_path / "user-cache"
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(folder))
    monkeypatch.delenv("GANVAS_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    for name, source in SOURCES.items():
        archive = source.archive and replace(source.archive, url=UNREACHABLE + source.archive.name)
        mirrors = (UNREACHABLE,) * len(source.mirrors)
        monkeypatch.setitem(SOURCES, name, replace(source, mirrors=mirrors, archive=archive))
    return folder / "data"


@pytest.fixture
def real_data() -> Path:
    if not REAL_DATA:
        pytest.skip("GANVAS_DATA is not set")
    return Path(REAL_DATA)


def idx(array: np.ndarray) -> bytes:
    magic = {3: 2051, 1: 2049}[array.ndim]
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def small_idx_files(
    name: str, monkeypatch: pytest.MonkeyPatch, num_images: int = 20, first_label: int = 0
) -> dict[str, bytes]:
    """The files of an IDX data set with few images, which SOURCES then takes for the real ones."""
    rng = np.random.default_rng(0)
    contents, files = {}, []
    for file in SOURCES[name].files:
        if file.num_images:
            raw = idx(rng.integers(0, 256, (num_images, 28, 28), np.uint8))
        else:
            raw = idx((np.arange(num_images) % 10 + first_label).astype(np.uint8))
        packed = gzip.compress(raw, mtime=0)
        contents[file.name] = packed
        digests = hashlib.sha256(packed).hexdigest(), hashlib.sha256(raw).hexdigest()
        known = digests if file.sha256 else (None, None)
        few = num_images if file.num_images else 0
        files.append(DataFile(file.name, *known, file.split, few))
    monkeypatch.setitem(SOURCES, name, replace(SOURCES[name], files=tuple(files)))
    return contents


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root that holds a MNIST of 20 images a split, two of each digit."""
    root = tmp_path / "root"
    (root / "mnist").mkdir(parents=True)
    for name, content in small_idx_files("mnist", monkeypatch).items():
        (root / "mnist" / name).write_bytes(content)
    return root


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Writes a one-coloured picture below tmp_path."""

    def write(
        file: str,
        mode: str = "L",
        colour: object = 100,
        size: tuple[int, int] = (6, 5),
        **options: object,
    ) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, colour).save(path, **options)
        return path

    return write
