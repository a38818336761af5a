"""Equal images: the same groups however they are stored, and in time with many millions."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ganvas.data import inspection
from ganvas.data.inspection import Duplicates, inspect
from ganvas.protocols import RawImages


def test_groups_are_the_same_in_an_array_and_in_a_list() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 3, (300, 1, 2, 2), np.uint8)
    labels = rng.integers(0, 2, 300)
    one = inspection._duplicates(RawImages(images, labels, ("a", "b")), ())
    two = inspection._duplicates(RawImages(list(images), labels, ("a", "b")), ())
    assert one == two and len(one) > 50
    by_hand = {}
    for i, image in enumerate(images):
        by_hand.setdefault(image.tobytes(), []).append(str(i))
    assert {group.images for group in one} == {
        tuple(group[:5]) for group in by_hand.values() if len(group) > 1
    }


def test_without_equal_images_there_are_no_groups() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)
    assert inspection._duplicates(RawImages(images), ()) == ()
    assert inspection._duplicates(RawImages(images[:1]), ()) == ()


def test_equal_sums_are_not_taken_for_equal_images(monkeypatch: pytest.MonkeyPatch) -> None:
    class Same:
        def integers(self, high: int, size: int, dtype: type) -> np.ndarray:
            return np.zeros(size, dtype)  # all sums are zero

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Same())
    images = np.array([5, 7, 5, 8, 7, 5], np.uint8).reshape(-1, 1, 1, 1)
    assert inspection._duplicates(RawImages(images), ()) == (
        Duplicates(3, ("0", "2", "5"), ()),
        Duplicates(2, ("1", "4"), ()),
    )


def test_many_tiny_images_take_seconds(tmp_path) -> None:
    """A million; ten million were minutes."""
    images = np.random.default_rng(0).integers(0, 256, (1_000_000, 1, 1), np.uint8)
    np.savez(tmp_path / "many.npz", images=images)
    began = time.process_time()
    found = inspect(tmp_path / "many.npz")
    assert time.process_time() - began < 2.5
    assert found.count == 1_000_000 and found.num_duplicates == 1_000_000 - 256
    assert found.sizes == {"1x1": 1_000_000} and found.channels == {1: 1_000_000}
