"""The rules by which a recipe is fitted to images, and that what is given wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ganvas
from ganvas import config
from ganvas.config.fitting import RULED, Facts, Size, fitted, fitting_size
from ganvas.data.datasets import Folder
from ganvas.errors import UsageError
from ganvas.images import write_png
from ganvas.protocols import RawImages, Split


def chosen(facts: Facts, **given: Any) -> dict[str, Any]:
    names = {key.replace("__", "."): value for key, value in given.items()}
    return {choice.setting: choice.value for choice in fitted(facts, RULED, names)}


def mnist_like(count: int = 60_000, *class_counts: int) -> Facts:
    return Facts(count, {(28, 28): count}, class_counts)


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ([(28, 28)], None),
        ([(50, 30)], None),
        ([(64, 128)], None),
        ([(480, 640)], (64, 85)),
        ([(640, 480)], (85, 64)),
        ([(100, 1000)], (64, 128)),  # longer ones are squeezed
        ([(40, 40), (41, 40)], (40, 40)),
        ([(4, 6)], (8, 12)),
        ([(32, 20), (640, 480)], (32, 20)),
    ],
)
def test_size(sizes: list[Size], fits: Size | None) -> None:
    assert fitting_size(sizes) == fits


@pytest.mark.parametrize(
    ("count", "batch"), [(60_000, 64), (128, 64), (127, 32), (12, 4), (3, 2), (2, 2)]
)
def test_few_images_fill_small_batches(count: int, batch: int) -> None:
    assert chosen(mnist_like(count))["train.batch_size"] == batch


def test_length_falls_with_size_and_with_few_images() -> None:
    assert chosen(mnist_like())["train.length"] == "600000 images"
    assert chosen(Facts(60_000, {(56, 56): 60_000}))["train.length"] == "300000 images"
    assert chosen(mnist_like(400))["train.length"] == "150000 images"
    assert chosen(mnist_like(1_000))["train.length"] == "200000 images"


def test_what_is_given_is_not_chosen_and_the_rest_follows_it() -> None:
    found = chosen(mnist_like(), train__length="3 epochs", latent__dims=7)
    assert not {"train.length", "latent.dims"} & set(found)
    assert found["model.width"] == 16
    assert found["output.sample"] == "4500 images"
    assert chosen(mnist_like(), train__length="1000 images")["model.width"] == 8
    assert chosen(mnist_like(), train__length="100 epochs")["model.width"] == 32
    assert chosen(mnist_like(), train__length="20 minutes")["model.width"] == 16
    large = Facts(60_000, {(480, 640): 60_000})
    assert chosen(large, preprocess__image_size="28")["train.length"] == "600000 images"


def test_sheets_have_a_row_a_class_where_the_nets_are_told() -> None:
    assert chosen(mnist_like(600, 300, 300))["output.grid"] == [2, 10]
    assert chosen(mnist_like(500, 300, 199))["output.grid"] == [8, 8]
    assert chosen(mnist_like())["output.grid"] == [8, 8]


def test_nothing_is_chosen_for_too_little_data() -> None:
    assert chosen(mnist_like(1)) == chosen(Facts(0, {})) == {}


def test_only_what_a_recipe_names_is_chosen() -> None:
    found = fitted(mnist_like(), ["train.batch_size"], {})
    assert [choice.setting for choice in found] == ["train.batch_size"]
    assert all(choice.reason for choice in fitted(mnist_like(9), RULED, {}))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(20):
        write_png(tmp_path / "mine" / f"{i}.png", rng.integers(0, 256, (3, 12, 9), dtype=np.uint8))
    return tmp_path / "mine"


def test_data_without_a_recipe_is_trained_with_one_that_fits(pictures: Path) -> None:
    run = ganvas.resolve(data=pictures)
    assert run.recipe == "modern"
    assert run.train.batch_size == 8
    assert "20 images" in run.reasons["train.batch_size"]
    assert ganvas.resolve().recipe == "quickstart"


def test_what_the_user_gives_wins(pictures: Path) -> None:
    settings = {"augment.target": 0.1, "latent.name": "uniform"}
    run = ganvas.resolve(data=pictures, batch_size=5, settings=settings)
    assert run.train.batch_size == 5
    assert "train.batch_size" not in run.reasons
    assert run.augment.target == 0.1  # type: ignore[attr-defined]
    other = ganvas.resolve(data=pictures, settings={"model.name": "cs231n-dense"})
    assert not hasattr(other.model, "width")


def test_pictures_are_read_once(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = Folder.load

    def counted(self: Folder, split: Split, root: Path | None) -> RawImages:
        read.append(split)
        return load(self, split, root)

    monkeypatch.setattr(Folder, "load", counted)
    monkeypatch.chdir(pictures.parent)
    settings = {"model.width": 2, "model.dense": 4, "train.device": "cpu"}
    ganvas.train(
        data="mine", images=16, evaluate="none", settings=settings, outdir="run", progress=False
    )
    assert read == ["train"]


def test_a_wrong_setting_is_said_before_they_are_read(pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"optim.generator.learning_rate"):
        ganvas.resolve(data=pictures, learning_rate=-1.0)
    with pytest.raises(UsageError, match="broken"):
        ganvas.resolve(data=pictures)


def test_a_written_run_is_not_fitted_again(pictures: Path, tmp_path: Path) -> None:
    run = ganvas.resolve(data=pictures)
    text = config.save(run)
    assert "batch_size = 8 # 20 images fill no larger batch twice" in text
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    for i in range(20, 40):
        write_png(pictures / f"{i}.png", np.full((3, 12, 9), i, np.uint8))
    again = ganvas.resolve(file)
    assert again == run
    assert again.reasons == run.reasons
    assert ganvas.resolve(data=pictures) != run


def test_a_recipe_of_ones_own_keeps_what_it_says(pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('extends = "modern"\n[train]\nbatch_size = 3\n', encoding="utf-8")
    run = ganvas.resolve(file, data=pictures)
    assert run.train.batch_size == 3
    assert run.output.grid == (8, 8)
    assert str(run.train.length) == "150000 images"
    file.write_text('extends = "modern"\nfitted = ["train.batch_size"]\n', encoding="utf-8")
    assert ganvas.resolve(file, data=pictures).train.batch_size == 8
    assert str(ganvas.resolve(file, data=pictures).train.length) == "300000 images"
    file.write_text('extends = "modern"\nfitted = ["train.seed"]\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"fitted: no rule for 'train.seed'"):
        ganvas.resolve(file)


def test_the_recipe_says_what_the_rules_say_of_its_own_data() -> None:
    run = ganvas.resolve("modern")
    assert run == config.build(config.read_recipe("modern").tables)
