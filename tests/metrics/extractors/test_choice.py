"""Which extractor is chosen, and what each of them returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic.dataclasses import dataclass
from torch import nn

from ganvas.data.datasets import NPZ, Digits
from ganvas.errors import UsageError
from ganvas.metrics.extractors import choice, classifier, classifier_net, learned
from ganvas.metrics.extractors.choice import check, choose
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.pixels import ImageSet
from ganvas.registry import CHECKED, EXTRACTORS

Choose = Callable[..., Extractor]


@pytest.mark.parametrize("name", ["auto", "random", "pixels"])
def test_features_do_not_depend_on_the_batch(
    name: str, some_digits: Callable[[str], ImageSet], choose_for: Choose
) -> None:
    test = some_digits("test")
    extractor = choose_for(name, test, Digits())
    whole, _ = extractor(test.images)
    parts = [extractor(test.images[:7])[0], extractor(test.images[7:])[0]]
    assert whole.dtype == np.float32 and len(whole) == len(test)
    assert np.array_equal(whole, np.concatenate(parts))


def test_images_without_labels_get_a_net_that_learns_without_and_the_reader_is_told(
    two_kinds: ImageSet, choose_for: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned, "SHOWN", 300)
    bare = ImageSet(two_kinds.images)
    extractor = choose_for("auto", bare)
    assert extractor.name == "learned" and "no labels" in extractor.note
    assert extractor.accuracy is None and extractor(bare.images)[1] is None
    assert extractor.sha256 == choose_for("learned", bare).sha256
    assert choose_for("auto", ImageSet(bare.images[:39])).name == "random"  # too few to learn from


@pytest.mark.parametrize(
    ("name", "dataset", "labelled", "learns"),
    [
        ("auto", Digits(), True, False),
        ("classifier", Digits(), True, False),
        ("learned", Digits(), True, True),
        ("auto", NPZ(path="x.npz"), True, True),
        ("auto", NPZ(path="x.npz"), False, True),
        ("random", NPZ(path="x.npz"), False, False),
    ],
)
def test_whether_a_net_has_to_learn_first(
    name: str, dataset: object, labelled: bool, learns: bool, two_kinds: ImageSet
) -> None:
    images = two_kinds if labelled else ImageSet(two_kinds.images)
    assert choice.learns(name, dataset, images) == learns


def test_how_far_learning_is_can_be_watched(
    two_kinds: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (classifier, learned):
        monkeypatch.setattr(module, "SHOWN", 300)
    seen: list[object] = []
    for name in ("classifier", "learned", "random"):  # the last has nothing to learn
        choose(name, NPZ(path="x.npz"), two_kinds, None, watch=lambda *of: seen.append(of) or of[0])
    assert seen == [(range(0, 300, 60), 300)] * 2


@pytest.mark.parametrize(
    ("labels", "lack"),
    [(None, "no labels"), (np.zeros(120, int), "one class"), (np.arange(20) % 2, "20 labelled")],
)
def test_a_classifier_that_cannot_be_is_refused(
    two_kinds: ImageSet, choose_for: Choose, labels: np.ndarray | None, lack: str
) -> None:
    num = 120 if labels is None else len(labels)
    with pytest.raises(UsageError, match=lack):
        choose_for("classifier", ImageSet(two_kinds.images[:num], labels))


def test_images_too_small_for_a_net(choose_for: Choose) -> None:
    small = ImageSet(np.zeros((50, 1, 4, 4), np.uint8))
    with pytest.raises(UsageError, match="at least 8x8"):
        choose_for("random", small)
    assert choose_for("auto", small).name == "pixels"


def test_pixels_are_the_images_from_0_to_1(two_kinds: ImageSet, choose_for: Choose) -> None:
    found, _ = choose_for("pixels", two_kinds)(two_kinds.images)
    assert np.allclose(found, two_kinds.images.reshape(120, -1) / 255, atol=1e-6)


def test_images_of_another_size_are_resized_and_the_filter_named(
    some_digits: Callable[[str], ImageSet],
) -> None:
    extractor = choose("auto", Digits(), some_digits("train"), None)
    large = np.zeros((3, 3, 64, 64), np.uint8)
    assert extractor(large)[0].shape == (3, classifier_net.ClassifierTraining.widths[-1])
    assert extractor.resizing((3, 64, 64)) == "bicubic 64x64 to 28x28, 1 channels"
    assert extractor.resizing((1, 28, 28)) == "none"


class Mean(nn.Module):
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return images.mean(dim=(2, 3)), None


@pytest.fixture
def mean_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extractor of one's own: one class and one line."""
    EXTRACTORS.names()
    for table in ("_classes", "_names"):
        monkeypatch.setattr(EXTRACTORS, table, dict(getattr(EXTRACTORS, table)))

    @EXTRACTORS.register("mean-colour")
    @dataclass(frozen=True, kw_only=True, config=CHECKED)
    class MeanColour:
        """The mean of each channel."""

        def open(
            self, dataset: object, train: ImageSet, test: ImageSet | None, root: Path | None
        ) -> Extractor:
            return Extractor("mean-colour", "0" * 64, Mean(), channels=3)


@pytest.mark.usefixtures("mean_colour")
def test_an_extractor_of_ones_own_is_one_class(two_kinds: ImageSet) -> None:
    check("mean-colour", "--features")
    found, shares = choose("mean-colour", NPZ(path="x.npz"), two_kinds, None)(two_kinds.images)
    assert found.shape == (120, 3) and shares is None
    assert np.allclose(found[:, 0], two_kinds.images.mean(axis=(1, 2, 3)) / 127.5 - 1, atol=1e-5)


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(UsageError, match="--features: found 'vgg'; known: auto, classifier"):
        check("vgg", "--features")


def test_images_pass_the_net_where_they_are_told(two_kinds: ImageSet) -> None:
    """'meta' computes nothing and returns no numbers, so images that got there stop there."""
    extractor = choose("random", NPZ(path="x.npz"), two_kinds, None, device=torch.device("meta"))
    assert {value.device.type for value in extractor.net.parameters()} == {"meta"}
    with pytest.raises(NotImplementedError, match="meta"):
        extractor(two_kinds.images)
