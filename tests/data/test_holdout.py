"""Images held out of sets without a test split: how many, which, and that all seeds share them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas import config
from ganvas.data.datasets import NPZ, Folder
from ganvas.data.holdout import choose, number, settled, whole
from ganvas.errors import NoSplit, UsageError
from ganvas.images import write_png

RANDOM = np.random.default_rng(0).integers(0, 256, (400, 1, 5, 5), np.uint8)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("arrays")

    def write(name: str = "all", **given: Any) -> str:
        path = folder / f"{name}.npz"
        np.savez(path, **given)
        return str(path)

    return write


def as_set(images: Any) -> set[bytes]:
    return {image.tobytes() for image in images}


@pytest.mark.parametrize(
    ("holdout", "num", "expected"),
    [
        ("auto", 119, 0),
        ("auto", 199, 0),
        ("auto", 200, 40),  # a fifth
        ("auto", 500, 100),
        ("auto", 900, 100),  # at least
        ("auto", 5_000, 500),  # a tenth
        ("auto", 200_000, 10_000),  # at most
        (0, 400, 0),
        (0.25, 400, 100),
        (30, 400, 30),
    ],
)
def test_how_many(holdout: Any, num: int, expected: int) -> None:
    assert number(holdout, num) == expected


@pytest.mark.parametrize(
    ("holdout", "held"), [(0.001, "0 of 400"), (399, "399 of 400"), (0.999, "400 of 400")]
)
def test_both_sides_need_two(holdout: Any, held: str) -> None:
    with pytest.raises(UsageError, match=f"data.holdout: found {holdout}, that is {held} images"):
        number(holdout, 400)


def test_the_two_parts_are_the_set(arrays: Any) -> None:
    data = NPZ(path=arrays(images=RANDOM, labels=np.arange(400) % 10))
    train, test = data.load("train", None), data.load("test", None)
    assert len(train.images) == 320 and len(test.images) == train.held_out == test.held_out == 80
    assert as_set(train.images) | as_set(test.images) == as_set(RANDOM)
    assert not as_set(train.images) & as_set(test.images)
    assert "holds out 80 of 400 images" in train.about
    labels = {RANDOM[i].tobytes(): i % 10 for i in range(400)}
    for part in (train, test):
        assert [labels[image.tobytes()] for image in part.images] == part.labels.tolist()
    assert np.bincount(test.labels).tolist() == [8] * 10


def test_neither_order_nor_names_matter(arrays: Any, tmp_path: Path) -> None:
    held = NPZ(path=arrays(images=RANDOM)).load("test", None)
    again = NPZ(path=arrays("turned", images=RANDOM[::-1])).load("test", None)
    assert as_set(held.images) == as_set(again.images)
    for i, image in enumerate(RANDOM):
        Image.fromarray(image[0]).save(tmp_path / f"{(i * 7) % 400}.png")
    folder = Folder(path=str(tmp_path)).load("test", None)
    assert as_set(folder.images) == as_set(held.images)


def test_images_added_later_leave_those_trained_on_where_they_were(arrays: Any) -> None:
    begun = NPZ(path=arrays("begun", images=RANDOM[:300]))
    run = settled(begun, begun.load("train", None).held_out)
    trained_on = as_set(run.load("train", None).images)
    grown = NPZ(path=arrays(images=RANDOM), holdout=run.holdout)
    assert run.holdout == 60 and not as_set(grown.load("test", None).images) & trained_on


def test_small_classes_have_their_share() -> None:
    labels = np.repeat([0, 1, 2], [340, 40, 20])
    chosen = choose(RANDOM, labels, 40)
    assert np.bincount(labels[chosen]).tolist() == [34, 4, 2]
    more = choose(RANDOM, labels, 60)
    assert set(chosen) < set(more)


def test_equal_images_stay_on_one_side() -> None:
    """A hundred pairs, one image forty times, and 160 others."""
    images = np.concatenate([RANDOM[:100], RANDOM[:100], RANDOM[[100] * 40], RANDOM[101:261]])
    chosen = choose(images, None, 80)
    left = np.delete(np.arange(400), chosen)
    assert len(chosen) == 80 and not as_set(images[chosen]) & as_set(images[left])
    assert len(as_set(images[chosen])) < 80  # some pairs are held out


def test_where_all_are_equal_none_is_held_out(arrays: Any) -> None:
    data = NPZ(path=arrays("equal", images=np.zeros((400, 5, 5), np.uint8)))
    assert len(data.load("train", None).images) == 400
    with pytest.raises(NoSplit, match="of 400 images none are held out"):
        data.load("test", None)


def test_small_sets_say_that_all_are_trained_on(arrays: Any) -> None:
    data = NPZ(path=arrays("few", images=RANDOM[:119]))
    assert data.load("train", None).about == "trains on all 119 images: too few to hold any out"
    assert whole(data).load("train", None).about == ""
    with pytest.raises(NoSplit, match="data.holdout=0 holds none out"):
        whole(data).load("test", None)


def test_a_set_with_a_test_split_stays_as_it_is(arrays: Any, tmp_path: Path) -> None:
    path = arrays("split", images=RANDOM, x_test=RANDOM[:7])
    data = NPZ(path=path)
    train, test = data.load("train", None), data.load("test", None)
    assert (len(train.images), len(test.images), train.held_out) == (400, 7, 0)
    with pytest.raises(UsageError, match=r"data.holdout: found 0.2, and .* a test split of its"):
        NPZ(path=path, holdout=0.2).load("train", None)
    for split in ("train", "test"):
        write_png(tmp_path / split / "1.png", RANDOM[0])
    with pytest.raises(UsageError, match=r"data.holdout: found 5, and .* a test split of its own"):
        Folder(path=str(tmp_path), holdout=5).load("train", None)


@pytest.mark.parametrize("value", ["some", 1, -0.1, 2.5, True, float("inf"), [2]])
def test_what_is_no_holdout_is_one_line(value: Any) -> None:
    with pytest.raises(UsageError, match="data.holdout: found .*; allowed: auto, a share such as"):
        config.component("data", {"name": "npz", "path": "x.npz", "holdout": value})
