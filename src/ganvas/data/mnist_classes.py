"""The pictures of the MNIST-classes GAN: a folder of JPEGs for each digit, or a stand-in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from pydantic.dataclasses import dataclass

from ganvas.data.datasets import MNIST, Folder
from ganvas.data.download import places
from ganvas.errors import NoSplit, RunError, UsageError
from ganvas.protocols import RawImages, Split
from ganvas.registry import CHECKED, DATASETS

if TYPE_CHECKING:
    from ganvas.pixels import Shape

FOLDER: Final = "mnist-classes"
COUNTS: Final = (800, 800, 800, 800, 800, 800, 581, 800, 800, 800)
"""Pictures of each digit, 7,781 in all."""
SHA256: Final = "58a059b231796e47839c7b5433d9bd541c7d2020b3faa4ba0b05b5efbf46c59e"
"""Over the bytes of all files, ordered by folder, then by file name as text."""


@DATASETS.register("mnist-classes")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MNISTClasses:
    """7,781 MNIST digits as 28x28 grey JPEGs, 800 a digit but 581 sixes; no test split.

    Source: the training pictures published with the MNIST-classes GAN (one-sided label
    smoothing). Where the folder is not found, a stand-in with the same counts is cut from MNIST's
    training split (LeCun, Cortes & Burges 1998), always the same one; it lacks the faint speckle
    of the JPEGs.
    """

    known: ClassVar[tuple[int, Shape] | None] = (7_781, (1, 28, 28))

    def load(self, split: Split, root: Path | None) -> RawImages:
        if split == "test":
            raise NoSplit("mnist-classes has no test split; MNIST's is in the data set 'mnist'")
        folder = find_folder(root)
        if folder is None:
            return _stand_in(root)
        found = digest(folder)
        if found != SHA256:
            raise UsageError(
                f"mnist-classes: folder '{folder}' is not the published one: found SHA-256 {found} "
                f"over its pictures, expected {SHA256}; restore it, train on it as it is with "
                f"--data {folder}, or delete it to have a stand-in cut from MNIST"
            )
        return Folder(path=str(folder), holdout=0).load("train", None)


def find_folder(root: Path | None) -> Path | None:
    """The first place where the published folder is."""
    candidates = [place for place in places(FOLDER, root) if place.name == FOLDER]
    return next((place for place in candidates if (place / "0").is_dir()), None)


def digest(folder: Path) -> str:
    """SHA-256 over the bytes of all JPEGs in the class folders."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("[0-9]/*.jpg"), key=lambda path: (path.parent.name, path.name)):
        total.update(path.read_bytes())
    return total.hexdigest()


def _stand_in(root: Path | None) -> RawImages:
    try:
        mnist = MNIST().load("train", root)
    except RunError as error:
        raise RunError(
            f"mnist-classes: found no folder '{FOLDER}', and MNIST to cut a stand-in from is "
            f"missing too: {error}"
        ) from None
    assert mnist.labels is not None and isinstance(mnist.images, np.ndarray)
    rng = np.random.default_rng(0)
    chosen = np.concatenate(
        [
            np.sort(rng.choice(np.flatnonzero(mnist.labels == digit), count, replace=False))
            for digit, count in enumerate(COUNTS)
        ]
    )
    return RawImages(mnist.images[chosen], mnist.labels[chosen], mnist.classes)
