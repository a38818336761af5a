"""What the rules are told of a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganvas.config import Preprocess
from ganvas.config.fitting import Facts
from ganvas.data.datasets import MNIST, NPZ
from ganvas.data.facts import facts_of, read_facts
from ganvas.protocols import RawImages


def test_images_of_many_sizes() -> None:
    images = [np.zeros((1, *size), np.uint8) for size in ((4, 5), (6, 7), (6, 7))]
    assert facts_of(RawImages(images)) == Facts(3, {(6, 7): 2, (4, 5): 1})
    assert list(facts_of(RawImages(images)).sizes) == [(6, 7), (4, 5)]


def test_classes_and_the_first_images_alone(tmp_path: Path) -> None:
    labels = np.array([0, 1, 1, 1, 2])
    np.savez(tmp_path / "x.npz", images=np.zeros((5, 8, 9), np.uint8), labels=labels)
    data = NPZ(path=str(tmp_path / "x.npz"))
    facts, raw = read_facts(data, Preprocess())
    assert facts == Facts(5, {(8, 9): 5}, (1, 3, 1))
    assert raw is not None and len(raw.images) == 5
    facts, raw = read_facts(data, Preprocess(first=3))
    assert facts.count == 3
    assert raw is not None and len(raw.images) == 5  # what a run makes of them is not done yet


def test_nothing_is_fetched_to_look_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganvas.data.facts.show", lambda name, root: {"missing": ("a file",)})
    found = read_facts(MNIST(), Preprocess(), fetch=False)
    assert found == (Facts(60_000, {(28, 28): 60_000}), None)
