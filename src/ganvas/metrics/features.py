"""Feature extractors: what images are turned into before they are compared."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from ganvas.errors import RunError, UsageError
from ganvas.files import write_file
from ganvas.images import to_float
from ganvas.metrics import classifier, inception
from ganvas.pixels import ImageSet, Pixels, Shape, fingerprint, resize, to_channels
from ganvas.registry import DATASETS

Choice = Literal["auto", "classifier", "random", "pixels", "inception"]
Array = NDArray[np.float32]

BLOCK: Final = 64
"""Images that pass a net together; the last block is filled up, so that every block is alike."""
HELD_OUT: Final = 5
"""Without a test split, every so many-th training image tells the classifier's accuracy."""
SHOWN: Final = 120_000
"""Images shown to a classifier that is trained on the spot, at most 60 times the training set."""
FEWEST: Final = 40
"""Least labelled images to train a classifier on."""


@dataclass(frozen=True)
class Found:
    """What an extractor made of some images."""

    features: Array
    """(N, d)"""
    probabilities: Array | None
    """(N, classes); only classifiers have them."""


@dataclass(frozen=True)
class Extractor:
    """From uint8 images (N, C, H, W) to features (N, d)."""

    name: str
    sha256: str
    """Of its weights; of its name where it has none."""
    run: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    """A block of images in [-1, 1] to features and probabilities."""
    shape: Shape | None = None
    """The images it is made for; others are converted. None: any."""
    accuracy: float | None = None
    """A classifier's, on images that it was not trained on."""
    note: str = ""
    """What a reader should know of it."""
    is_inception: bool = False
    """Whether numbers have the names that are kept for Inception's features."""
    block: int = BLOCK
    """Images that pass it together."""
    watch: Callable[[range, int], Iterable[int]] | None = None
    """Is given the first image of each block and the number of images, and shows how far it is."""

    @classmethod
    def of_classifier(
        cls,
        net: classifier.Classifier,
        content: bytes,
        name: str,
        shape: Shape,
        mirrored: bool = False,
    ) -> Extractor:
        """The net's features; with `mirrored`, their means over an image and its mirror image."""
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def run(images: Tensor) -> tuple[Tensor, Tensor | None]:
            views = [images, images.flip(3)] if mirrored else [images]
            found = [net.features(v.contiguous(memory_format=torch.channels_last)) for v in views]
            features = torch.stack(found).mean(dim=0)
            return features, net.logits(features).softmax(dim=1)

        note = "means over an image and its mirror image" if mirrored else ""
        return cls(name, classifier.sha256(content), run, shape, note=note)

    def __call__(self, images: Pixels) -> Found:
        features, probabilities = [], []
        with torch.inference_mode():
            starts = range(0, len(images), self.block)
            for start in self.watch(starts, len(images)) if self.watch else starts:
                some = self.prepared(images[start : start + self.block])
                block = np.zeros((self.block, *some.shape[1:]), np.uint8)
                block[: len(some)] = some
                found, shares = self.run(to_float(torch.from_numpy(block), -1.0, 1.0))
                features.append(found[: len(some)].float().numpy())
                if shares is not None:
                    probabilities.append(shares[: len(some)].float().numpy())
        return Found(
            np.concatenate(features), np.concatenate(probabilities) if probabilities else None
        )

    def prepared(self, images: Pixels) -> Pixels:
        """Images in the channels and the size that the extractor takes."""
        if self.is_inception:  # which resizes by itself
            return to_channels(images, 3)
        if self.shape is None or images.shape[1:] == self.shape:
            return images
        channels, height, width = self.shape
        images = to_channels(images, channels)
        bicubic = Image.Resampling.BICUBIC
        return np.stack([resize(image, height, width, bicubic) for image in images])

    def resizing(self, shape: Shape) -> str:
        """How images of a shape are brought to that of the extractor, in words."""
        if self.is_inception:
            return inception.RESIZING + ("" if shape[0] == 3 else f", {shape[0]} to 3 channels")
        if self.shape is None or shape == self.shape:
            return "none"
        own = "x".join(map(str, self.shape[1:]))
        return f"bicubic {'x'.join(map(str, shape[1:]))} to {own}, {self.shape[0]} channels"


def pixels() -> Extractor:
    """The pixels themselves, as numbers from 0 to 1."""

    def run(images: Tensor) -> tuple[Tensor, None]:
        return (images.flatten(1) + 1) / 2, None

    return Extractor("pixels", classifier.sha256(b"pixels / 255"), run)


def random_net(shape: Shape, why: str = "") -> Extractor:
    """The classifier's convolutions with fixed random weights."""
    net = classifier.untrained(shape, 2, 0).requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # so that features neither fade nor grow with depth
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)

    sha256 = classifier.sha256(classifier.to_bytes(net))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(images: Tensor) -> tuple[Tensor, None]:
        return net(images.contiguous(memory_format=torch.channels_last))[0], None

    note = "a fixed random net: distances say little of meaning"
    return Extractor(
        "random",
        sha256,
        run,
        note=f"{why}, hence {note}" if why else note,
    )


def of_inception(root: Path | None) -> Extractor:
    """Inception with the published weights; raises as `inception.read` does."""
    weights = inception.read(root)
    net = weights.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.add(1).mul_(127.5).round_()  # 0 to 255 again, exactly
        features, logits = net(pixels.contiguous(memory_format=torch.channels_last))
        # without the bias, as in the code that published Inception scores are from
        return features, (logits - net.fc.bias).softmax(dim=1)

    note = weights.note or "TensorFlow's graph of 2015-12-05, the score without the logits' bias"
    return Extractor(
        "inception",
        weights.sha256,
        run,
        note=note,
        is_inception=True,
        block=8,
    )


def choose(
    choice: Choice,
    dataset: object,
    train: ImageSet,
    test: ImageSet | None,
    root: Path | None = None,
    *,
    quickly: bool = False,
) -> Extractor:
    """The extractor for a data set: a bundled classifier, one trained now, or another.

    With `quickly`, auto trains none and takes a random net instead.

    Raises:
        UsageError: a classifier is asked for and there are no labels, one class or too few images;
            or Inception, and its weights are wrong.
        RunError: Inception is asked for, and its weights are nowhere.
    """
    if choice == "inception":
        return of_inception(root)
    if choice == "pixels":
        return pixels()
    if choice == "random":
        return random_net(train.shape)
    if found := _bundled(dataset):
        return found
    if lack := _lack(train):
        if choice == "classifier":
            raise UsageError(f"--features classifier: the training images have {lack}")
        if min(train.shape[1:]) < classifier.SMALLEST:
            return replace(pixels(), note="images too small for a net")
        return random_net(train.shape, f"the training images have {lack}")
    if quickly and choice == "auto":
        return random_net(train.shape, "no classifier comes with these images")
    return _trained(train, test)


def _lack(train: ImageSet) -> str:
    """What images lack to train a classifier on; empty if nothing."""
    if train.labels is None:
        return "no labels"
    num_classes = len(np.unique(train.labels))
    if num_classes < 2:
        return "one class only"
    if len(train) < FEWEST:
        return f"{len(train)} labelled images, fewer than {FEWEST}"
    return ""


def _bundled(dataset: object) -> Extractor | None:
    """The classifier that comes with the package for a data set, in any of its settings.

    Those change which images there are and their size, not what they show.
    """
    name = DATASETS.name_of(dataset)
    folder = resources.files("ganvas") / "pretrained" / f"classifier-{name}"
    if not (folder / "card.json").is_file():
        return None
    return _read(folder, f"classifier-{name}")


def _read(folder: Traversable, name: str) -> Extractor:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    content = (folder / "model.safetensors").read_bytes()
    if classifier.sha256(content) != card["sha256"]:
        raise UsageError(f"'{folder}' is damaged: its weights are not those that its card names")
    channels, height, width = card["shape"]
    shape = (channels, height, width)
    first, second, third = card["widths"]
    net = classifier.from_bytes(
        content, shape, len(card["classes"]), f"'{folder}'", (first, second, third)
    )
    mirrored = card.get("mirrored", False)
    extractor = Extractor.of_classifier(net, content, name, shape, mirrored)
    return replace(extractor, accuracy=card["accuracy"])


def _trained(train: ImageSet, test: ImageSet | None) -> Extractor:
    """A classifier of these images, trained now or read from an earlier time."""
    assert train.labels is not None
    num_classes = max(len(train.classes), int(train.labels.max()) + 1)
    folder = cached(
        "classifiers",
        fingerprint(train.images),
        classifier.sha256(train.labels.tobytes()),
        "" if test is None or test.labels is None else fingerprint(test.images),
    )
    try:
        return _read(folder, "classifier")
    except (OSError, ValueError, KeyError, UsageError):
        pass  # none yet, or not as it was written
    if test is not None and test.labels is not None:
        known, unseen = train, test
    else:
        held = np.arange(len(train)) % HELD_OUT == HELD_OUT - 1
        known, unseen = (ImageSet(train.images[i], train.labels[i]) for i in (~held, held))
    assert known.labels is not None and unseen.labels is not None
    net = classifier.fit(
        known.images,
        known.labels,
        num_classes,
        images_shown=min(SHOWN, 60 * len(known)),
    )
    content = classifier.to_bytes(net)
    written = classifier.from_bytes(content, train.shape, num_classes, "the classifier")
    extractor = Extractor.of_classifier(written, content, "classifier", train.shape)
    probabilities = extractor(unseen.images).probabilities
    assert probabilities is not None
    accuracy = float(np.mean(probabilities.argmax(axis=1) == unseen.labels))
    card = {
        "shape": list(train.shape),
        "classes": list(map(str, range(num_classes))),
        "widths": list(classifier.Recipe.widths),
        "sha256": extractor.sha256,
        "accuracy": accuracy,
    }
    keep(folder / "model.safetensors", content)
    keep(folder / "card.json", json.dumps(card, indent=1).encode())
    return replace(extractor, accuracy=accuracy)


def of_real(extractor: Extractor, images: Pixels) -> Found:
    """The extractor's result for real images, read from the cache if it is there."""
    path = cached("features", fingerprint(images), extractor.sha256, repr(extractor.shape))
    path = path.with_suffix(".npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            return Found(file["features"], file["probabilities"] if len(file.files) > 1 else None)
    except (OSError, ValueError, KeyError, EOFError):
        pass  # none yet, or not as it was written
    found = extractor(images)
    arrays: dict[str, Any] = {"features": found.features}
    if found.probabilities is not None:
        arrays["probabilities"] = found.probabilities
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    keep(path, buffer.getvalue())
    return found


def cached(kind: str, *protocol: str) -> Path:
    """Where something computed from real images by this code is kept, without a suffix."""
    digest = hashlib.sha256(repr((_code_version(), *protocol)).encode()).hexdigest()
    return Path(platformdirs.user_cache_dir("ganvas")) / "metrics" / kind / digest


def keep(path: Path, content: bytes) -> None:
    """Write to the cache; a warning if that is not possible."""
    try:
        write_file(path, content)
    except RunError as error:
        warnings.warn(f"not kept for next time: {error}", stacklevel=3)


@functools.cache
def _code_version() -> str:
    """SHA-256 of the sources of the metrics, so that nothing is reused after a change to them."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
