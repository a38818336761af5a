"""Images in the forms that metrics look at: features, rows of pixels, or as they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from PIL import Image

from ganvas.metrics import cache
from ganvas.metrics.extractors.extractor import Array, Extractor
from ganvas.metrics.metric import Need, Views
from ganvas.pixels import ImageSet, Pixels, fingerprint, resize

SIDE: Final = 32
"""Pixels are compared image by image at this height and width at most."""

Extracted = tuple[Array, Array | None]
"""Features, and a classifier's probabilities."""


def fake_views(fakes: ImageSet, extractor: Extractor, needs: Collection[Need]) -> Views:
    """Fakes in the forms that some metrics need; they pass the extractor once, and none is kept."""
    seen = extractor(fakes.images) if uses_extractor(needs) else None
    return views(fakes, extractor, needs, seen)


def real_views(real: ImageSet, extractor: Extractor, needs: Collection[Need]) -> Views:
    """Real images in these forms; what the extractor makes of them is kept for the next time."""
    seen = extracted(extractor, real.images) if uses_extractor(needs) else None
    return views(real, extractor, needs, seen)


def uses_extractor(needs: Collection[Need]) -> bool:
    return "features" in needs or "probabilities" in needs


def views(
    images: ImageSet, extractor: Extractor, needs: Collection[Need], seen: Extracted | None
) -> Views:
    features, probabilities = seen or (None, None)
    return Views(
        features=features,
        probabilities=probabilities,
        own_classes=not extractor.is_inception,
        pixels=pixel_rows(images.images) if "pixels" in needs else None,
        images=images.images if "images" in needs else None,
        labels=images.labels if "labels" in needs else None,
        classes=images.named_classes.names,
    )


def pixel_rows(images: Pixels) -> Pixels:
    """Images as rows of pixels, (N, d), large ones shrunk first."""
    height, width = images.shape[2:]
    if max(height, width) > SIDE:
        scale = SIDE / max(height, width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        images = np.stack([resize(image, *size, Image.Resampling.BOX) for image in images])
    return images.reshape(len(images), -1)


def extracted(extractor: Extractor, images: Pixels) -> Extracted:
    """What the extractor makes of real images, read from the cache if it is there."""
    key = (
        fingerprint(images),
        extractor.sha256,
        repr((extractor.shape, extractor.channels, extractor.device.type)),
        cache.source_of(type(extractor.net).__module__),
    )
    if kept := cache.read_arrays("features", *key):
        return kept["features"], kept.get("probabilities")
    features, probabilities = extractor(images)
    arrays = {"features": features}
    if probabilities is not None:
        arrays["probabilities"] = probabilities
    cache.write_arrays(arrays, "features", *key)
    return features, probabilities
