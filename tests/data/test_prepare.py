from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.config import Preprocess
from ganvas.data.datasets import MNIST
from ganvas.data.prepare import load_images
from ganvas.errors import UsageError
from ganvas.pixels import fingerprint, to_channels
from ganvas.protocols import RawImages

NOISE = np.random.default_rng(0).integers(0, 256, (5, 4, 12, 10), np.uint8)


@dataclass
class Given:
    raw: RawImages
    known = None

    def load(self, split: str, root: Path | None) -> RawImages:
        return self.raw


def load(images, **settings) -> np.ndarray:
    return load_images(Given(RawImages(images)), Preprocess(**settings)).images


def test_as_they_are(small_mnist: Path) -> None:
    raw = MNIST().load("train", small_mnist)
    found = load_images(MNIST(), Preprocess(), "train", small_mnist)
    assert (found.images == raw.images).all() and found.shape == (1, 28, 28) and len(found) == 20
    assert (found.labels == raw.labels).all() and found.classes == raw.classes
    torch.from_numpy(found.images)  # warns if the array cannot be written


def test_first() -> None:
    raw = RawImages(NOISE, np.arange(5), tuple("abcde"))
    found = load_images(Given(raw), Preprocess(first=3))
    assert (
        len(found) == 3 and found.labels.tolist() == [0, 1, 2] and found.classes == tuple("abcde")
    )
    assert len(load(NOISE, first=100)) == 5


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
def test_resize_is_pillows(channels: int, name: str) -> None:
    images = NOISE[:, :channels]
    found = load(images, image_size=(6, 20), filter=name)
    assert found.shape == (5, channels, 6, 20)
    pixels = images[3, 0] if channels == 1 else images[3].transpose(1, 2, 0)
    expected = Image.fromarray(np.ascontiguousarray(pixels)).resize(
        (20, 6), Image.Resampling[name.upper()]
    )
    assert (np.atleast_3d(np.asarray(expected)).transpose(2, 0, 1) == found[3]).all()


def test_resize_of_more_than_one_part() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2500, 1, 4, 4), np.uint8)
    found = load(images, image_size=8, filter="nearest")
    assert (found[:, :, ::2, ::2] == images).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_channels(mode: str) -> None:
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    rgb = Image.fromarray(np.ascontiguousarray(NOISE[0, :3].transpose(1, 2, 0)))
    expected = np.atleast_3d(np.asarray(rgb.convert(mode))).transpose(2, 0, 1)
    assert (load(NOISE[:, :3], channels=channels)[0] == expected).all()


def test_alpha_is_laid_over_black() -> None:
    expected = np.rint(NOISE[:, :3] * (NOISE[:, 3:] / 255.0))
    assert np.abs(load(NOISE, channels=3) - expected).max() <= 1
    assert (load(NOISE, channels=1) == to_channels(load(NOISE, channels=3), 1)).all()


def test_grey_to_more() -> None:
    grey = NOISE[:, :1]
    assert (load(grey, channels=3) == grey).all()
    assert (load(grey, channels=4)[:, 3] == 255).all()


def test_ragged_sizes() -> None:
    sizes = [(8, 6)] * 3 + [(5, 5)] * 2 + [(4, 4), (3, 3)]
    images = [np.full((1, *size), i, np.uint8) for i, size in enumerate(sizes)]
    with pytest.raises(UsageError) as error:
        load(images)
    expected = "8x6 (3), 5x5 (2), 4x4 (1) and 1 more; give one size"
    assert expected in str(error.value) and "--image-size 6" in str(error.value)
    found = load(images, image_size=4)
    assert found.shape == (7, 1, 4, 4) and found[:, 0, 0, 0].tolist() == list(range(7))
    assert load(images, first=3).shape == (3, 1, 8, 6)


def test_ragged_channels() -> None:
    images = [NOISE[0, :1], NOISE[1, :3]]
    with pytest.raises(UsageError, match=r"differ in channels: 1 \(1\), 3 \(1\)"):
        load(images)
    assert load(images, channels=3).shape == (2, 3, 12, 10)


def test_too_little_data() -> None:
    with pytest.raises(UsageError, match="found 1 images; at least 2"):
        load(NOISE[:1])
    with pytest.raises(UsageError, match="preprocess.first leaves no more"):
        load(NOISE, first=1)


def test_fingerprint() -> None:
    same = fingerprint(NOISE)
    assert same == fingerprint(NOISE.copy()) == fingerprint(np.asfortranarray(NOISE))
    assert len(same) == 64
    assert same != fingerprint(NOISE.reshape(5, 4, 10, 12))
    other = NOISE.copy()
    other[4, 3, 11, 9] ^= 1
    assert same != fingerprint(other)
