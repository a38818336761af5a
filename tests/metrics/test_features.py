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

from ganvas.data.alphabet import Alphabet
from ganvas.data.catalogue import open_dataset
from ganvas.data.datasets import NPZ, Digits, EMNISTLetters
from ganvas.errors import UsageError
from ganvas.metrics import classifier, features
from ganvas.pixels import ImageSet
from ganvas.registry import DATASETS

BUNDLED = {  # the least that each may know of the images held out
    "alphabet": 0.99,
    "cifar10": 0.92,
    "digits": 0.99,
    "emnist-letters": 0.9,
    "fashion-mnist": 0.935,
    "mnist": 0.995,
}


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
    assert len(content) <= 2_000_000
    assert card["accuracy"] >= BUNDLED[name]
    shape, num_classes = tuple(card["shape"]), len(card["classes"])
    net = classifier.from_bytes(content, shape, num_classes, name, tuple(card["widths"]))
    assert sum(value.numel() for value in net.parameters()) == card["parameters"]
    found, logits = net(torch.zeros(2, *shape))
    assert found.shape == (2, card["widths"][-1]) and logits.shape == (2, num_classes)


def test_every_bundled_classifier_is_tested() -> None:
    folders = (resources.files("ganvas") / "pretrained").iterdir()
    assert {folder.name for folder in folders} == {f"classifier-{name}" for name in BUNDLED}


@pytest.mark.parametrize(("name", "alike"), [("cifar10", True), ("mnist", False)])
def test_where_pictures_may_be_mirrored_their_features_do_not_change(
    name: str, alike: bool
) -> None:
    extractor = features._bundled(DATASETS.get(name)())
    assert extractor and extractor.shape
    images = np.random.default_rng(0).integers(0, 256, (4, *extractor.shape), np.uint8)
    one, other = extractor(images), extractor(np.ascontiguousarray(images[..., ::-1]))
    assert np.allclose(one.features, other.features, atol=1e-5) == alike
    assert ("mirror image" in extractor.note) == alike


def test_the_accuracy_on_the_digits_is_that_of_the_card() -> None:
    test = some_digits("test")
    extractor = features.choose("auto", Digits(), some_digits("train"), test)
    shares = extractor(test.images).probabilities
    assert shares is not None and np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert np.mean(shares.argmax(axis=1) == test.labels) == extractor.accuracy


@pytest.mark.parametrize("size", [28, 64])
def test_letters_of_either_size_are_known(size: int) -> None:
    dataset = Alphabet(size=size, num_images=2600)
    raw = dataset.load("test", None)
    assert isinstance(raw.images, np.ndarray) and raw.labels is not None
    extractor = features.choose("auto", dataset, ImageSet(raw.images), None)
    assert extractor.name == "classifier-alphabet" and extractor.shape == (1, 28, 28)
    found = extractor(raw.images).probabilities
    assert found is not None
    assert np.mean(found.argmax(axis=1) == raw.labels) > 0.99


@pytest.mark.parametrize("name", ["cifar10", "emnist-letters", "fashion-mnist", "mnist"])
def test_some_real_images_are_known(name: str, real_data: Path) -> None:
    """Every fifth of the first 1,000: of the EMNIST letters, those that were held out."""
    raw = open_dataset(name).load("test", real_data)
    assert isinstance(raw.images, np.ndarray) and raw.labels is not None
    test = ImageSet(raw.images[:1000:5], raw.labels[:1000:5], raw.classes)
    extractor = features.choose("classifier", open_dataset(name), test, test)
    assert extractor.name == f"classifier-{name}" and extractor.accuracy is not None
    shares = extractor(test.images).probabilities
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
    extractor = features.choose("auto", open_dataset(name), test, test)
    shares = extractor(test.images).probabilities
    assert shares is not None
    # sums in another order on another processor may turn an image or two
    assert np.mean(shares.argmax(axis=1) == test.labels) == pytest.approx(
        extractor.accuracy, abs=3 / len(test)
    )


def test_the_letters_at_hand_use_the_same_classifier() -> None:
    letters = ImageSet(np.zeros((2, 1, 28, 28), np.uint8))
    extractors = [
        features.choose("auto", EMNISTLetters(split=split), letters, None)
        for split in ("train", "test")
    ]
    assert extractors[0].sha256 == extractors[1].sha256
    assert extractors[0].name == "classifier-emnist-letters"


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
    assert extractor(large).features.shape == (3, classifier.Recipe.widths[-1])
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
@pytest.mark.parametrize("widths", [(4, 6, 10), classifier.Recipe.widths])
def test_the_classifier_takes_any_shape(
    shape: tuple[int, int, int], widths: classifier.Widths
) -> None:
    net = classifier.untrained(shape, 3, 0, widths)
    found, logits = net(torch.zeros(2, *shape))
    assert found.shape == (2, widths[-1]) and logits.shape == (2, 3)
    content = classifier.to_bytes(net)
    again = classifier.from_bytes(content, shape, 3, "it", widths)
    assert torch.allclose(again(torch.ones(2, *shape))[1], net(torch.ones(2, *shape))[1], atol=1e-2)
    with pytest.raises(UsageError, match="damaged"):
        classifier.from_bytes(content, shape, 4, "it", widths)


def test_the_first_layer_whitens_patches() -> None:
    smooth = np.cumsum(np.random.default_rng(0).normal(size=(200, 1, 12, 12)), axis=3)
    images = torch.from_numpy(smooth.astype(np.float32))
    layer = torch.nn.Conv2d(1, 8, 2)
    classifier.whiten(layer, images)
    with torch.no_grad():
        outputs = layer(images).transpose(0, 1).flatten(1).numpy()
    assert np.allclose(outputs[4:], -outputs[:4], atol=1e-5)
    assert np.allclose(outputs.mean(axis=1), 0, atol=1e-4)
    covariance = np.cov(outputs[:4])
    assert np.allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    # what hardly varies is not blown up to one
    assert (np.diag(covariance) < 1.001).all() and np.diag(covariance)[-1] > 0.99


def test_augmentation_moves_by_whole_pixels_and_mirrors_whom_it_is_told() -> None:
    recipe = classifier.Recipe(turn=0, scale=0, shear=0, shift=0.2, mirror=True)
    images = torch.arange(40.0).view(1, 1, 5, 8).repeat(64, 1, 1, 1) / 20 - 1
    mirrored = torch.arange(64) % 2 == 0
    moved = classifier.augmented(images, recipe, torch.Generator().manual_seed(0), mirrored)
    seen = set()
    for image, flipped in zip(moved, mirrored, strict=True):
        matches = {
            (right, down)
            for right in range(-2, 3)
            for down in range(-1, 2)
            if torch.allclose(image, by_hand(images[0], right, down, bool(flipped)), atol=1e-5)
        }
        assert len(matches) == 1
        seen |= matches
    assert len(seen) > 10  # of 15


def by_hand(image: torch.Tensor, right: int, down: int, mirrored: bool) -> torch.Tensor:
    """Where each pixel of (C, H, W) comes from, reflected at the edges."""
    height, width = image.shape[1:]
    columns = np.pad(np.arange(width), 2, "symmetric")[2 + right : 2 + right + width]
    rows = np.pad(np.arange(height), 2, "symmetric")[2 + down : 2 + down + height]
    moved = image[:, rows.copy()][:, :, columns.copy()]
    return moved.flip(2) if mirrored else moved


def test_training_is_a_function_of_the_seed(two_kinds: ImageSet) -> None:
    assert two_kinds.labels is not None
    a, b, c = (
        classifier.to_bytes(
            classifier.fit(two_kinds.images, two_kinds.labels, 2, images_shown=240, seed=seed)
        )
        for seed in (0, 0, 1)
    )
    assert a == b != c
