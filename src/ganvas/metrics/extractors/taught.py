"""Nets that are trained on the spot: on which images, how long, and how they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from ganvas.metrics import cache
from ganvas.metrics.extractors.classifier_net import SMALLEST
from ganvas.metrics.extractors.extractor import in_shape
from ganvas.metrics.extractors.spared import spared
from ganvas.pixels import ImageSet, Shape
from ganvas.seeds import stream

SIDE: Final = 32
"""Height and width at most of the images that such a net sees; larger ones are shrunk."""
SHOWN: Final = 12_000
"""Images shown in training, so that it takes some 15 seconds on one processor core,"""
PASSES: Final = 60
"""and at most so many times each."""


def shape_for(shape: Shape) -> Shape:
    """The shape in which a net sees images of `shape`."""
    channels, *size = shape
    scale = min(1.0, SIDE / max(size))
    height, width = (max(SMALLEST, round(side * scale)) for side in size)
    return channels, height, width


def shown(num: int) -> int:
    """Images shown to a net that learns from `num`."""
    return min(SHOWN, PASSES * num)


def lesson(train: ImageSet, has_test: bool) -> ImageSet:
    """The training images that a net learns from: none that is spared, and no more than it sees."""
    rows = np.flatnonzero(~spared(len(train), has_test))
    order = np.random.default_rng(stream(0, "lesson")).permutation(len(rows))
    rows = rows[order[:SHOWN]]
    images = in_shape(train.images[rows], shape_for(train.shape))
    return ImageSet(images, None if train.labels is None else train.labels[rows], train.classes)


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
