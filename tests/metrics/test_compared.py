"""What is compared with what: one rule for sets without a test split, and a run's own look."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ganvas
from ganvas.errors import UsageError
from ganvas.images import read_png
from ganvas.metrics.rows import Row
from ganvas.pixels import fingerprint

pytestmark = pytest.mark.usefixtures("own_cache")

NUM = 240


def evaluate(what: Path, **options: Any) -> list[Row]:
    """In pixels, for which no net has to be trained."""
    return ganvas.evaluate(what, features="pixels", **options)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat folder of 240 grey pictures of 10x8."""
    folder = tmp_path_factory.mktemp("pictures") / "flat"
    folder.mkdir()
    for i, image in enumerate(np.random.default_rng(1).integers(0, 256, (NUM, 10, 8), np.uint8)):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, train_tiny: Callable[..., Any], pictures: Path
) -> Path:
    """A run on those pictures at 8x8, of which it was to hold out some by itself."""
    folder = tmp_path_factory.mktemp("held") / "run"
    settings = {
        "data.name": "folder",
        "data.path": str(pictures),
        "preprocess.image_size": 8,
        "train.length": "128 images",
        "evaluate.metrics": "kd20",
        "evaluate.features": "pixels",
    }
    train_tiny(folder, **settings)
    return folder


def as_older(run: Path, to: Path) -> Path:
    """The run as one of before there was the setting."""
    shutil.copytree(run, to)
    text = (to / "config.toml").read_text()
    (to / "config.toml").write_text(re.sub(r"holdout = \d+\n", "", text))
    return to


def test_training_and_evaluation_use_the_same_images(run: Path) -> None:
    assert "holdout = 48" in (run / "config.toml").read_text()
    about = json.loads((run / "env.json").read_text())["data"]
    assert (about["images"], about["held_out"]) == (NUM - 48, 48)
    found = {row.metric: row for row in evaluate(run, metrics="kd20,kd,memorisation")}
    on_the_way = ganvas.rundir.RunFolder(run).read_metrics()[0]
    assert on_the_way["split"] == "held out"
    assert on_the_way["fingerprint"] == found["kd20"].fingerprint
    row = found["kd48"]  # all of them
    assert row.split == "held out" and row.num_reference == 48
    assert found["memorisation48"].num_train == NUM - 48
    assert found["memorisation48"].values.keys() == {"copied", "closer"}


def test_an_older_run_was_trained_on_all(run: Path, tmp_path: Path, cli: Any) -> None:
    older = as_older(run, tmp_path / "older")
    (row,) = evaluate(older, metrics="kd")
    assert (row.metric, row.split, row.num_train) == ("kd120", "train, one half", NUM)
    said = cli("evaluate", older, "--metrics", "kd", "--features", "pixels")
    assert "120 images of folder" in said.out and ", which it was trained on, seed 0" in said.out
    assert ganvas.config.load(older / "config.toml").data.holdout == 0
    # and a recipe that says nothing is no such run
    recipe = tmp_path / "mine.toml"
    recipe.write_text('extends = "quickstart"\n[data]\nname = "folder"\npath = "x"\n')
    assert ganvas.config.load(recipe).data.holdout == "auto"


def test_pairs_need_no_test_split(run: Path, tmp_path: Path) -> None:
    older = as_older(run, tmp_path / "older")
    pairs = tmp_path / "pairs.png"
    (row,) = evaluate(older, metrics="memorisation", pairs=pairs)
    assert row.values.keys() == {"copied"} and read_png(pairs).width > 8


def test_a_run_finds_its_images_in_another_place(run: Path, pictures: Path, tmp_path: Path) -> None:
    (before,) = evaluate(run, metrics="kd")
    moved = shutil.copytree(pictures, tmp_path / "moved")
    (row,) = evaluate(run, data=moved, metrics="kd")
    assert (row.split, row.fingerprint) == ("held out", before.fingerprint)
    (moved / "0.png").unlink()  # now it is another set, and nothing of it is known
    (row,) = evaluate(run, data=moved, metrics="kd")
    assert (row.split, row.num_reference) == ("train, one half", (NUM - 1) // 2)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (["--image-size", 8], "--image-size"),
        (["--skip-broken"], "--skip-broken"),
        (["--set", "preprocess.channels=3"], "--set preprocess.channels"),
        (["--set", "data.holdout=0"], "--set data.holdout"),
    ],
)
def test_a_run_has_a_look_of_its_own(run: Path, cli: Any, options: list[Any], option: str) -> None:
    said = cli("evaluate", run, "--metrics", "kd20", *options)
    assert said.code == 2 and said.err.count("\n") == 1
    assert f"{option}: found with a run, which is measured as it was trained, at 8x8" in said.err


def test_pictures_are_brought_to_one_size(run: Path, pictures: Path, tmp_path: Path) -> None:
    """Fakes of another size, real ones of another, and a generator whose size is given."""
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    for i in range(30):
        size = (9 + i % 2, 12)
        Image.new("RGB", size, (i, 2 * i, 3 * i)).save(fakes / f"{i}.png")
    (fakes / "bad.png").write_text("no picture")
    options: dict[str, Any] = {"data": pictures, "metrics": "kd"}
    with pytest.raises(UsageError, match="1 of 31 pictures .* go on without them with --skip-bro"):
        evaluate(fakes, **options)
    options["skip_broken"] = True
    with pytest.raises(UsageError, match="images differ in size.*such as --image-size"):
        evaluate(fakes, **options)
    options["image_size"] = "8x6"
    with pytest.raises(UsageError, match=r"8x6 with 3 .* 8x6 with 1 .* preprocess.channels=3"):
        evaluate(fakes, **options)
    (row,) = evaluate(fakes, settings=["preprocess.channels=1"], **options)
    assert (row.metric, row.resize) == ("kd30", "data: bicubic to 8x6")
    assert row.split == "train, one half"  # a set that is only compared with is taken whole
    given = ["preprocess.channels=1", "data.holdout=0.25"]
    (row,) = evaluate(fakes, settings=given, num=30, **options)
    assert (row.metric, row.split) == ("kd30", "held out")

    generator = shutil.copytree(run / "generator", tmp_path / "generator")
    with pytest.raises(UsageError, match="found images of 8x8 .* --image-size 8x8 makes them al"):
        evaluate(generator, data=pictures, metrics="kd20")
    (row,) = evaluate(generator, data=pictures, metrics="kd20", image_size=8)
    assert row.resize == "data: bicubic to 8x8"


def test_fakes_are_all_measured(tmp_path: Path) -> None:
    """None of them are held out, however many they are."""
    images = np.random.default_rng(2).integers(0, 256, (NUM, 8, 8), np.uint8)
    np.savez(tmp_path / "fakes.npz", images=images)
    np.savez(tmp_path / "real.npz", images=images[::-1], x_test=images)
    (row,) = evaluate(tmp_path / "fakes.npz", data=tmp_path / "real.npz", metrics="kd")
    assert row.metric == f"kd{NUM}" and row.fakes_sha256 != fingerprint(images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--image-size", "8y"], "preprocess.image_size: found '8y'; allowed: pixels, as 64"),
        (["--set", "preprocess.first=3"], "'preprocess.first'; allowed here: preprocess.image_si"),
        (["--skip-broken"], "--skip-broken: found where nothing is a folder of pictures"),
        (["--set", "data.holdout=0.9999"], "data.holdout: found 0.9999, that is 64 of 64 images"),
        (["--set", "data.depth=3"], "unknown setting 'data.depth'"),
        (["--image-size=8", "--set", "preprocess.image_size=8"], "found together"),
    ],
)
def test_bad_options_are_one_line(
    cli: Any, tiny_npz: Path, options: list[Any], message: str
) -> None:
    said = cli("evaluate", tiny_npz, "--data", tiny_npz, "--metrics", "kd20", *options)
    assert said.code == 2 and re.search(message, said.err) and said.err.count("\n") == 1
