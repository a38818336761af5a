"""Classes are told to the nets where that is asked for, or where each has enough images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ganvas.config import Ramp
from ganvas.config.fitting import ENOUGH_OF_A_CLASS as LEAST
from ganvas.errors import UsageError
from ganvas.models.cs231n import CS231nDCGAN
from ganvas.models.modern import Modern
from ganvas.pixels import ImageSet
from ganvas.training.labels import classes_told


def images(*counts: int, names: tuple[str, ...] = ()) -> ImageSet:
    """So many images of each class; none at all for one without labels."""
    labels = np.repeat(np.arange(len(counts)), counts) if counts else None
    return ImageSet(np.zeros((sum(counts) or 5, 1, 8, 8), np.uint8), labels, names)


@pytest.mark.parametrize(
    ("model", "data", "classes", "about"),
    [
        (CS231nDCGAN(), images(300, 300), (), ""),
        (Modern(labels="off"), images(300, 300), (), ""),
        (Modern(labels="on"), images(3, 1), ("0", "1"), ""),
        (Modern(labels="on"), images(3, 1, names=("cat",)), ("cat", "1"), ""),
        (
            Modern(labels="auto", label_fade=Ramp.parse("0 to 1")),
            images(),
            (),
            "classes are left out: the images have none; model.label_fade has no effect",
        ),
        (
            Modern(labels="auto"),
            images(LEAST, 300),
            ("0", "1"),
            "trained with the 2 classes of the images",
        ),
        (Modern(labels="auto"), images(), (), "classes are left out: the images have none"),
        (Modern(labels="auto"), images(300), (), "classes are left out: there is only one"),
        (
            Modern(labels="auto"),
            images(300, LEAST - 1, names=("cat", "dog")),
            (),
            f"classes are left out: 'dog' has {LEAST - 1} images, and {LEAST} are wanted of each",
        ),
    ],
)
def test_what_is_told(model: Any, data: ImageSet, classes: tuple[str, ...], about: str) -> None:
    told, why = classes_told(model, data)
    assert (told.names, why) == (classes, about)
    if classes:
        assert data.labels is not None
        assert told.counts == tuple(np.bincount(data.labels))


def test_labels_that_are_not_there_are_one_line() -> None:
    with pytest.raises(UsageError, match=r"model\.labels: found 'on', and the images have none"):
        classes_told(Modern(labels="on"), images())
