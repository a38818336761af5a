"""A net that learns without labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ganvas.data.datasets import Digits
from ganvas.errors import UsageError
from ganvas.metrics.extractors import learned
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.metrics.extractors.learned import clustered, histograms
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.metric import Views
from ganvas.pixels import ImageSet, Pixels

Choose = Callable[..., Extractor]


def test_a_histogram_counts_directions_in_cells() -> None:
    """Brighter to the right: all of it in the first bin, where there is an edge."""
    images = torch.zeros(1, 3, 16, 16)
    images[:, 1, :, 8:] = 1.0
    found = histograms(images)[0]
    fine, middle, coarse = found.split([9 * 16, 9 * 4, 9])
    cells = fine.view(9, 4, 4)
    assert (cells[0, :, 1:3] > 0).all() and (cells[0, :, [0, 3]] == 0).all()
    assert (cells[1:] == 0).all() and coarse[0] > 0 and (coarse[1:] == 0).all()
    turned = histograms(images.transpose(2, 3))[0][:144].view(9, 4, 4)
    assert (turned[4:6, 1:3] > 0).all()  # a quarter of a turn lies between two of nine bins
    assert (turned[[0, 1, 2, 3, 6, 7, 8]] == 0).all()
    assert len(middle) == 36


def test_images_of_a_kind_are_in_one_cluster() -> None:
    images = np.zeros((60, 1, 12, 12), np.uint8)
    images[::3, :, 6:], images[1::3, :, :, 6:] = 200, 200
    images += np.random.default_rng(0).integers(0, 9, images.shape, dtype=np.uint8)
    found = clustered(images)
    assert found.max() == 5  # one for ten images
    kinds = [set(found[start::3]) for start in range(3)]
    assert len(set.union(*kinds)) == sum(map(len, kinds))  # none has images of two kinds
    assert clustered(np.zeros((40, 1, 8, 8), np.uint8)).max() == 0  # all alike


@pytest.mark.parametrize(
    ("shape", "seen"),
    [((1, 8, 8), (1, 8, 8)), ((3, 256, 256), (3, 32, 32)), ((4, 24, 48), (4, 16, 32))],
    ids=str,
)
def test_images_of_any_shape_can_be_learnt_from(
    shape: tuple[int, ...],
    seen: tuple[int, ...],
    choose_for: Choose,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learned, "SHOWN", 40)
    images = np.random.default_rng(0).integers(0, 256, (40, *shape), dtype=np.uint8)
    extractor = choose_for("learned", ImageSet(images))
    assert extractor.shape == seen and extractor(images[:3])[0].shape == (3, 128)
    assert "20 training images" in extractor.note and len(extractor.sha256) == 64
    (kept,) = (cache / "metrics" / "learned").iterdir()
    again = choose_for("learned", ImageSet(images))
    assert np.array_equal(again(images[:3])[0], extractor(images[:3])[0])
    kept.unlink()  # learnt anew, it is the same
    assert choose_for("learned", ImageSet(images)).sha256 == extractor.sha256
    if shape == (1, 8, 8):
        others = choose_for("learned", ImageSet(255 - images))
        assert others.sha256 != extractor.sha256


def test_too_few_images_are_refused(choose_for: Choose) -> None:
    with pytest.raises(UsageError, match="found 39 training images; at least 40"):
        choose_for("learned", ImageSet(np.zeros((39, 1, 8, 8), np.uint8)))


def distance(extractor: Extractor, real: Pixels, fakes: Pixels) -> float:
    metric = FrechetDistance()
    statistics = metric.statistics(Views(features=extractor(real)[0]))
    return metric.compare(statistics, Views(features=extractor(fakes)[0])).values["distance"]


@pytest.mark.slow
def test_it_sees_that_classes_are_missing_where_a_random_net_sees_blur(
    some_digits: Callable[[str], ImageSet], choose_for: Choose
) -> None:
    train, test = some_digits("train"), some_digits("test")
    assert train.labels is not None
    found = {}
    for name in ("learned", "random"):
        extractor = choose_for(name, ImageSet(train.images), Digits())
        few = train.images[train.labels < 5][: len(test)]
        mixed = np.concatenate([train.images[train.labels == i][:30] for i in range(10)])
        softened = np.stack([_blurred(image) for image in mixed])
        real, missing, blurred = (
            distance(extractor, test.images, images) for images in (mixed, few, softened)
        )
        found[name] = (missing - real) / (blurred - real)
    assert found["learned"] > 5 * found["random"]


def _blurred(image: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, (0, 1, 1))
