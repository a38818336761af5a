"""Metrics of labelled fakes: agreement with a referee, distances within classes, how many."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

import ganvas
from ganvas.errors import UsageError
from ganvas.metrics.agreement import Agreement
from ganvas.metrics.frechet import Moments, distance
from ganvas.metrics.interval import share_interval
from ganvas.metrics.intra_class import IntraClassDistance
from ganvas.metrics.metric import Measured, Views

NAMES = ("cat", "dog", "owl")


def agreement(given: Any, wanted: Any, classes: int = 3, **real: Any) -> Measured:
    """Of fakes that a classifier sees as `given`, asked for as `wanted`."""
    metric = Agreement()
    known = {"probabilities": np.eye(classes), "labels": np.arange(classes), "classes": NAMES}
    statistics = metric.statistics(Views(**known | real))
    probabilities = np.eye(classes)[given] * 0.4 + 0.6 / classes
    return metric.compare(statistics, Views(probabilities=probabilities, labels=np.array(wanted)))


def test_agreement_by_hand() -> None:
    """Of four cats three are cats, of two dogs one is, and the owl is one."""
    found = agreement([0, 0, 0, 2, 1, 0, 2], [0, 0, 0, 0, 1, 1, 2])
    assert found.values == {
        "agreement": 5 / 7,
        "worst": 0.5,
        "class cat": 0.75,
        "class dog": 0.5,
        "class owl": 1.0,
    }
    nums = {"agreement": 7, "worst": 2, "class cat": 4, "class dog": 2, "class owl": 1}
    expected = {key: share_interval(found.values[key], num) for key, num in nums.items()}
    assert found.intervals == expected


def test_a_class_that_was_not_asked_for_has_no_value() -> None:
    found = agreement([0, 2], [0, 1])
    assert found.values == {"agreement": 0.5, "worst": 0, "class cat": 1, "class dog": 0}


def test_many_classes_get_no_value_each() -> None:
    wanted = np.arange(50) % 25
    found = agreement(wanted, wanted, classes=25)
    assert found.values == {"agreement": 1, "worst": 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: agreement([0], [0], own_classes=False), "classifier of the data set's own"),
        (lambda: agreement([0], [0], labels=np.array([0, 1, 5])), "knows 3 classes, .* label 5"),
        (lambda: agreement([0, 1], [0]), "fake labels: found shape"),
    ],
)
def test_what_agreement_cannot_use(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


# Distances within classes


def intra(rows: Any, labels: Any, of_real: Any = None, **settings: Any) -> Measured:
    """Against two classes of real rows, about 0 and about 10."""
    real = np.random.default_rng(0).normal(size=(80, 3))
    real[40:] += 10
    known = np.repeat([0, 1], 40) if of_real is None else of_real
    metric = IntraClassDistance(**settings)
    statistics = metric.statistics(Views(features=real, labels=known, classes=NAMES))
    return metric.compare(statistics, Views(features=rows, labels=np.array(labels)))


def test_distances_by_hand() -> None:
    """Of each class the Fréchet distance of its rows; their mean; the larger one."""
    real = np.random.default_rng(0).normal(size=(80, 3))
    real[40:] += 10
    fakes = np.random.default_rng(1).normal(size=(60, 3))
    fakes[:20] += 10
    labels = [1] * 20 + [0] * 40
    cat = distance(Moments.of(real[:40]), Moments.of(fakes[20:]))
    dog = distance(Moments.of(real[40:]), Moments.of(fakes[:20]))
    found = intra(fakes, labels).values
    assert found == pytest.approx(
        {"mean": (cat + dog) / 2, "worst": max(cat, dog), "class cat": cat, "class dog": dog}
    )


def test_classes_mixed_up_are_far_where_the_whole_is_near() -> None:
    rows = np.random.default_rng(0).normal(size=(80, 3))
    rows[40:] += 10
    assert intra(rows, np.repeat([0, 1], 40)).values["mean"] < 1e-6
    assert intra(rows, np.repeat([1, 0], 40)).values["mean"] == pytest.approx(300, rel=0.1)


def test_a_class_with_too_few_is_one_line() -> None:
    rows = np.zeros((60, 3))
    with pytest.raises(UsageError, match="class dog: found 9 fakes; at least 10 of each class"):
        intra(rows, [0] * 51 + [1] * 9)
    assert intra(rows, [0] * 51 + [1] * 9, least=9).values["mean"] > 0
    with pytest.raises(UsageError, match="class cat: found 4 real images; at least 10"):
        intra(rows, [0] * 60, of_real=np.array([0] * 4 + [1] * 76))


# From the command line, of a generator that takes labels


@pytest.fixture(scope="module")
def garments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 training and 60 test images of 8x8 in five classes, each of one grey and some noise."""
    path = tmp_path_factory.mktemp("garments") / "garments.npz"
    rng = np.random.default_rng(0)

    def some(num: int) -> tuple[Any, Any]:
        labels = np.arange(num) % 5
        return (labels[:, None, None] * 40 + rng.integers(0, 40, (num, 8, 8))).astype(
            np.uint8
        ), labels

    (images, labels), (x_test, y_test) = some(150), some(60)
    np.savez(path, images=images, labels=labels, x_test=x_test, y_test=y_test)
    return path


@pytest.fixture
def numbered(labelled_generator: Path, tmp_path: Path) -> Path:
    """A saved generator whose classes are those of the garments."""
    folder = Path(shutil.copytree(labelled_generator, tmp_path / "numbered"))
    settings = json.loads((folder / "config.json").read_text())
    settings["classes"] = ["0", "1", "2", "3", "4"]
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(tmp_path / "cache"))


def test_a_labelled_generators_fakes_have_the_classes_that_were_drawn(
    numbered: Path, garments: Path, cli: Any, tmp_path: Path
) -> None:
    """Its numbers are those of an NPZ with the same fakes and labels."""
    made = ganvas.load(numbered).labelled(150)
    np.savez(tmp_path / "fakes.npz", images=made.images, labels=made.labels)
    options: dict[str, Any] = {
        "data": garments,
        "features": "pixels",
        "metrics": "1nn-labels150,intra-fd60",
    }
    options["settings"] = {"metrics.intra-fd.least": 5}
    by_itself = ganvas.evaluate(numbered, **options)
    error, inside = by_itself
    assert (error.metric, error.num_fake, error.num_reference) == ("1nn-labels150", 150, 60)
    assert (inside.metric, inside.num_fake, inside.num_reference) == ("intra-fd60", 60, 60)
    assert error.floor["error"] < 0.1 < error.values["error"]
    assert inside.floor["mean"] < inside.values["mean"]
    model = made.images.reshape(150, -1).astype(float)
    real = np.load(garments)
    test = real["x_test"].reshape(60, -1).astype(float)
    nearest = ((test[:, None] - model[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert made.labels is not None
    assert error.values["error"] == pytest.approx((made.labels[nearest] != real["y_test"]).mean())
    done = cli("evaluate", numbered, "--data", garments, "--features", "pixels",
               "--metrics", "1nn-labels150")  # fmt: skip
    assert done.code == 0 and "150 fakes against 60 images" in done.out


def test_more_fakes_than_real_ones_that_could_stand_in_are_not_measured(
    numbered: Path, garments: Path
) -> None:
    options: dict[str, Any] = {
        "data": garments,
        "features": "pixels",
        "metrics": "1nn-labels9000,1nn9000",
    }
    found = ganvas.evaluate(numbered, **options)
    assert [row.metric for row in found] == ["1nn-labels150", "1nn60"]


def test_a_generator_without_classes_is_one_line(tiny_run: Path, garments: Path) -> None:
    with pytest.raises(UsageError, match="it needs labelled fakes: a generator that was trained"):
        ganvas.evaluate(
            tiny_run / "generator", data=garments, features="pixels", metrics="intra-fd"
        )


def test_a_generator_of_other_classes_is_one_line(labelled_generator: Path, garments: Path) -> None:
    with pytest.raises(UsageError, match="label 'T-shirt/top' is no class of the data set"):
        ganvas.evaluate(labelled_generator, data=garments, metrics="1nn-labels")


def test_unasked_a_labelled_generator_has_its_agreement_measured(
    numbered: Path, garments: Path, tiny_run: Path, tmp_path: Path
) -> None:
    rows = ganvas.evaluate(numbered, data=garments, features="pixels", num=20)
    assert rows[-1].metric == "agreement20" and "a classifier is needed" in rows[-1].reason
    plain = shutil.copytree(tiny_run / "generator", tmp_path / "generator")
    rows = ganvas.evaluate(plain, data=garments, features="pixels", num=20)
    assert "agreement20" not in [row.metric for row in rows]
