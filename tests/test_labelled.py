"""A generator that takes labels: which classes it knows, by what names."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas.classes import chosen, index_of
from ganvas.drawing import GROUP, truncated
from ganvas.errors import UsageError
from ganvas.generator import load
from ganvas.images import grid
from ganvas.latents import Normal, Uniform
from ganvas.seeds import stream

GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")


def test_a_saved_generator_knows_the_names_of_its_classes(labelled_generator: Path) -> None:
    saved = json.loads((labelled_generator / "config.json").read_text())
    assert saved["classes"] == list(GARMENTS)
    assert load(labelled_generator).classes == GARMENTS
    assert load(labelled_generator).num_classes == 5


def test_one_that_was_saved_without_names_has_numbers(
    labelled_generator: Path, tmp_path: Path
) -> None:
    older = Path(shutil.copytree(labelled_generator, tmp_path / "older"))
    settings = json.loads((older / "config.json").read_text())
    del settings["classes"], settings["class_counts"]
    (older / "config.json").write_text(json.dumps(settings | {"num_classes": 5}))
    assert load(older).classes == ("0", "1", "2", "3", "4")
    labels = [4, 0, 2]
    images = load(labelled_generator).sample(3, labels=labels)
    assert np.array_equal(load(older).sample(3, labels=labels), images)


def test_a_class_is_asked_for_by_name_or_number(labelled_generator: Path) -> None:
    source = load(labelled_generator)
    plain = source.sample(3, seed=1, labels=[1, 1, 1])
    for wanted in ("Trouser", "trouser", "1", 1, ["Trouser", "1", 1]):
        assert np.array_equal(source.sample(3, seed=1, labels=wanted), plain)  # type: ignore[arg-type]
    assert not np.array_equal(source.sample(3, seed=1, labels="Coat"), plain)
    assert np.array_equal(source.sample(70, seed=1, labels="Coat")[:3], source.sample(3, 1, 4))


def test_without_labels_classes_come_as_often_as_in_the_training_data(
    labelled_generator: Path,
) -> None:
    """Five classes of 10, 0, 0, 30 and 60 images."""
    source = dataclasses.replace(load(labelled_generator), class_counts=(10, 0, 0, 30, 60))
    made = source.labelled(2000, seed=3)
    assert made.labels is not None and made.classes == GARMENTS
    shares = np.bincount(made.labels, minlength=5) / 2000
    assert shares[[1, 2]].tolist() == [0, 0]
    assert np.abs(shares[[0, 3, 4]] - [0.1, 0.3, 0.6]).max() < 0.04
    assert np.array_equal(made.images[:9], source.sample(9, seed=3))
    assert np.array_equal(made.images[:9], source.sample(9, 3, made.labels[:9].tolist()))


def test_a_walk_from_class_to_class_stops_at_each_and_keeps_its_latent(
    labelled_generator: Path,
) -> None:
    source = load(labelled_generator)
    frames = source.walk(frames=12, seed=2, labels=["Coat", "Trouser", "Dress"])
    z = source.latent.sample(1, torch.Generator().manual_seed(stream(2, "walk")))
    stops = source(z.expand(3, -1), torch.tensor([4, 1, 3]))
    assert np.array_equal(frames[::4], stops)
    halfway = source(z, torch.tensor([[0, 0.5, 0, 0, 0.5]]))
    assert np.array_equal(frames[2:3], halfway)
    assert len(np.unique(frames, axis=0)) == 12


def test_a_walk_within_a_class(labelled_generator: Path) -> None:
    source = load(labelled_generator)
    frames = source.walk(frames=10, stops=5, seed=2, labels="Dress")
    points = source.latent.sample(5, torch.Generator().manual_seed(stream(2, "walk")))
    assert np.array_equal(frames[::2], source(points, torch.full((5,), 3)))
    assert source.walk(frames=10).shape == (10, 1, 8, 8)  # classes drawn at its stops


def test_nets_that_take_whole_classes_only_cannot_walk(labelled_generator: Path) -> None:
    source = load(labelled_generator)
    plain = torch.nn.Embedding(5, 32)
    source.net.classes = plain
    with pytest.raises(UsageError, match="takes whole classes only; its nets need"):
        source.walk(labels="all")


def test_classes_that_are_not_there_are_one_line(labelled_generator: Path, tiny_run: Path) -> None:
    source = load(labelled_generator)
    listed = "T-shirt/top, Trouser, Pullover, Dress, Coat"
    with pytest.raises(UsageError) as error:
        source.sample(2, labels="trousr")
    assert str(error.value) == (
        f"labels: no class 'trousr'; did you mean Trouser? allowed: {listed}, or 0 to 4"
    )
    with pytest.raises(UsageError, match="labels: found 5; allowed: 0 to 4, or T-shirt/top"):
        source.sample(2, labels=[1, 5])
    with pytest.raises(UsageError, match="labels: found 3; allowed: one, or 2, one an image"):
        source.sample(2, labels=[1, 2, 3])
    with pytest.raises(UsageError, match="trained without classes and takes none"):
        load(tiny_run).sample(2, labels="Coat")


def test_numbers_with_zeros_at_their_front_go_without_them() -> None:
    names = ("000", "007", "070")
    assert [index_of(name, names) for name in ("0", "7", "007", "70", "070")] == [0, 1, 1, 2, 2]
    assert index_of("all", ("all", "none")) == 0 and chosen("all", ("all", "none")) == [0]
    with pytest.raises(UsageError, match="no class '1'; allowed: 000, 007, 070$"):
        index_of("1", names)


# The command


def test_a_row_a_class(labelled_generator: Path, cli: Any, tmp_path: Path) -> None:
    done = cli("sample", labelled_generator, "--class", "coat,1", "--class", 2, "--num", 3)
    assert done.code == 0, done.err
    source = load(labelled_generator)
    rows = [source.sample(3, labels=label) for label in (4, 1, 2)]
    with Image.open(tmp_path / "samples.png") as picture:
        sheet = grid(np.concatenate(rows), 3, 3)
        scale = picture.height // sheet.shape[1]
        assert picture.height == scale * sheet.shape[1] and scale * 10 >= 40
        left = picture.width - scale * sheet.shape[2]
        assert left > 20, "no names"
        tiles = np.asarray(picture)[:, left:]
        assert np.array_equal(tiles[::scale, ::scale], sheet[0])
        for row in range(3):
            name = np.asarray(picture)[row * picture.height // 3 :][: picture.height // 3, :left]
            assert name.min() < 50 and name.max() == 255
    images = ganvas.sample(labelled_generator, num=3, classes=["coat", 1, 2])
    assert np.array_equal(images, np.concatenate(rows))


def test_all_means_each_class_once(labelled_generator: Path, cli: Any, tmp_path: Path) -> None:
    done = cli("sample", labelled_generator, "--class", "all", "--num", 2, "--npz", "all.npz")
    assert done.code == 0, done.err
    with np.load(tmp_path / "all.npz") as arrays:
        assert arrays["labels"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
        assert arrays["classes"].tolist() == list(GARMENTS)
        first = load(labelled_generator).sample(2, labels=0)
        assert np.array_equal(arrays["images"][:2], first[:, 0])
    assert len(ganvas.sample(labelled_generator, classes="all")) == 50
    assert len(ganvas.sample(labelled_generator, classes="Coat")) == 25


def test_files_lie_in_folders_of_their_classes(labelled_generator: Path, tmp_path: Path) -> None:
    """By number where a name such as T-shirt/top cannot be a folder's."""
    ganvas.sample(labelled_generator, num=2, classes="1,4", folder=tmp_path / "numbers")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.png")) == [
        "numbers/1/0.png",
        "numbers/1/1.png",
        "numbers/4/2.png",
        "numbers/4/3.png",
    ]
    named = Path(shutil.copytree(labelled_generator, tmp_path / "named"))
    settings = json.loads((named / "config.json").read_text())
    settings["classes"][0] = "Shirt"
    (named / "config.json").write_text(json.dumps(settings))
    ganvas.sample(named, num=1, classes="all", folder=tmp_path / "names")
    assert sorted(path.name for path in (tmp_path / "names").iterdir()) == [
        "Coat",
        "Dress",
        "Pullover",
        "Shirt",
        "Trouser",
    ]


def test_labels_in_an_npz_are_the_names_where_those_are_numbers(
    labelled_generator: Path, tmp_path: Path
) -> None:
    named = Path(shutil.copytree(labelled_generator, tmp_path / "named"))
    settings = json.loads((named / "config.json").read_text())
    settings["classes"] = ["1", "2", "3", "5", "8"]
    (named / "config.json").write_text(json.dumps(settings))
    ganvas.sample(named, num=1, classes="all", npz=tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as arrays:
        assert arrays["labels"].tolist() == [1, 2, 3, 5, 8]
    assert np.array_equal(ganvas.sample(named, num=2, classes="8"), load(named).sample(2, labels=4))
    with pytest.raises(UsageError, match="no class '4'; .*allowed: 1, 2, 3, 5, 8$"):
        ganvas.sample(named, classes="4")


def test_the_walk_is_longer_with_more_classes(labelled_generator: Path, tmp_path: Path) -> None:
    ganvas.sample(labelled_generator, classes="all,0", walk=tmp_path / "tour.gif")
    with Image.open(tmp_path / "tour.gif") as picture:
        assert getattr(picture, "n_frames", 1) > 60


# Truncation


def test_truncation_takes_latents_nearer_to_their_mean(labelled_generator: Path) -> None:
    source = load(labelled_generator)
    z = source.latent.sample(GROUP, torch.Generator().manual_seed(stream(0, "sample")))
    nearer = source.sample(5, labels=2, truncation=0.3)
    assert np.array_equal(nearer, source(0.3 * z[:5], torch.full((5,), 2)))
    assert len(np.unique(source.sample(5, labels=2, truncation=0.0), axis=0)) == 1
    assert np.array_equal(source.sample(5, truncation=1.0), source.sample(5))
    uniform = Uniform(dims=4, low=1.0, high=3.0)
    z = torch.tensor([[1.0, 3.0, 2.0, 2.5]])
    assert truncated(uniform, z, 0.5).tolist() == [[1.5, 2.5, 2.0, 2.25]]


def test_a_truncation_that_cannot_be_is_one_line(
    labelled_generator: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cli("sample", labelled_generator, "--truncation", 1.5)
    assert done.code == 2 and "--truncation: found 1.5; allowed: 0 to 1" in done.err
    monkeypatch.delattr(Normal, "mean")  # as a latent of one's own
    with pytest.raises(UsageError, match="latent 'normal' does not say where its mean lies"):
        truncated(Normal(dims=2), torch.ones(1, 2), 0.5)
