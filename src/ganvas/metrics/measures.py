"""The metrics by their short names: what each is computed from, and its floor."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.errors import UsageError
from ganvas.metrics import features as extraction
from ganvas.metrics.classes import ClassifierScore, ClassShares
from ganvas.metrics.classifier import sha256
from ganvas.metrics.features import Extractor, Found
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.interval import share_interval
from ganvas.metrics.kernel import KernelDistance, KernelDistanceExact
from ganvas.metrics.neighbours import (
    DuplicateRate,
    Memorisation,
    Memory,
    NearestLabel,
    NearestTwoSample,
)
from ganvas.metrics.parzen import ParzenLogLikelihood
from ganvas.metrics.prdc import PrecisionRecallDensityCoverage
from ganvas.pixels import ImageSet, Pixels, fingerprint, resize
from ganvas.seeds import stream

SIDE: Final = 32
"""Pixels are compared image by image at this height and width at most."""
_Z: Final = 1.959963984540054


@dataclass(frozen=True)
class Measured:
    """What a metric says of one set of fakes."""

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    components: tuple[Any, ...]
    pairs: Memory | None = None


@dataclass(frozen=True)
class Side:
    """Images on one side of a comparison, and what the extractor makes of them."""

    images: Pixels
    extractor: Extractor
    is_real: bool = True
    labels: NDArray[np.int64] | None = None
    """Class index of each image, as the data set numbers its classes."""

    @cached_property
    def found(self) -> Found:
        if self.is_real:
            return extraction.of_real(self.extractor, self.images)
        return self.extractor(self.images)

    @cached_property
    def pixels(self) -> NDArray[np.float32]:
        return _rows(self.images)


@dataclass(frozen=True)
class Bench:
    """The images that fakes are compared with."""

    reference: Side
    train: ImageSet
    """What the generator was trained on."""
    unseen: Side | None
    """Real images that it was not trained on."""
    held_out: Pixels
    """Training images on which the Parzen width is chosen."""
    kept: NDArray[np.int64] | None = None
    """Which training images memorisation compares with; None: all."""

    def few(self, num: int) -> Bench:
        """The first `num` images of each kind."""
        unseen = self.unseen and Side(self.unseen.images[:num], self.unseen.extractor, False)
        return Bench(
            Side(self.reference.images[:num], self.reference.extractor, False),
            ImageSet(self.train.images[:num]),
            unseen,
            self.held_out[:num],
        )


# One function a short name: the real images and the fakes to numbers


def _fd(bench: Bench, fakes: Side) -> Measured:
    few = len(fakes.images) < 40 or fakes.found.features.shape[1] > 512  # 20 distances more
    metric = FrechetDistance(groups=0 if few else 10)
    found = metric.measure(bench.reference.found.features, fakes.found.features)
    intervals = {} if found.error is None else {"distance": _around(found.distance, found.error)}
    return Measured({"distance": found.distance}, intervals, (metric,))


def _kd(bench: Bench, fakes: Side) -> Measured:
    real, fake = bench.reference.found.features, fakes.found.features
    exact = KernelDistanceExact()
    found = exact.measure(real, fake)
    values = {"distance": found.distance}
    intervals = {"distance": _around(found.distance, found.error)}
    size = min(1000, len(fake) // 2)  # of all images every subset would be the same
    if size < 2:
        return Measured(values, intervals, (exact,))
    metric = KernelDistance(subset_size=size)
    subsets = metric.measure(real, fake)
    values |= {"subsets": subsets.distance, "spread": subsets.spread}
    return Measured(values, intervals, (exact, metric))


def _prdc(bench: Bench, fakes: Side) -> Measured:
    metric = PrecisionRecallDensityCoverage()
    found = metric.measure(bench.reference.found.features, fakes.found.features)
    return _shares(metric, vars(found), len(fakes.images), "precision", "recall", "coverage")


def _classes(bench: Bench, fakes: Side) -> Measured:
    real, fake = bench.reference.found.probabilities, fakes.found.probabilities
    if real is None or fake is None:
        raise UsageError(f"a classifier is needed; the features are '{fakes.extractor.name}'")
    metric = ClassifierScore()
    score = metric.measure(fake)
    interval = {"score": _around(score.score, score.spread / math.sqrt(metric.splits))}
    if fakes.extractor.is_inception:  # its classes are not those of the images
        return Measured({"score": score.score}, interval, (metric,))
    shares = ClassShares().measure(real, fake)
    values = {"score": score.score, "kl": shares.kl, "classes_hit": float(shares.classes_hit)}
    return Measured(values, interval, (metric, ClassShares()))


def _parzen(bench: Bench, fakes: Side) -> Measured:
    metric = ParzenLogLikelihood()
    if not len(bench.held_out):
        raise UsageError("it is defined on test images; use --split test")
    found = metric.measure(fakes.images, bench.held_out, bench.reference.images)
    values = {"log_likelihood": found.log_likelihood, "sigma": found.sigma}
    interval = _around(found.log_likelihood, found.error)
    return Measured(values, {"log_likelihood": interval}, (metric,))


def _label_error(bench: Bench, fakes: Side) -> Measured:
    metric = NearestLabel()
    truth = bench.reference
    if truth.labels is None:
        raise UsageError("it needs labelled data, and the data set has no labels")
    if truth.labels.min() == truth.labels.max():
        raise UsageError("it needs labels of at least two classes, and the data set has one")
    if fakes.labels is None:
        raise UsageError(
            "it needs labelled fakes: an .npz file with `labels`, or a folder of class folders"
        )
    found = metric.measure(fakes.pixels, fakes.labels, truth.pixels, truth.labels)
    return Measured({"error": found.error}, {"error": (found.low, found.high)}, (metric,))


def _two_sample(bench: Bench, fakes: Side) -> Measured:
    metric = NearestTwoSample()
    found = metric.measure(bench.reference.found.features, fakes.found.features)
    return _shares(metric, vars(found), len(fakes.images), "real", "fake")


def _duplicates(bench: Bench, fakes: Side) -> Measured:
    metric = DuplicateRate()
    found = vars(metric.measure(bench.reference.pixels, fakes.pixels))
    values = {key: found[key] for key in metric.better}
    return _shares(metric, values, len(fakes.images), *values)


def _memorisation(bench: Bench, fakes: Side) -> Measured:
    metric = Memorisation()
    if bench.unseen is None:
        raise UsageError("it needs real images that were not trained on; there is no test split")
    known = _rows(bench.train.images if bench.kept is None else bench.train.images[bench.kept])
    found = metric.measure(known, bench.unseen.pixels, fakes.pixels)
    values = {key: float(getattr(found, key)) for key in metric.better}
    measured = _shares(metric, values, len(fakes.images), *values)
    return dataclasses.replace(measured, pairs=found)


MEASURES: Final[dict[str, Callable[[Bench, Side], Measured]]] = {
    "fd": _fd,
    "kd": _kd,
    "prdc": _prdc,
    "classes": _classes,
    "parzen": _parzen,
    "1nn": _two_sample,
    "1nn-labels": _label_error,
    "duplicates": _duplicates,
    "memorisation": _memorisation,
}
IN_INCEPTION: Final = {"fd": "fid", "kd": "kid", "classes": "is"}
"""What metrics are called where they are measured in Inception's features, and only there."""
ON_PIXELS: Final = ("parzen", "1nn-labels", "duplicates", "memorisation")


def _around(value: float, error: float) -> tuple[float, float]:
    return value - _Z * error, value + _Z * error


def _shares(metric: Any, values: dict[str, float], num: int, *shares: str) -> Measured:
    intervals = {key: share_interval(values[key], num) for key in shares}
    return Measured(dict(values), intervals, (metric,))


def _rows(images: Pixels) -> NDArray[np.float32]:
    """Images as rows of pixels from 0 to 1, large ones shrunk first."""
    height, width = images.shape[2:]
    if max(height, width) > SIDE:
        scale = SIDE / max(height, width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        images = np.stack([resize(image, *size, Image.Resampling.BOX) for image in images])
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


# The floor


def floor(name: str, bench: Bench, other: Side, measured: Measured, seed: int) -> dict[str, float]:
    """The values for real images in place of the fakes, read from the cache if they are there."""
    num = len(other.images)
    if name in ("memorisation", "parzen") and len(bench.train) < num + 2:
        return {}
    if name == "memorisation":  # some training images against the others
        order = drawn(len(bench.train), len(bench.train), seed, "kept")
        other = Side(bench.train.images[order[:num]], other.extractor)
        bench = dataclasses.replace(bench, kept=np.sort(order[num:]))
    if name == "parzen":  # not the images on which the width is chosen
        held = len(bench.train) - min(len(bench.train), 10_000)
        allowed = np.delete(np.arange(len(bench.train)), slice(held, held + 1000))
        if len(allowed) < num:
            return {}
        order = allowed[drawn(len(allowed), num, seed, "floor")]
        other = Side(bench.train.images[order], other.extractor)
    protocol = [name, *map(repr, measured.components), other.extractor.sha256]
    reals = [bench.reference.images, other.images]
    if name == "memorisation":
        reals.append(bench.train.images)
    if name == "parzen":
        reals.append(bench.held_out)
    for labels in (bench.reference.labels, other.labels) if name == "1nn-labels" else ():
        assert labels is not None
        protocol.append(sha256(labels.tobytes()))
    path = extraction.cached("floors", *protocol, *map(fingerprint, reals)).with_suffix(".json")
    try:
        kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        if kept.keys() == measured.values.keys():
            return kept
    except (OSError, ValueError, AttributeError):
        pass  # none yet, or not as it was written
    values = {key: float(value) for key, value in MEASURES[name](bench, other).values.items()}
    if all(map(math.isfinite, values.values())):
        extraction.keep(path, json.dumps(values).encode())
    return values


def drawn(of: int, num: int, seed: int, purpose: str) -> NDArray[np.int64]:
    return np.random.default_rng(stream(seed, "evaluate", purpose)).permutation(of)[:num]
