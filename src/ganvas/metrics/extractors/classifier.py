"""Features of a small classifier: one that comes with a data set, or one trained on the spot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.errors import UsageError
from ganvas.metrics import cache
from ganvas.metrics.extractors import classifier_net, taught
from ganvas.metrics.extractors.extractor import Extractor, Watch, unwatched
from ganvas.metrics.extractors.spared import spared
from ganvas.metrics.extractors.stacked import is_stacked, of_stacks, single
from ganvas.pixels import ImageSet, fingerprint
from ganvas.registry import CHECKED, EXTRACTORS
from ganvas.seeds import stream

SHOWN: Final = 24_000
"""Images shown to a classifier that is trained on the spot: half a minute of one processor core."""
TESTED: Final = 2_000
"""Images, at most, that tell the accuracy of a classifier that is trained on the spot."""
FEWEST: Final = 40
"""Least labelled images to train a classifier on."""


@EXTRACTORS.register("classifier")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ClassifierFeatures:
    """Features of a classifier that comes with the data set, or is trained on it (Jordan 2024)."""

    learns: ClassVar[bool] = True

    def open(
        self,
        dataset: object,
        train: ImageSet,
        test: ImageSet | None,
        root: Path | None,
        *,
        watch: Watch = unwatched,
    ) -> Extractor:
        """Raises UsageError where there are no labels, one class or too few images."""
        if folder := bundled(dataset):
            found = _read(folder, dataset)
            return of_stacks(found) if is_stacked(dataset) else found
        if lack := lacking(train):
            raise UsageError(f"--features classifier: the training images have {lack}")
        return _trained(train, test, watch)


class ClassifierView(nn.Module):
    """Features and probabilities; with `mirrored`, means over an image and its mirror image."""

    def __init__(self, net: classifier_net.Classifier, mirrored: bool = False) -> None:
        super().__init__()
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mirrored = mirrored

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        views = [images, images.flip(3)] if self.mirrored else [images]
        layout = torch.channels_last
        found = [self.net.features(view.contiguous(memory_format=layout)) for view in views]
        features = torch.stack(found).mean(dim=0)
        return features, self.net.logits(features).softmax(dim=1)


def lacking(train: ImageSet) -> str:
    """What images lack to train a classifier on; empty if nothing."""
    if train.labels is None:
        return "no labels"
    if len(np.unique(train.labels)) < 2:
        return "one class only"
    if len(train) < FEWEST:
        return f"{len(train)} labelled images, fewer than {FEWEST}"
    return ""


def bundled(dataset: object) -> Traversable | None:
    """The folder of the classifier that comes with a data set, in any of its settings.

    Those change which images there are and their size, not what they show.
    """
    name = f"classifier-{single(dataset)}"
    folder = resources.files("ganvas") / "pretrained" / name
    return folder if (folder / "card.json").is_file() else None


def _read(folder: Traversable, dataset: object) -> Extractor:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    content = (folder / "model.safetensors").read_bytes()
    if cache.sha256(content) != card["sha256"]:
        raise UsageError(f"'{folder}' is damaged: its weights are not those that its card names")
    extractor = of_card(card, content, folder.name, f"'{folder}'")
    # the split that was published as this one may be the one that the data set trains on
    published = getattr(dataset, "split", "train")
    known = card["training"].get("split", "train")
    return replace(extractor, learnt="train" if known == published else "test")


def of_card(card: Mapping[str, Any], content: bytes, name: str, what: str) -> Extractor:
    """The classifier that a card describes, of weights in safetensors; errors name it `what`."""
    channels, height, width = card["shape"]
    first, second, third = card["widths"]
    shape, widths = (channels, height, width), (first, second, third)
    net = classifier_net.from_bytes(content, shape, len(card["classes"]), what, widths)
    mirrored = card.get("mirrored", False)
    return Extractor(
        name,
        card["sha256"],
        ClassifierView(net, mirrored),
        shape,
        accuracy=card["accuracy"],
        num_test=card["num_test"],
        note="means over an image and its mirror image" if mirrored else "",
    )


def _trained(train: ImageSet, test: ImageSet | None, watch: Watch) -> Extractor:
    """A classifier of these images, trained now or kept from an earlier time."""
    assert train.labels is not None
    fresh = spared(len(train), test is not None)
    others = ImageSet(train.images[fresh], train.labels[fresh])
    if test is not None and test.labels is not None:
        others = test

    def teach() -> tuple[dict[str, Any], bytes]:
        known = taught.lesson(train, test is not None, SHOWN)
        assert known.labels is not None and others.labels is not None
        card, content = taught.learnt(known.images, known.labels, train.num_classes, SHOWN, watch)
        card |= {
            "classes": list(map(str, range(train.num_classes))),
            "widths": taught.TRAINING.widths,
            "num_test": min(TESTED, len(others)),
            "accuracy": None,
        }
        order = np.random.default_rng(stream(0, "tested")).permutation(len(others))
        rows = order[: card["num_test"]]
        _, shares = of_card(card, content, "classifier", "the classifier")(others.images[rows])
        assert shares is not None
        card["accuracy"] = float(np.mean(shares.argmax(axis=1) == others.labels[rows]))
        return card, content

    key = (
        *map(fingerprint, (train.images, others.images)),
        *(cache.sha256(of.labels.tobytes()) for of in (train, others) if of.labels is not None),
        repr((TESTED, SHOWN, taught.PASSES, train.num_classes)),
        cache.source_of(__name__),
    )
    card, content = taught.kept("classifiers", key, teach)
    extractor = of_card(card, content, "classifier", "the classifier in the cache")
    note = f"trained here on {card['num_train']:,} training images"
    return replace(extractor, note=note, learnt="train", spares=True)
