"""Classification accuracy score: how well does a classifier do that learnt from fakes?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.config import Positive
from ganvas.errors import UsageError
from ganvas.images import to_float
from ganvas.metrics.by_class import shares
from ganvas.metrics.extractors import classifier_net
from ganvas.metrics.inputs import Better, Values, labels
from ganvas.metrics.interval import share_interval
from ganvas.metrics.metric import Measured, Metric, Need, Views
from ganvas.pixels import ImageSet
from ganvas.registry import CHECKED, METRICS


@plain(frozen=True)
class Lessons:
    """Real images to test classifiers on, and others to train them on beside fakes."""

    test: ImageSet
    train: ImageSet
    num_classes: int


@METRICS.register("cas", "gan-train")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ClassificationAccuracy(Metric):
    """Accuracy on real images of a classifier trained on fakes (Ravuri & Vinyals 2019, section 3).

    accuracy: trained on fakes alone, with the worst class and each class; with_real: on the fakes
    and as many real images. The floor is the same classifier trained on these real images alone.
    GAN-train of Shmelkov et al. (2018) is the same. It sees all that makes fakes teach less than
    real images: classes mixed up, variety missing within a class, looks that are not those of real
    images. It misses what a classifier has no use for. Two trainings a measurement.
    """

    shown: Positive = 60_000
    """Images shown to a classifier in training,"""

    passes: Positive = 30
    """but each at most so many times."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Weights that a classifier begins with, and the order of its images."""

    needs: ClassVar[tuple[Need, ...]] = ("images", "labels", "labelled")
    better: ClassVar[Mapping[str, Better]] = {
        "accuracy": "higher",
        "with_real": "higher",
        "worst": "higher",
    }
    more_fakes: ClassVar[bool] = True

    def statistics(self, real: Views) -> Lessons:
        test = _image_set(real, real.labels, "test")
        others = real.labelled
        if others is None or others.labels is None:
            raise UsageError("real images to train on, with labels: none given")
        num = 1 + int(max(test.labels.max(), others.labels.max()))  # type: ignore[union-attr]
        return Lessons(test, others, max(num, len(real.classes)))

    def compare(self, statistics: Lessons, fakes: Views) -> Measured:
        made = _image_set(fakes, fakes.labels, "fake")
        assert made.labels is not None
        if made.shape != statistics.test.shape:
            raise UsageError(
                f"fake images: found shape {made.shape}, {statistics.test.shape} of real images"
            )
        if made.labels.max() >= statistics.num_classes:
            raise UsageError(f"fake labels: found {made.labels.max()}, which no real image has")
        right = self._right(made, statistics)
        both = right  # where real images stand in for fakes, more of the same change nothing
        if not np.array_equal(made.images, statistics.train.images):
            both = self._right(_joined(made, statistics.train), statistics)
        test = statistics.test
        assert test.labels is not None
        found = shares(right, test.labels, test.classes, statistics.num_classes, "accuracy")
        accuracy = found.values.pop("accuracy")
        with_real = float(both.mean())
        values = {"accuracy": accuracy, "with_real": with_real} | found.values
        intervals = {"with_real": share_interval(with_real, len(both))} | found.intervals
        return Measured(values, intervals)

    def _right(self, known: ImageSet, lessons: Lessons) -> NDArray[np.bool_]:
        """Which test images a classifier of known ones gets right."""
        assert known.labels is not None
        net = classifier_net.fit(
            known.images,
            known.labels,
            lessons.num_classes,
            images_shown=min(self.shown, self.passes * len(known)),
            seed=self.seed,
        )
        given = []
        with torch.inference_mode():
            for part in torch.split(torch.from_numpy(lessons.test.images), 256):
                given.append(net(to_float(part, -1.0, 1.0))[1].argmax(dim=1))
        found: NDArray[np.bool_] = torch.cat(given).numpy() == lessons.test.labels
        return found


def _image_set(views: Views, given: Values | None, what: str) -> ImageSet:
    images: Any = views.images
    if images is None:
        raise UsageError(f"{what} images: none given")
    if isinstance(images, torch.Tensor):
        images = images.cpu().numpy()
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise UsageError(
            f"{what} images: found {images.dtype} of shape {images.shape}; uint8 images (N, C, H, "
            "W) are expected"
        )
    least = classifier_net.SMALLEST
    if min(images.shape[2:]) < least:
        raise UsageError(
            f"{what} images: found {images.shape[2]}x{images.shape[3]} pixels; a classifier needs "
            f"{least}x{least} at least"
        )
    return ImageSet(images, labels(given, len(images), f"{what} labels"), views.classes)


def _joined(one: ImageSet, other: ImageSet) -> ImageSet:
    assert one.labels is not None and other.labels is not None
    return ImageSet(
        np.concatenate([one.images, other.images]), np.concatenate([one.labels, other.labels])
    )
