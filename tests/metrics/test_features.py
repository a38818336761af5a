"""Feature extractors: what they return, which one is chosen, what is kept for next time."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch

from ganvas.data.catalogue import open_dataset
from ganvas.data.datasets import NPZ, Digits
from ganvas.errors import UsageError
from ganvas.images import ImageSet
from ganvas.metrics import classifier, features

BUNDLED = ["digits", "mnist"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def two_kinds() -> ImageSet:
    """Noise on dark and on bright ground, 120 images of 8x8."""
    labels = np.arange(120) % 2
    noise = np.random.default_rng(0).integers(0, 80, (120, 1, 8, 8))
    images = (noise + 170 * labels[:, None, None, None]).astype(np.uint8)
    return ImageSet(images, labels, ("dark", "bright"))


def some_digits(split: str) -> ImageSet:
    raw = Digits().load("train" if split == "train" else "test", None)
    assert isinstance(raw.images, np.ndarray)
    return ImageSet(raw.images, raw.labels, raw.classes)


def choose(choice: features.Choice, train: ImageSet, dataset: object = None) -> features.Extractor:
    return features.choose(choice, dataset or NPZ(path="x.npz"), train, None)


@pytest.mark.parametrize("choice", ["auto", "random", "pixels"])
def test_features_do_not_depend_on_the_batch(choice: features.Choice) -> None:
    test = some_digits("test")
    extractor = choose(choice, test, Digits())
    whole = extractor(test.images)
    parts = [extractor(test.images[:7]), extractor(test.images[7:])]
    assert whole.features.dtype == np.float32 and len(whole.features) == len(test)
    assert np.array_equal(whole.features, np.concatenate([part.features for part in parts]))


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_classifier_is_what_its_card_says(name: str) -> None:
    folder = resources.files("ganvas") / "pretrained" / f"classifier-{name}"
    card = json.loads((folder / "card.json").read_text())
    content = (folder / "model.safetensors").read_bytes()
    assert classifier.sha256(content) == card["sha256"]
    assert len(content) < 2 << 20
    assert card["accuracy"] > 0.98
    net = classifier.from_bytes(content, tuple(card["shape"]), len(card["classes"]), name)
    assert sum(value.numel() for value in net.parameters()) == card["parameters"]


def test_the_accuracy_on_the_digits_is_that_of_the_card() -> None:
    test = some_digits("test")
    extractor = features.choose("auto", Digits(), some_digits("train"), test)
    shares = extractor(test.images).probabilities
    assert shares is not None and np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert np.mean(shares.argmax(axis=1) == test.labels) == extractor.accuracy


@pytest.mark.slow
def test_the_accuracy_on_mnist_is_that_of_the_card(real_data: Path) -> None:
    raw = open_dataset("mnist").load("test", real_data)
    assert isinstance(raw.images, np.ndarray)
    test = ImageSet(raw.images, raw.labels, raw.classes)
    extractor = features.choose("auto", open_dataset("mnist"), test, test)
    shares = extractor(test.images).probabilities
    assert shares is not None
    assert np.mean(shares.argmax(axis=1) == test.labels) == extractor.accuracy


def test_a_classifier_for_other_images_is_trained_once(
    two_kinds: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHOWN", 1500)
    first = choose("auto", two_kinds)
    assert first.name == "classifier" and first.accuracy == 1.0
    monkeypatch.setattr(classifier, "fit", None)  # a second training would fail
    again = choose("auto", two_kinds)
    assert (again.sha256, again.accuracy) == (first.sha256, first.accuracy)
    a, b = (e(two_kinds.images) for e in (first, again))
    assert np.array_equal(a.features, b.features)


def test_a_damaged_classifier_in_the_cache_is_trained_anew(
    two_kinds: ImageSet, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHOWN", 300)
    first = choose("auto", two_kinds)
    (weights,) = cache.rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert choose("auto", two_kinds).sha256 == first.sha256


def test_images_without_labels_get_a_random_net_and_the_reader_is_told(
    two_kinds: ImageSet,
) -> None:
    bare = ImageSet(two_kinds.images)
    extractor = choose("auto", bare)
    assert extractor.name == "random" and "no labels" in extractor.note
    assert extractor.accuracy is None and extractor(bare.images).probabilities is None
    assert extractor.sha256 == choose("random", bare).sha256


@pytest.mark.parametrize(
    ("labels", "lack"),
    [(None, "no labels"), (np.zeros(120, int), "one class"), (np.arange(20) % 2, "20 labelled")],
)
def test_a_classifier_that_cannot_be_is_refused(
    two_kinds: ImageSet, labels: np.ndarray | None, lack: str
) -> None:
    num = 120 if labels is None else len(labels)
    with pytest.raises(UsageError, match=lack):
        choose("classifier", ImageSet(two_kinds.images[:num], labels))


def test_images_too_small_for_a_net() -> None:
    small = ImageSet(np.zeros((50, 1, 4, 4), np.uint8))
    with pytest.raises(UsageError, match="at least 8x8"):
        choose("random", small)
    assert choose("auto", small).name == "pixels"


def test_pixels_are_the_images_from_0_to_1(two_kinds: ImageSet) -> None:
    found = choose("pixels", two_kinds)(two_kinds.images).features
    assert np.allclose(found, two_kinds.images.reshape(120, -1) / 255, atol=1e-6)


def test_images_of_another_size_are_resized_and_the_filter_named() -> None:
    extractor = features.choose("auto", Digits(), some_digits("train"), None)
    large = np.zeros((3, 3, 64, 64), np.uint8)
    assert extractor(large).features.shape == (3, classifier.DIMS)
    assert extractor.resizing((3, 64, 64)) == "bicubic 64x64 to 28x28, 1 channels"
    assert extractor.resizing((1, 28, 28)) == "none"


def test_features_of_real_images_are_computed_once(two_kinds: ImageSet) -> None:
    extractor = choose("random", two_kinds)
    first = features.of_real(extractor, two_kinds.images)
    again = features.of_real(replace(extractor, run=None), two_kinds.images)  # type: ignore[arg-type]
    assert np.array_equal(first.features, again.features)
    with pytest.raises(TypeError):  # other images are not found
        features.of_real(replace(extractor, run=None), two_kinds.images[:9])  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (4, 9, 65)])
def test_the_classifier_takes_any_shape(shape: tuple[int, int, int]) -> None:
    net = classifier.untrained(shape, 3, 0)
    found, logits = net(torch.zeros(2, *shape))
    assert found.shape == (2, classifier.DIMS) and logits.shape == (2, 3)
    content = classifier.to_bytes(net)
    again = classifier.from_bytes(content, shape, 3, "it")
    assert torch.allclose(again(torch.ones(2, *shape))[1], net(torch.ones(2, *shape))[1], atol=1e-2)
    with pytest.raises(UsageError, match="damaged"):
        classifier.from_bytes(content, shape, 4, "it")


def test_training_is_a_function_of_the_seed(two_kinds: ImageSet) -> None:
    assert two_kinds.labels is not None
    a, b, c = (
        classifier.to_bytes(
            classifier.fit(two_kinds.images, two_kinds.labels, 2, images_shown=240, seed=seed)
        )
        for seed in (0, 0, 1)
    )
    assert a == b != c
