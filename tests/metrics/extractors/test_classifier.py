"""Classifiers that come with the package, and those that are trained on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganvas.data.alphabet import Alphabet
from ganvas.data.catalogue import open_dataset
from ganvas.data.datasets import NPZ, Digits, EMNISTLetters
from ganvas.metrics.cache import sha256
from ganvas.metrics.extractors import classifier, classifier_net
from ganvas.metrics.extractors.choice import choose
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.metrics.extractors.spared import spared
from ganvas.pixels import ImageSet
from ganvas.registry import DATASETS

NONE = np.zeros((1, 1, 8, 8), np.uint8)
Choose = Callable[..., Extractor]
BUNDLED = {  # the least that each may know of the images held out
    "alphabet": 0.99,
    "cifar10": 0.92,
    "digits": 0.99,
    "emnist-letters": 0.9,
    "fashion-mnist": 0.935,
    "mnist": 0.995,
}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_classifier_is_what_its_card_says(name: str) -> None:
    folder = resources.files("ganvas") / "pretrained" / f"classifier-{name}"
    card = json.loads((folder / "card.json").read_text())
    content = (folder / "model.safetensors").read_bytes()
    assert sha256(content) == card["sha256"]
    assert len(content) <= 2_000_000
    assert card["accuracy"] >= BUNDLED[name]
    shape, num_classes = tuple(card["shape"]), len(card["classes"])
    net = classifier_net.from_bytes(content, shape, num_classes, name, tuple(card["widths"]))
    assert sum(value.numel() for value in net.parameters()) == card["parameters"]
    found, logits = net(torch.zeros(2, *shape))
    assert found.shape == (2, card["widths"][-1]) and logits.shape == (2, num_classes)


def test_every_bundled_classifier_is_tested() -> None:
    folders = (resources.files("ganvas") / "pretrained").iterdir()
    found = {folder.name for folder in folders if folder.name.startswith("classifier-")}
    assert found == {f"classifier-{name}" for name in BUNDLED}


@pytest.mark.parametrize(("name", "alike"), [("cifar10", True), ("mnist", False)])
def test_where_pictures_may_be_mirrored_their_features_do_not_change(
    name: str, alike: bool
) -> None:
    extractor = choose("classifier", DATASETS.get(name)(), ImageSet(NONE), None)
    assert extractor.shape
    images = np.random.default_rng(0).integers(0, 256, (4, *extractor.shape), np.uint8)
    (one, _), (other, _) = extractor(images), extractor(np.ascontiguousarray(images[..., ::-1]))
    assert np.allclose(one, other, atol=1e-5) == alike
    assert ("mirror image" in extractor.note) == alike


def test_the_accuracy_on_the_digits_is_that_of_the_card(
    some_digits: Callable[[str], ImageSet],
) -> None:
    test = some_digits("test")
    extractor = choose("auto", Digits(), some_digits("train"), test)
    shares = extractor(test.images)[1]
    assert shares is not None and np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert np.mean(shares.argmax(axis=1) == test.labels) == extractor.accuracy


@pytest.mark.parametrize("size", [28, 64])
def test_letters_of_either_size_are_known(size: int) -> None:
    dataset = Alphabet(size=size, num_images=2600)
    raw = dataset.load("test", None)
    assert isinstance(raw.images, np.ndarray) and raw.labels is not None
    extractor = choose("auto", dataset, ImageSet(raw.images), None)
    assert extractor.name == "classifier-alphabet" and extractor.shape == (1, 28, 28)
    found = extractor(raw.images)[1]
    assert found is not None
    assert np.mean(found.argmax(axis=1) == raw.labels) > 0.99


@pytest.mark.parametrize("name", ["cifar10", "emnist-letters", "fashion-mnist", "mnist"])
def test_some_real_images_are_known(name: str, real_data: Path) -> None:
    """Every fifth of the first 1,000: of the EMNIST letters, those that were held out."""
    raw = open_dataset(name).load("test", real_data)
    assert isinstance(raw.images, np.ndarray) and raw.labels is not None
    test = ImageSet(raw.images[:1000:5], raw.labels[:1000:5], raw.classes)
    extractor = choose("classifier", open_dataset(name), test, test)
    assert extractor.name == f"classifier-{name}" and extractor.accuracy is not None
    shares = extractor(test.images)[1]
    assert shares is not None
    wrong = np.sum(shares.argmax(axis=1) != test.labels)
    expected = len(test) * (1 - extractor.accuracy)
    assert wrong <= expected + 4 * np.sqrt(expected + 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar10", "emnist-letters", "fashion-mnist", "mnist"])
def test_the_accuracy_on_real_images_is_that_of_the_card(name: str, real_data: Path) -> None:
    raw = open_dataset(name).load("test", real_data)
    assert isinstance(raw.images, np.ndarray) and raw.labels is not None
    every = 5 if name == "emnist-letters" else 1
    test = ImageSet(raw.images[::every], raw.labels[::every], raw.classes)
    extractor = choose("auto", open_dataset(name), test, test)
    shares = extractor(test.images)[1]
    assert shares is not None
    # sums in another order on another processor may turn an image or two
    assert np.mean(shares.argmax(axis=1) == test.labels) == pytest.approx(
        extractor.accuracy, abs=3 / len(test)
    )


def test_the_letters_at_hand_use_the_same_classifier() -> None:
    letters = ImageSet(np.zeros((2, 1, 28, 28), np.uint8))
    extractors = [
        choose("auto", EMNISTLetters(split=split), letters, None) for split in ("train", "test")
    ]
    assert extractors[0].sha256 == extractors[1].sha256
    assert extractors[0].name == "classifier-emnist-letters"


def test_a_classifier_for_other_images_is_trained_once(
    two_kinds: ImageSet, choose_for: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "SHOWN", 1500)
    first = choose_for("auto", two_kinds)
    assert first.name == "classifier" and first.accuracy == 1.0
    assert first.described == (
        "classifier: trained here on 60 training images, right on 100 % of 60 others"
    )
    monkeypatch.setattr(classifier_net, "fit", None)  # a second training would fail
    again = choose_for("auto", two_kinds)
    assert (again.sha256, again.accuracy) == (first.sha256, first.accuracy)
    (a, _), (b, _) = (extractor(two_kinds.images) for extractor in (first, again))
    assert np.array_equal(a, b)


def test_a_damaged_classifier_in_the_cache_is_trained_anew(
    two_kinds: ImageSet, choose_for: Choose, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "SHOWN", 300)
    first = choose_for("auto", two_kinds)
    (kept,) = (cache / "metrics" / "classifiers").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] + b"\x01")
    assert choose_for("auto", two_kinds).sha256 == first.sha256


def test_it_learns_from_no_image_that_is_spared(
    two_kinds: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor from test images, which tell its accuracy; and classes that alternate are all learnt."""
    seen: list[np.ndarray] = []

    def fit(images: np.ndarray, labels: np.ndarray, *rest: Any, **options: Any) -> Any:
        seen.append(images)
        assert set(labels) == {0, 1}
        return classifier_net.untrained((1, 8, 8), 2, 0)

    monkeypatch.setattr(classifier_net, "fit", fit)
    test = ImageSet(255 - two_kinds.images[:30], two_kinds.labels[:30])  # type: ignore[index]
    for has_test, told in ((False, "60 others"), (True, "30 others")):
        extractor = choose("classifier", NPZ(path="x"), two_kinds, test if has_test else None)
        known = two_kinds.images[~spared(120, has_test)]
        assert {image.tobytes() for image in seen.pop()} == {image.tobytes() for image in known}
        assert extractor.described.endswith(told)
        assert (extractor.learnt, extractor.spares) == ("train", True)


@pytest.mark.parametrize(
    ("dataset", "learnt"),
    [(Digits(), "train"), (EMNISTLetters(split="test"), "train"), (EMNISTLetters(), "test")],
    ids=str,
)
def test_which_split_a_bundled_classifier_has_seen(dataset: object, learnt: str) -> None:
    extractor = choose("classifier", dataset, ImageSet(NONE), None)
    assert (extractor.learnt, extractor.spares) == (learnt, False)
