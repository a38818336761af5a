"""Which extractor images are looked at with: the one asked for, or the best that there is.

The choice is made here alone, and from the images alone: a run measures on the way in the features
in which `evaluate` measures it afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from ganvas.metrics.extractors import classifier, classifier_net, learned
from ganvas.metrics.extractors.extractor import CPU, Extractor, Watch, unwatched
from ganvas.pixels import ImageSet
from ganvas.registry import EXTRACTORS, UnknownComponent, closest

AUTO: Final = "auto"


def check(name: str, option: str) -> None:
    """UnknownComponent if there is no extractor of that name."""
    known = [AUTO, *EXTRACTORS.names()]
    if name not in known:
        raise UnknownComponent(f"{option}: found '{name}'; {closest('', known)}")


def choose(
    name: str,
    dataset: object,
    train: ImageSet,
    test: ImageSet | None,
    root: Path | None = None,
    *,
    device: torch.device = CPU,
    watch: Watch = unwatched,
) -> Extractor:
    """The extractor of that name for a data set; auto: the one that sees most of these images.

    `watch` shows how far a net is that is trained first. Raises as an extractor's `open` does.
    """
    why = ""
    if name == AUTO:
        name, why = best(dataset, train)
    opener = EXTRACTORS.get(name)()
    watching = {"watch": watch} if getattr(opener, "learns", False) else {}
    extractor: Extractor = opener.open(dataset, train, test, root, **watching).on(device)
    return replace(extractor, note=", hence ".join(filter(None, (why, extractor.note))))


def learns(name: str, dataset: object, train: ImageSet) -> bool:
    """Whether a net would have to be trained for that name, unless one is kept already."""
    found = best(dataset, train)[0] if name == AUTO else name
    is_ready = found == "classifier" and classifier.bundled(dataset) is not None
    return getattr(EXTRACTORS.get(found), "learns", False) and not is_ready


def best(dataset: object, train: ImageSet) -> tuple[str, str]:
    """The name of the extractor that auto stands for, and why it is no classifier."""
    if classifier.bundled(dataset):
        return "classifier", ""
    if lack := classifier.lacking(train):
        if min(train.shape[1:]) < classifier_net.SMALLEST:
            return "pixels", "images too small for a net"
        few = len(train) < learned.FEWEST
        return "random" if few else "learned", f"the training images have {lack}"
    return "classifier", ""
