"""Whether a run tells its nets the classes of the images."""

from __future__ import annotations

from typing import Final

import numpy as np

from ganvas.errors import UsageError
from ganvas.pixels import ImageSet
from ganvas.protocols import Model, takes_labels

LEAST: Final = 200
"""Images of a class, below which `auto` leaves the classes out. A guess: on few images a GAN with
classes collapses where one without does not (Shahbazi et al. 2022)."""


def classes_told(model: Model, data: ImageSet) -> tuple[tuple[str, ...], str]:
    """Names of the classes that the nets are told, maybe none, and why if `auto` decided.

    Raises:
        UsageError: the model is to take labels, and the images have none.
    """
    if not takes_labels(model):
        return (), ""
    if getattr(model, "labels", "on") == "auto":
        reason = _against(data)
        if reason:
            return (), f"classes are left out: {reason}"
        return data.class_names, f"trained with the {data.num_classes} classes of the images"
    if not data.num_classes:
        raise UsageError("model.labels: found 'on', and the images have none; allowed: off, auto")
    return data.class_names, ""


def _against(data: ImageSet) -> str:
    """What speaks against using the classes; empty if nothing does."""
    if data.labels is None or data.num_classes < 2:
        return "the images have none" if data.labels is None else "there is only one"
    counts = np.bincount(data.labels, minlength=data.num_classes)
    if counts.min() >= LEAST:
        return ""
    fewest = int(counts.argmin())
    return (
        f"'{data.class_names[fewest]}' has {counts[fewest]} images, and {LEAST} are wanted of each"
    )
