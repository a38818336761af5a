"""The real images: what stands in for fakes, what is computed once, what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import platformdirs
import pytest
from pydantic.dataclasses import dataclass

from ganvas.config import Preprocess
from ganvas.data.datasets import NPZ, Digits
from ganvas.errors import UsageError
from ganvas.metrics import cache
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.metrics.extractors.pixels import pixels
from ganvas.metrics.extractors.spared import spared
from ganvas.metrics.forms import extracted, fake_views, pixel_rows, real_views
from ganvas.metrics.metric import Measured, Metric, Need, StandIns, Views
from ganvas.metrics.reference import Reference, most
from ganvas.pixels import ImageSet
from ganvas.registry import CHECKED, METRICS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(tmp_path / "cache"))
    return tmp_path / "cache"


def numbered(start: int, num: int) -> ImageSet:
    """2x2 images whose first pixel is their number."""
    images = np.zeros((num, 1, 2, 2), np.uint8)
    images[:, 0, 0, 0] = np.arange(start, start + num)
    return ImageSet(images, np.arange(num) % 2)


def reference(
    test: ImageSet | None = None, num: int = 20, split: Any = "test", first: int | None = None
) -> Reference:
    return Reference(
        NPZ(path="x.npz"), Preprocess(first=first), numbered(0, 100), test, split, 0, pixels(), num
    )


def numbers(pixels: Any) -> list[int]:
    found: list[int] = np.asarray(pixels).reshape(len(pixels), -1)[:, 0].astype(int).tolist()
    return found


class Spy(Metric):
    """Notes what it is given."""

    better: ClassVar[dict[str, Any]] = {}
    seen: ClassVar[list[Any]] = []

    def statistics(self, real: Views) -> Views:
        self.seen.append(real)
        return real

    def compare(self, statistics: Views, fakes: Views) -> Measured:
        self.seen.append((statistics, fakes))
        return Measured({"value": float(np.mean(np.asarray(fakes.pixels)))})


def spy(stand_ins: StandIns, *needs: Need) -> Metric:
    @dataclass(frozen=True, kw_only=True, config=CHECKED)
    class One(Spy):
        pass

    One.needs, One.floor, One.seen = ("pixels", *needs), stand_ins, []  # type: ignore[assignment]
    return One()


# The images


def test_with_a_test_split_the_other_one_stands_in() -> None:
    metric = spy("other split")
    of = reference(numbered(100, 50))
    of.floor(metric)
    real, fakes = metric.seen[-1]  # type: ignore[attr-defined]
    assert len(set(numbers(real.pixels))) == 20 and min(numbers(real.pixels)) >= 100
    assert len(set(numbers(fakes.pixels))) == 20 and max(numbers(fakes.pixels)) < 100
    replace(of, split="train").floor(metric)
    real, fakes = metric.seen[-1]  # type: ignore[attr-defined]
    assert max(numbers(real.pixels)) < 100 <= min(numbers(fakes.pixels))


def test_without_one_two_halves_share_no_image() -> None:
    metric = spy("other split")
    reference(None, 50, "train").floor(metric)
    real, fakes = metric.seen[-1]  # type: ignore[attr-defined]
    assert sorted(numbers(real.pixels) + numbers(fakes.pixels)) == list(range(100))
    assert most(numbered(0, 101), None) == 50 and most(numbered(0, 101), numbered(0, 7)) == 7


def test_training_images_are_left_out_where_they_stand_in() -> None:
    metric = spy("left out", "training", "unseen")
    of = reference(numbered(100, 50), first=60)
    of.floor(metric)
    real, fakes = metric.seen[-1]  # type: ignore[attr-defined]
    assert sorted(numbers(real.training) + numbers(fakes.pixels)) == list(range(60))
    assert min(numbers(real.unseen)) >= 100
    assert numbers(of.prepared(metric)[1].training) == list(range(60))  # for fakes all are there
    assert reference(numbered(100, 50), num=59, first=60).floor(metric).values == {}


def test_images_held_out_do_not_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganvas.metrics.reference.LAST", 40)
    monkeypatch.setattr("ganvas.metrics.reference.HELD_OUT", 10)
    metric = spy("training", "held_out")
    reference(numbered(100, 50)).floor(metric)
    real, fakes = metric.seen[-1]  # type: ignore[attr-defined]
    assert numbers(real.held_out) == list(range(60, 70))
    assert len(set(numbers(fakes.pixels))) == 20
    assert not set(numbers(fakes.pixels)) & set(numbers(real.held_out))


@pytest.mark.parametrize(
    ("needs", "changes", "message"),
    [
        (["labels"], {"train": ImageSet(np.zeros((9, 1, 2, 2), np.uint8))}, "has no labels"),
        (["labels"], {"train": ImageSet(numbered(0, 9).images, np.zeros(9, int))}, "at least two"),
        (["probabilities"], {}, "a classifier is needed; the features are 'pixels'"),
        (["held_out"], {}, "it is defined on test images, and there are none"),
    ],
)
def test_what_is_not_to_be_had_is_refused(
    needs: list[Need], changes: dict[str, Any], message: str
) -> None:
    of = replace(reference(None, 4, "train"), **changes)
    with pytest.raises(UsageError, match=message):
        of.prepared(spy("other split", *needs))


def test_labelled_fakes_are_asked_for() -> None:
    of, metric = reference(numbered(100, 50)), spy("other split", "labels")
    with pytest.raises(UsageError, match="it needs labelled fakes"):
        of.measure(metric, Views(pixels=np.zeros((20, 4), np.uint8)))


# Once


def test_statistics_are_computed_once() -> None:
    metric = spy("other split")
    of = reference(numbered(100, 50))
    for _ in range(3):
        of.measure(metric, Views(pixels=np.zeros((20, 4), np.uint8)))
    of.floor(metric)
    assert sum(isinstance(item, Views) for item in metric.seen) == 1  # type: ignore[attr-defined]


def test_a_floor_is_kept_by_all_that_it_follows_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = METRICS.get("duplicates")()
    base = reference(numbered(100, 50))
    floor = base.floor(metric)
    entries = lambda: len(list((folder / "metrics" / "floors").iterdir()))  # noqa: E731
    assert floor.values and entries() == 1
    with monkeypatch.context() as patch:
        patch.setattr(type(metric), "compare", None)  # a second computation would fail
        again = reference(numbered(100, 50)).floor(metric)
    assert again == floor
    others = [
        (base, METRICS.get("duplicates")(quantile=0.3)),
        (replace(base, num=19), metric),
        (replace(base, seed=1), metric),
        (replace(base, split="train"), metric),
        (replace(base, train=numbered(1, 100)), metric),
        (replace(base, test=numbered(101, 50)), metric),
    ]
    for i, (other, component) in enumerate(others, 2):
        other.floor(component)
        assert entries() == i


def test_a_damaged_floor_is_computed_anew(folder: Path) -> None:
    metric = METRICS.get("1nn")()
    floor = reference(numbered(100, 50)).floor(metric)
    (path,) = (folder / "metrics" / "floors").iterdir()
    path.write_bytes(path.read_bytes().replace(b"0.", b"9."))
    assert reference(numbered(100, 50)).floor(metric).values == floor.values


def test_features_of_real_images_are_kept_and_those_of_fakes_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extractor, images = pixels(), numbered(0, 30)
    first, _ = extracted(extractor, images.images)
    monkeypatch.setattr(Extractor, "__call__", None)  # a second computation would fail
    again, _ = extracted(extractor, images.images)
    assert np.array_equal(first, again)
    assert real_views(images, extractor, ["features"]).features is not None
    for fails in (
        lambda: fake_views(images, extractor, ["features"]),
        lambda: extracted(extractor, images.images[:9]),
        lambda: extracted(replace(extractor, sha256="0"), images.images),
    ):
        with pytest.raises(TypeError):
            fails()
    cache.clear()
    with pytest.raises(TypeError):
        extracted(extractor, images.images)


# Forms


def test_only_what_is_needed_is_there() -> None:
    images = ImageSet(Digits().load("test", None).images[:9], np.arange(9))
    seen = fake_views(images, pixels(), ["pixels", "labels"])
    given = {key for key, value in vars(seen).items() if value is not None}
    assert given == {"pixels", "labels", "own_classes", "classes"}
    assert seen.classes == tuple("012345678")
    seen = fake_views(images, pixels(), ["features", "images"])
    assert np.shape(seen.features) == (9, 784) and np.shape(seen.first(4).features) == (4, 784)
    assert np.shape(seen.first(4).images) == (4, 1, 28, 28) and seen.first(4).labels is None


def test_large_images_are_shrunk_for_their_pixels() -> None:
    images = np.full((3, 3, 64, 48), 200, np.uint8)
    images[:, :, ::2] = 100
    rows = pixel_rows(images)
    assert rows.shape == (3, 3 * 32 * 24) and rows.dtype == np.uint8
    assert (rows == 150).all()
    assert pixel_rows(images[:, :, :32, :32]).shape == (3, 3 * 32 * 32)


# What the net behind the features has seen


def seen_by(learnt: Any, spares: bool = False) -> Extractor:
    return replace(pixels(), learnt=learnt, spares=spares)


def stand_ins(of: Reference, *needs: Need) -> list[int]:
    metric = spy("other split", *needs)
    cache.clear()
    of.floor(metric)
    _, fakes = metric.seen[-1]  # type: ignore[attr-defined]
    return numbers(fakes.pixels)


def note_of(of: Reference) -> str:
    return of.blank(METRICS.get("fd")()).note


def test_stand_ins_are_images_that_the_net_has_not_seen() -> None:
    base = reference(numbered(100, 50))
    fresh = set(np.flatnonzero(spared(100, has_test=True)))
    assert len(fresh) == 20
    of = replace(base, extractor=seen_by("train", spares=True))
    assert set(stand_ins(of, "features")) == fresh and note_of(of) == ""

    of = replace(base, extractor=seen_by("train"))  # then only test images are left
    real = numbers(of.prepared(spy("other split"))[1].pixels)
    assert min(stand_ins(of, "features")) >= 100 and not set(stand_ins(of, "features")) & set(real)
    assert note_of(of) == ""

    assert stand_ins(of) == stand_ins(base)  # to a metric of pixels it does not matter


@pytest.mark.parametrize(
    ("learnt", "changes", "said"),
    [
        ("train", {"num": 30}, "the images of the floor"),
        ("test", {}, "the images of the reference"),
        ("train", {"split": "train"}, "the images of the reference"),
        ("test", {"split": "train"}, "the images of the floor"),
        ("train", {"test": None}, "the images of the reference and the floor"),
        (None, {"num": 30}, ""),
    ],
)
def test_a_row_says_which_images_the_net_has_seen(
    learnt: Any, changes: dict[str, Any], said: str
) -> None:
    of = replace(reference(numbered(100, 50)), extractor=seen_by(learnt), **changes)
    found = note_of(of)
    assert found.endswith(said) and bool(found) == bool(said)
    assert of.blank(METRICS.get("duplicates")()).note == ""  # its number is not in features


def test_without_test_images_the_half_that_stands_in_is_the_one_that_no_net_learns_from() -> None:
    of = replace(reference(None, 50, "train"), extractor=seen_by("train", spares=True))
    assert set(stand_ins(of, "features")) == set(np.flatnonzero(spared(100, has_test=False)))
    assert note_of(of).endswith("the images of the reference")
    other = replace(of, seed=3, num=20)
    assert (
        set(stand_ins(other, "features")) < set(stand_ins(of, "features"))
        and stand_ins(other, "features") != stand_ins(of, "features")[:20]
    )
