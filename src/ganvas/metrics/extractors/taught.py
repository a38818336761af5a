"""Nets that are trained on the spot: on which images, how long, and how they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ganvas.metrics import cache
from ganvas.metrics.extractors import classifier_net
from ganvas.metrics.extractors.classifier_net import SMALLEST, ClassifierTraining
from ganvas.metrics.extractors.extractor import Watch, in_shape
from ganvas.metrics.extractors.spared import spared
from ganvas.pixels import ImageSet, Pixels, Shape
from ganvas.seeds import stream

SIDE: Final = 32
"""Height and width at most of the images that such a net sees; larger ones are shrunk."""
PASSES: Final = 60
"""Each image is shown at most so many times in training."""
TRAINING: Final = ClassifierTraining(blur=1.0, noise=0.05)
"""Also blurred and noisy: a net that never saw that takes a little of it for another thing."""


def shape_for(shape: Shape) -> Shape:
    """The shape in which a net sees images of `shape`."""
    channels, *size = shape
    scale = min(1.0, SIDE / max(size))
    height, width = (max(SMALLEST, round(side * scale)) for side in size)
    return channels, height, width


def lesson(train: ImageSet, has_test: bool, most: int) -> ImageSet:
    """Up to `most` training images for a net to learn from, none of them spared."""
    rows = np.flatnonzero(~spared(len(train), has_test))
    order = np.random.default_rng(stream(0, "lesson")).permutation(len(rows))
    rows = rows[order[:most]]
    images = in_shape(train.images[rows], shape_for(train.shape))
    return ImageSet(images, None if train.labels is None else train.labels[rows], train.classes)


def learnt(
    images: Pixels, labels: NDArray[np.int64], num_classes: int, most: int, watch: Watch
) -> tuple[dict[str, Any], bytes]:
    """A card and weights of a net that was shown up to `most` images of a lesson."""
    net = classifier_net.fit(
        images,
        labels,
        num_classes,
        images_shown=min(most, PASSES * len(images)),
        training=TRAINING,
        watch=watch,
    )
    content = classifier_net.to_bytes(net)
    card = {
        "shape": images.shape[1:],
        "sha256": cache.sha256(content),
        "num_train": len(images),
    }
    return card, content


def kept(
    kind: str, key: tuple[str, ...], teach: Callable[[], tuple[dict[str, Any], bytes]]
) -> tuple[dict[str, Any], bytes]:
    """A card and weights: taught now, or kept from an earlier time when all of `key` was alike."""
    if found := cache.read(kind, *key):
        line, _, content = found.partition(b"\n")
        return json.loads(line), content
    card, content = teach()
    cache.write(json.dumps(card).encode() + b"\n" + content, kind, *key)
    return card, content
