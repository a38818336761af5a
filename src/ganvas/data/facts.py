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
) -> tuple[Facts, RawImages | None]:
    """Facts of the train split, and its images as they were read for that, before preprocessing.

    Without `fetch` nothing is downloaded: of a published data set whose files are not there it is
    told what is known without them, which leaves out the classes, and there are no images.

    Raises:
        UsageError: the data is wrong.
        RunError: a file is nowhere to be found and cannot be downloaded.
    """
    if not fetch and dataset.known is not None and would_be_fetched(dataset, root):
        count, (_, height, width) = dataset.known
        return Facts(count, {(height, width): count}), None
    raw = dataset.load("train", root)
    labels = None if raw.labels is None else raw.labels[: preprocess.first]
    seen = replace(raw, images=raw.images[: preprocess.first], labels=labels)
    return facts_of(seen), raw


def would_be_fetched(dataset: Dataset, root: Path | None) -> bool:
    """Whether files of a published data set are not there."""
    name = DATASETS.name_of(dataset)
    return name not in GIVEN_BY_PATH and bool(show(name, root)["missing"])


def facts_of(raw: RawImages, held_out: int = 0) -> Facts:
    """Facts of images as they are, less so many that are to be held out; of a class its share."""
    images = raw.images
    sizes: Counter[Size]
    if isinstance(images, np.ndarray):
        sizes = Counter({(images.shape[2], images.shape[3]): len(images)})
    else:
        sizes = Counter((image.shape[1], image.shape[2]) for image in images)
    counts: tuple[int, ...] = ()
    if raw.labels is not None:
        of_class = np.bincount(raw.labels, minlength=len(raw.classes))
        left = of_class - np.rint(of_class * held_out / len(images)).astype(int)
        counts = tuple(map(int, left))
    return Facts(len(images) - held_out, dict(sizes.most_common()), counts)
