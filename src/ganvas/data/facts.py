"""What is known of a data set before training, for the rules that fit a recipe to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganvas.config import Preprocess
from ganvas.config.fitting import Facts, Size
from ganvas.data.catalogue import show
from ganvas.data.names import GIVEN_BY_PATH
from ganvas.protocols import Dataset, RawImages
from ganvas.registry import DATASETS


def read_facts(
    dataset: Dataset, preprocess: Preprocess, root: Path | None = None, *, fetch: bool = True
) -> Facts:
    """Facts of the train split.

    Without `fetch` nothing is downloaded: of a published data set whose files are not there it is
    told what is known without them, which leaves out the classes.

    Raises:
        UsageError: the data is wrong.
        RunError: a file is nowhere to be found and cannot be downloaded.
    """
    if not fetch and dataset.known is not None:
        name = DATASETS.name_of(dataset)
        if name not in GIVEN_BY_PATH and show(name, root)["missing"]:
            count, (_, height, width) = dataset.known
            return Facts(count, {(height, width): count})
    raw = dataset.load("train", root)
    labels = None if raw.labels is None else raw.labels[: preprocess.first]
    return facts_of(replace(raw, images=raw.images[: preprocess.first], labels=labels))


def facts_of(raw: RawImages) -> Facts:
    """Facts of images as they are."""
    images = raw.images
    sizes: Counter[Size]
    if isinstance(images, np.ndarray):
        sizes = Counter({(images.shape[2], images.shape[3]): len(images)})
    else:
        sizes = Counter((image.shape[1], image.shape[2]) for image in images)
    counts: tuple[int, ...] = ()
    if raw.labels is not None:
        counts = tuple(map(int, np.bincount(raw.labels, minlength=len(raw.classes))))
    return Facts(len(images), dict(sizes.most_common()), counts)
