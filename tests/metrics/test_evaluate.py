"""evaluate: the numbers of known sets, the record of the protocol, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import ganvas
from ganvas.data.datasets import Digits
from ganvas.errors import UsageError
from ganvas.images import read_png, write_png
from ganvas.metrics.evaluate import DEFAULT
from ganvas.metrics.extractors import classifier_net
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.metrics.reference import order, some
from ganvas.metrics.rows import Row
from ganvas.pixels import ImageSet, fingerprint
from ganvas.registry import METRICS

pytestmark = pytest.mark.usefixtures("own_cache")

MEASURES = METRICS.names()


@pytest.fixture(scope="module")
def digits_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test digits as if they were fakes."""
    path = tmp_path_factory.mktemp("npz") / "test.npz"
    digits = Digits().load("test", None)
    np.savez(path, images=digits.images, labels=digits.labels)
    return path


@pytest.fixture(scope="module")
def rows(digits_npz: Path) -> dict[str, Row]:
    """All metrics of the test digits against themselves, by short name."""
    found = ganvas.evaluate(
        digits_npz, data="digits", metrics=MEASURES, settings={"metrics.cas.shown": 256}
    )
    return dict(zip(MEASURES, found, strict=True))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """labelled("x.npz", array=..., ...) writes an .npz file."""
    folder = tmp_path_factory.mktemp("sets")

    def write(name: str, **arrays: Any) -> Path:
        np.savez(folder / name, **arrays)
        return folder / name

    return write


# Numbers


@pytest.mark.parametrize(
    ("metric", "key", "best"),
    [
        ("fd", "distance", 0),
        ("prdc", "precision", 1),
        ("prdc", "recall", 1),
        ("prdc", "coverage", 1),
        ("classes", "kl", 0),
        ("classes", "classes_hit", 10),
        ("modes", "modes", 10),
        ("1nn", "accuracy", 0),  # each image's nearest is its copy in the other set
        ("1nn-labels", "error", 0),
        ("intra-fd", "mean", 0),
        ("duplicates", "exact", 0),
        ("memorisation", "copied", 0),
    ],
)
def test_a_set_against_itself_is_at_its_best(
    rows: dict[str, Row], metric: str, key: str, best: float
) -> None:
    assert rows[metric].values[key] == pytest.approx(best, abs=1e-6)


def test_a_set_against_itself_beats_the_floor(rows: dict[str, Row]) -> None:
    assert rows["fd"].values["distance"] < rows["fd"].floor["distance"]
    assert rows["kd"].values["distance"] < rows["kd"].floor["distance"]
    assert rows["parzen"].values["log_likelihood"] > rows["parzen"].floor["log_likelihood"]


def test_the_floor_is_close_to_perfect(rows: dict[str, Row]) -> None:
    assert rows["prdc"].floor["precision"] > 0.9
    assert 0 < rows["1nn-labels"].floor["error"] < 0.15
    assert rows["1nn"].floor["accuracy"] == pytest.approx(0.5, abs=0.1)
    assert rows["memorisation"].floor["closer"] == pytest.approx(0.5, abs=0.1)
    assert rows["memorisation"].floor["copied"] == 0


def test_real_images_sit_at_the_floor(labelled: Callable[..., Path]) -> None:
    """Training images that the floor's are mostly others than."""
    train = Digits().load("train", None)
    rows = np.random.default_rng(0).permutation(len(train.images))[:299]
    path = labelled("real299.npz", images=train.images[rows], labels=train.labels[rows])
    metrics = ["fd", "prdc", "1nn", "1nn-labels", "duplicates"]
    by_name = dict(zip(metrics, ganvas.evaluate(path, data="digits", metrics=metrics), strict=True))
    fd = by_name["fd"]
    assert fd.values["distance"] == pytest.approx(fd.floor["distance"], rel=0.5)
    for name in ("prdc", "1nn", "1nn-labels", "duplicates"):
        for key in by_name[name].intervals:
            found = by_name[name].values[key]
            assert found == pytest.approx(by_name[name].floor[key], abs=0.08), (name, key)


@pytest.mark.parametrize("metric", MEASURES)
def test_the_protocol_is_complete(rows: dict[str, Row], metric: str) -> None:
    row = rows[metric]
    assert row.metric == f"{metric}299" and row.num_fake == row.num_reference == 299
    assert row.reason == "" and row.values and row.values.keys() == row.floor.keys()
    assert (row.data, row.split, row.seed, row.resize) == ("digits", "test", 0, "none")
    assert len(row.fingerprint) == len(row.extractor_sha256) == 64
    on_pixels = metric in ("parzen", "1nn-labels", "cas", "duplicates", "memorisation")
    assert row.extractor == ("pixels" if on_pixels else "classifier-digits")
    assert (row.extractor_accuracy is None) == on_pixels
    assert list(row.settings) == [metric]
    for key, (low, high) in row.intervals.items():
        assert low - 1e-9 <= row.values[key] <= high + 1e-9
    json.dumps(row.as_json(), allow_nan=False)


def test_a_row_says_what_was_measured_and_what_was_trained_on(
    digits_npz: Path, rows: dict[str, Row]
) -> None:
    fakes, train = np.load(digits_npz)["images"], Digits().load("train", None).images
    order_of = {fingerprint(some(ImageSet(fakes), order(len(fakes), 0, "fakes")).images)}
    assert {row.fakes_sha256 for row in rows.values()} == order_of
    assert {(row.num_train, row.train_sha256) for row in rows.values()} == {
        (len(train), fingerprint(train))
    }
    assert {row.ganvas for row in rows.values()} == {ganvas.__version__}
    few = ganvas.evaluate(digits_npz, data="digits", metrics="1nn100")
    assert {row.fakes_sha256 for row in few}.isdisjoint(order_of)


def test_the_same_seed_gives_the_same_numbers(digits_npz: Path, rows: dict[str, Row]) -> None:
    again = ganvas.evaluate(digits_npz, data="digits", metrics="fd, classes")
    assert again == [rows["fd"], rows["classes"]]
    other = ganvas.evaluate(digits_npz, data="digits", metrics="fd", num=100, seed=1)
    assert other[0].metric == "fd100" and other[0].values != rows["fd"].values


def test_noise_is_far_from_digits(labelled: Callable[..., Path]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 28, 28), dtype=np.uint8)
    by_name = {r.metric: r for r in ganvas.evaluate(labelled("n.npz", images=noise), data="digits")}
    assert list(by_name) == [f"{name}120" for name in DEFAULT]
    distance = by_name["fd120"]
    assert distance.values["distance"] > 5 * distance.floor["distance"]
    assert by_name["prdc120"].values["precision"] < 0.1


def test_the_reference_can_be_the_training_images(digits_npz: Path) -> None:
    (row,) = ganvas.evaluate(digits_npz, data="digits", metrics="fd", split="train", num=200)
    assert row.split == "train" and row.values["distance"] < 5 * row.floor["distance"]


def test_the_kernel_distance_has_the_mean_and_the_spread_of_subsets(rows: dict[str, Row]) -> None:
    row = rows["kd"]
    assert row.settings["kd"]["subset_size"] == 149 and row.settings["kd"]["subsets"] == 100
    # 100 subsets differ by the spread, hence their mean from the distance by a tenth of it
    assert row.floor["spread"] > 0
    error = abs(row.floor["subsets"] - row.floor["distance"])
    assert error < 0.5 * row.floor["spread"]


def test_metrics_on_pixels_train_no_classifier(
    labelled: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier_net, "fit", None)  # would fail
    images, names = Digits().load("train", None).images[:80], np.arange(80) % 2
    path = labelled("two.npz", images=images, labels=names)
    (row,) = ganvas.evaluate(path, data=path, metrics="duplicates", split="train")
    assert row.extractor == "pixels"


# Names and settings


def test_names_say_how_many_images(digits_npz: Path, rows: dict[str, Row]) -> None:
    options = {"data": "digits", "num": 150}
    found = ganvas.evaluate(digits_npz, metrics="fd299,prdc100,kernel,fd10k", **options)
    assert [row.metric for row in found] == ["fd299", "prdc100", "kd150"]  # once
    assert found[0] == rows["fd"]
    assert found[1].num_fake == found[1].num_reference == 100
    for row in found[1:]:  # as if each had been asked for alone
        metric = row.metric.rstrip("0123456789")
        (alone,) = ganvas.evaluate(digits_npz, data="digits", metrics=metric, num=row.num_fake)
        assert row == alone


def test_settings_of_a_metric(digits_npz: Path, rows: dict[str, Row]) -> None:
    options = {"data": "digits", "metrics": "fd,prdc"}
    found = ganvas.evaluate(digits_npz, settings=["metrics.prdc.k=3"], **options)
    assert found[0] == rows["fd"]
    k, usual = (row.settings["prdc"]["k"] for row in (found[1], rows["prdc"]))
    assert (k, usual) == (3, 5)
    assert found[1].floor != rows["prdc"].floor  # which is not that of another k, from the cache
    assert found == ganvas.evaluate(digits_npz, settings={"metrics.prdc.k": 3}, **options)
    spelled = ganvas.evaluate(digits_npz, settings=["metrics.frechet.groups=0"], **options)
    assert spelled[0].settings == {"fd": {"groups": 0}} and not spelled[0].intervals
    assert spelled[:1] == ganvas.evaluate(
        digits_npz, settings={"metrics.fd299.groups": 0}, data="digits", metrics="fd299"
    )


def test_a_runs_own_settings_are_overridden(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    with (run / "config.toml").open("a") as file:
        file.write("[metrics.prdc]\nk = 3\n[metrics.kd]\nsubsets = 7\n")
    options = {"metrics": "prdc,kd", "split": "train"}
    found = [row.settings for row in ganvas.evaluate(run, **options)]
    assert found[0]["prdc"]["k"] == 3 and found[1]["kd"]["subsets"] == 7
    found = [
        row.settings for row in ganvas.evaluate(run, settings={"metrics.kd.seed": 1}, **options)
    ]
    assert found[0]["prdc"]["k"] == 3
    assert (found[1]["kd"]["subsets"], found[1]["kd"]["seed"]) == (7, 1)


# Labelled fakes


def test_the_label_error_is_that_of_scikit_learn(labelled: Callable[..., Path]) -> None:
    """Noisy training digits with labels from 0, of which every tenth is wrong."""
    train, test = (Digits().load(split, None) for split in ("train", "test"))
    noise = np.random.default_rng(0).integers(0, 60, train.images[:299].shape)
    images = np.minimum(train.images[:299] + noise, 255).astype(np.uint8)
    names = train.labels[:299].copy()
    names[::10] = (names[::10] + 1) % 10
    path = labelled("fakes.npz", images=images, labels=names)
    (row,) = ganvas.evaluate(path, data="digits", metrics="1nn-labels")
    model = KNeighborsClassifier(1, algorithm="brute").fit(images.reshape(299, -1) / 255, names)
    expected = 1 - model.score(test.images.reshape(299, -1) / 255, test.labels)
    assert row.metric == "1nn-labels299" and row.extractor == "pixels"
    assert row.values["error"] == pytest.approx(expected, abs=1e-12)
    assert row.floor["error"] < row.intervals["error"][0] < expected


def test_class_folders_go_by_their_names(tmp_path: Path) -> None:
    """Ten folders of digits whose order on disk is not that of the classes' numbers."""
    digits = Digits().load("test", None)
    for i in range(100):
        write_png(tmp_path / f"{digits.labels[i]}" / f"{i}.png", digits.images[i])
    shutil.rmtree(tmp_path / "0")  # so that places and names differ
    (row,) = ganvas.evaluate(tmp_path, data="digits", metrics="1nn-labels")
    assert row.num_fake < 100 and row.values["error"] < 0.5


def test_numbers_stand_for_named_classes_by_their_places(labelled: Callable[..., Path]) -> None:
    images, names = Digits().load("train", None).images[:60], np.arange(60) % 2
    folder = labelled("real.npz", images=images, labels=names).parent / "named"
    for i, image in enumerate(images):
        write_png(folder / ("even", "odd")[i % 2] / f"{i}.png", image)
    fakes = labelled("numbered.npz", images=images, labels=names)
    options = {"data": folder, "metrics": "1nn-labels", "split": "train", "features": "pixels"}
    (row,) = ganvas.evaluate(fakes, **options)
    assert row.values["error"] < 0.8 and row.num_fake == 30
    with pytest.raises(UsageError, match="label '2' is no class of the data set; allowed: even"):
        ganvas.evaluate(labelled("wrong.npz", images=images, labels=names + 1), **options)
    # labels that fit no class matter to no other metric
    ganvas.evaluate(
        labelled("wrong.npz", images=images, labels=names + 1), **options | {"metrics": "fd"}
    )


# Runs


def test_a_run_keeps_its_rows(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "metrics.jsonl").write_text('{"metric": "old"}\n')
    found = ganvas.evaluate(run)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    measured = [row for row in found if row.values]
    assert [line["metric"] for line in lines] == ["old", *(row.metric for row in measured)]
    assert lines[1] == measured[0].as_json()
    assert (lines[1]["step"], lines[1]["images"]) == (12, 192)
    memorisation = measured[-1]  # nothing was held out of so few
    assert memorisation.values.keys() == memorisation.floor.keys() == {"copied"}
    assert memorisation.picture == str(run / "memorisation.png")
    assert measured[0].extractor == "learned" and "no labels" in measured[0].note
    assert measured[0].split == "train, one half" and measured[0].metric == "fd32"
    reasons = {row.metric: row.reason for row in found if row.reason}
    assert reasons.keys() == {"classes32"}

    monkeypatch.setattr(Extractor, "__call__", None)  # would fail for real images
    with pytest.raises(TypeError):  # and does for the fakes, which are never kept
        ganvas.evaluate(run, split="train", metrics="fd")


def test_a_saved_generator_needs_a_data_set(tiny_run: Path, tiny_npz: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_run / "generator", tmp_path / "generator")
    with pytest.raises(UsageError, match="--data"):
        ganvas.evaluate(copy, split="train")
    (row,) = ganvas.evaluate(copy, data=tiny_npz, split="train", metrics=["kd"], num=20)
    assert row.images == 192 and row.step is None and row.metric == "kd20"


def test_the_picture_of_the_pairs(digits_npz: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.png"
    (row,) = ganvas.evaluate(digits_npz, data="digits", metrics="memorisation", pairs=path)
    assert row.picture == str(path) and read_png(path).width > 200
    with pytest.raises(UsageError, match="--pairs"):
        ganvas.evaluate(digits_npz, data="digits", metrics="fd", pairs=path)


def test_copies_of_training_images_are_noticed(labelled: Callable[..., Path]) -> None:
    copies = Digits().load("train", None).images[:100]
    path = labelled("copies.npz", images=copies)
    (row,) = ganvas.evaluate(path, data="digits", metrics="memorisation")
    assert row.values == {"copied": 1.0, "closer": 1.0}


def test_real_images_are_measured_once(
    digits_npz: Path, rows: dict[str, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    call = Extractor.__call__
    monkeypatch.setattr(
        Extractor, "__call__", lambda self, x: passes.append(len(x)) or call(self, x)
    )
    ganvas.evaluate(digits_npz, data="digits", metrics="fd")
    assert passes == [299]  # the fakes alone


# The command


def test_the_command_prints_a_table_or_json(cli: Callable[..., Any], digits_npz: Path) -> None:
    said = cli("evaluate", digits_npz, "--data", "digits", "--metrics", "fd,classes")
    assert "99.67% accurate on 299 images" in said.out
    assert said.code == 0 and "fd299 distance" in said.out and "classifier-digits" in said.out
    assert "299 fakes against 299 images of digits (test" in said.out
    said = cli("evaluate", digits_npz, "--data", "digits", "--metrics", "fd", "--json")
    (row,) = json.loads(said.out)
    assert row["metric"] == "fd299" and math.isfinite(row["floor"]["distance"])


IMAGES = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"images": IMAGES[:2]}, ["--metrics", "prdc"], "at least 6"),
        ({"images": IMAGES[:1]}, [], "too little data"),
        ({"images": IMAGES[:, :20, :20]}, [], "20x20 with 1 channel"),
        ({"images": np.repeat(IMAGES[..., None], 3, 3)}, [], "28x28 with 3 channels"),
        ({"images": np.full((20, 28, 28), np.nan)}, [], "NaN"),
        ({"images": np.array([{}] * 20, object)}, [], "Python objects"),
        ({"images": np.full((20, 28, 28), 255.0)}, [], "floats from 255 to 255; expected floats"),
        ({"images": IMAGES.astype(np.int64)}, [], "int64; expected uint8"),
        ({"images": IMAGES[:, 0]}, [], "of shape (20, 28)"),
        ({"images": IMAGES}, ["--metrics", "1nn-labels"], "needs labelled fakes"),
        ({"images": IMAGES, "labels": np.full(20, 77)}, ["--metrics", "1nn-labels"], "label '77'"),
        ({"images": IMAGES, "labels": np.zeros(9, int)}, [], "'labels' of int64 (9,)"),
        ({"images": IMAGES}, ["--metrics", "fud"], "unknown metric 'fud'"),
        ({"images": IMAGES}, ["--metrics", "fid"], "choose the features inception, or take fd"),
        ({"images": IMAGES}, ["--metrics", "classes", "--features", "pixels"], "a classifier"),
        ({"images": IMAGES}, ["--features", "vgg"], "--features: found 'vgg'"),
        ({"images": IMAGES}, ["--split", "valid"], "--split: found 'valid'"),
        ({"images": IMAGES}, ["--metrics", "fd1"], "--metrics: found 'fd1'; allowed: 2 images"),
        ({"images": IMAGES}, ["--metrics", "prdc3"], "--metrics prdc3: real images: found 3"),
        ({"images": IMAGES}, ["--set", "metrics.prdc.kk=3"], "did you mean k?"),
        ({"images": IMAGES}, ["--set", "metrics.prdc.k=0"], "metrics.prdc.k: found 0"),
        ({"images": IMAGES}, ["--set", "metrics.parzen.low=1"], "parzen is not measured"),
        ({"images": IMAGES}, ["--set", "metrics.pdrc.k=3"], "unknown metric 'pdrc'"),
        ({"images": IMAGES}, ["--set", "metrics.prdc=3"], "metrics.METRIC.SETTING=VALUE"),
        ({"images": IMAGES}, ["--set", "train.epochs=3"], "allowed: metrics.METRIC.SETTING"),
        ({"images": IMAGES}, ["--num", "1"], "--num: found 1"),
        ({"images": IMAGES}, ["--split", "train", "--metrics", "parzen"], "use --split test"),
    ],
)
def test_bad_input_is_one_line(
    cli: Callable[..., Any],
    labelled: Callable[..., Path],
    arrays: dict[str, Any],
    options: list[str],
    message: str,
) -> None:
    said = cli("evaluate", labelled("bad.npz", **arrays), "--data", "digits", *options)
    assert said.code == 2 and message in said.err
    assert said.err.count("\n") == 1 and "unexpected" not in said.err


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (np.zeros(20, int), ["--features", "classifier"], "one class only"),
        (np.zeros(20, int), ["--metrics", "1nn-labels"], "at least two classes"),
        (None, ["--metrics", "1nn-labels"], "the data set has no labels"),
        (None, ["--features", "classifier"], "no labels"),
        (None, ["--split", "test"], "--split train"),
    ],
)
def test_data_that_cannot_be_compared_with(
    cli: Callable[..., Any],
    labelled: Callable[..., Path],
    labels: Any,
    options: list[str],
    message: str,
) -> None:
    arrays = {"images": IMAGES} | ({} if labels is None else {"labels": labels})
    data = labelled("data.npz", **arrays)
    split = [] if "--split" in options else ["--split", "train"]
    said = cli("evaluate", labelled("own.npz", images=IMAGES), "--data", data, *split, *options)
    assert said.code == 2 and message in said.err and said.err.count("\n") == 1


def test_nothing_there(cli: Callable[..., Any]) -> None:
    said = cli("evaluate", "nowhere", "--data", "digits")
    assert said.code == 2 and "nowhere" in said.err and said.err.count("\n") == 1


def test_broken_pictures(cli: Callable[..., Any], tmp_path: Path) -> None:
    for i, image in enumerate(IMAGES):
        write_png(tmp_path / f"{i}.png", image[None])
    whole = (tmp_path / "7.png").read_bytes()
    (tmp_path / "7.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "8.png").write_bytes(b"no picture")
    said = cli("evaluate", tmp_path, "--data", "digits", "--metrics", "fd")
    assert said.code == 2 and said.err.count("\n") == 1
    assert "2 of 20" in said.err and "7.png" in said.err and "8.png" in said.err
