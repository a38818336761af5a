"""Whether a run tells its nets the classes of the images."""

from __future__ import annotations

from ganvas.classes import Classes
from ganvas.config.fitting import ENOUGH_OF_A_CLASS
from ganvas.errors import UsageError
from ganvas.pixels import ImageSet
from ganvas.protocols import Model, takes_labels


def classes_told(model: Model, data: ImageSet) -> tuple[Classes, str]:
    """The classes that the nets are told, maybe none, and why if `auto` decided.

    Raises:
        UsageError: the model is to take labels, and the images have none.
    """
    if not takes_labels(model):
        return Classes(), ""
    if getattr(model, "labels", "on") == "auto":
        reason = _against(data)
        if reason:
            return Classes(), f"classes are left out: {reason}"
        return data.named_classes, f"trained with the {data.num_classes} classes of the images"
    if not data.num_classes:
        raise UsageError("model.labels: found 'on', and the images have none; allowed: off, auto")
    return data.named_classes, ""


def _against(data: ImageSet) -> str:
    """What speaks against using the classes; empty if nothing does."""
    if data.labels is None or data.num_classes < 2:
        return "the images have none" if data.labels is None else "there is only one"
    classes = data.named_classes
    fewest = min(classes.counts)
    if fewest >= ENOUGH_OF_A_CLASS:
        return ""
    name = classes.names[classes.counts.index(fewest)]
    return f"'{name}' has {fewest} images, and {ENOUGH_OF_A_CLASS} are wanted of each"
