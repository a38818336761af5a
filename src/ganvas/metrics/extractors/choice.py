"""Which extractor images are looked at with: the one asked for, or the best that there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from ganvas.metrics.extractors import classifier, classifier_net
from ganvas.metrics.extractors.extractor import CPU, Extractor, Opener
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
    quickly: bool = False,
) -> Extractor:
    """The extractor of that name for a data set; auto: a classifier where there can be one.

    With `quickly`, auto trains none and takes a random net instead. Raises as an extractor's
    `open` does.
    """
    why = ""
    if name == AUTO:
        name, why = _best(dataset, train, quickly)
    opener: Opener = EXTRACTORS.get(name)()
    extractor = opener.open(dataset, train, test, root).on(device)
    return replace(extractor, note=", hence ".join(filter(None, (why, extractor.note))))


def _best(dataset: object, train: ImageSet, quickly: bool) -> tuple[str, str]:
    """An extractor's name, and why it is no classifier."""
    if classifier.bundled(dataset):
        return "classifier", ""
    if lack := classifier.lacking(train):
        if min(train.shape[1:]) < classifier_net.SMALLEST:
            return "pixels", "images too small for a net"
        return "random", f"the training images have {lack}"
    return ("random", "no classifier comes with these images") if quickly else ("classifier", "")
