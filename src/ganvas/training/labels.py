"""Whether a run tells its nets the classes of the images, and from when on how much."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from ganvas.classes import Classes
from ganvas.config.fitting import ENOUGH_OF_A_CLASS
from ganvas.errors import UsageError
from ganvas.models.layers import ClassEmbedding
from ganvas.pixels import ImageSet
from ganvas.protocols import Model, takes_labels
from ganvas.schedules import Progress, schedule


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
            fades = getattr(model, "label_fade", 1.0) != 1.0
            more = "; model.label_fade has no effect" if fades else ""
            return Classes(), f"classes are left out: {reason}{more}"
        return data.named_classes, f"trained with the {data.num_classes} classes of the images"
    if not data.num_classes:
        raise UsageError("model.labels: found 'on', and the images have none; allowed: off, auto")
    return data.named_classes, ""


class Fading:
    """How much both nets are told of the class, which follows a ramp.

    It lies on the device, where a captured step reads it anew each time.
    """

    def __init__(self, model: Model, nets: Iterable[nn.Module]) -> None:
        modules = [module for net in nets for module in net.modules()]
        found = [module for module in modules if isinstance(module, ClassEmbedding)]
        self._embeddings = [module for module in found if module.fades]
        self._schedule = schedule(getattr(model, "label_fade", 1.0))

    def follow(self, progress: Progress) -> None:
        """Take the share that the ramp has for a place in the run."""
        for embedding in self._embeddings:
            embedding.share.fill_(self._schedule(progress))


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
