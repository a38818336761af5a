"""Generators that come with the package: there, small, drawn by name, with whole cards."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ganvas
from ganvas import compact, config, pretrained
from ganvas.card import number
from ganvas.errors import UsageError
from ganvas.generator import card_of, folder_of, load

NAMES = pretrained.names()
LIMIT = 32_000_000


def without() -> str:
    """A recipe that has no pretrained generator."""
    return next(name for name in config.recipe_names() if name not in NAMES)


# What is there


def test_they_are_named_as_recipes_and_small() -> None:
    assert {"cs231n-vanilla", "cs231n-lsgan", "cs231n-dcgan"} <= set(NAMES)
    assert set(NAMES) <= set(config.recipe_names())
    files = [file for name in NAMES for file in pretrained.home(name).iterdir()]
    assert sum(file.stat().st_size for file in files) <= LIMIT
    assert {file.name for file in files} == {"config.json", "model.safetensors", "README.md"}


@pytest.mark.parametrize("name", NAMES)
def test_each_draws_pictures(name: str) -> None:
    generator = load(name)
    run = config.build(config.read_recipe(name).tables)
    assert generator.recipe == name
    assert (generator.model, generator.latent) == (run.model, run.latent)
    images = generator.sample(9)
    assert images.std() > 20 and len(np.unique(images, axis=0)) == 9


@pytest.mark.parametrize("name", NAMES)
def test_each_was_trained_as_the_recipe_says(name: str) -> None:
    card, run = card_of(load(name), pretrained.home(name)), _recipe(name)
    assert card.length == f"{run.train.length.amount:,g} {run.train.length.unit}"
    allowed = {"train.device", "train.precision", "train.cuda_graphs", "train.compile"}
    assert set(card.changed) <= allowed, "nothing that the result depends on"
    assert card.images_seen > 0 and card.seed == 0


def _recipe(name: str) -> Any:
    return config.build(config.read_recipe(name).tables)


@pytest.mark.parametrize("name", NAMES)
def test_each_card_is_whole_and_that_of_the_packed_weights(name: str) -> None:
    folder = pretrained.home(name)
    card = card_of(load(name), folder)
    assert card.lacks() == [] and card.machine and card.notes and card.data_licence
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f'ganvas.load("{name}")' in text
    assert all(fact in text for fact in card.facts.values())
    assert all(line in text for line in card.notes)
    for row in card.rows:
        assert all(f"| {number(value)} |" in text for value in row["values"].values())
    measured = {row["metric"] for row in card.rows}
    assert measured == {
        "fd10k", "kd10k", "prdc10k", "classes10k", "memorisation10k", "duplicates10k"
    }  # fmt: skip
    distance = next(row for row in card.rows if row["metric"] == "fd10k")
    assert f"{distance['values']['distance']:.4g} with these" in card.weights
    form = _metadata(folder / "model.safetensors")[compact.FORM]
    assert card.weights.startswith(compact.WORDS[form])


def _metadata(path: Path) -> dict[str, str]:
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    found: dict[str, str] = json.loads(content[8 : 8 + size])["__metadata__"]
    return found


# By name on the verbs


def test_the_list_says_what_each_is(cli: Callable[..., Any]) -> None:
    (found,) = ganvas.list("pretrained").values()
    assert list(found) == NAMES
    assert all("fd10k" in line and "bits a weight, " in line for line in found.values())
    shown = cli("list", "pretrained")
    assert (shown.code, shown.err) == (0, "") and "cs231n-dcgan" in shown.out


def test_listing_does_not_load_torch() -> None:
    code = "import sys, ganvas; ganvas.list('pretrained'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_sheet_is_drawn_by_name(cli: Callable[..., Any], tmp_path: Path) -> None:
    result = cli("sample", "cs231n-vanilla", "--num", 4, "--npz", "four.npz")
    assert (result.code, result.err) == (0, "")
    drawn = np.load(tmp_path / "four.npz")["images"]
    assert np.array_equal(drawn, ganvas.load("cs231n-vanilla").sample(4)[:, 0])


def test_its_card_is_shown(cli: Callable[..., Any]) -> None:
    shown = cli("show", "pretrained.cs231n-dcgan")
    assert shown.code == 0 and 'ganvas.load("cs231n-dcgan")' in shown.out
    assert ganvas.show("cs231n-dcgan")["pretrained"] is True
    assert ganvas.show(without())["pretrained"] is False
    assert "ganvas show pretrained.cs231n-dcgan" in cli("show", "cs231n-dcgan").out


def test_it_is_exported_by_name(cli: Callable[..., Any], tmp_path: Path) -> None:
    result = cli("export", "cs231n-vanilla", "--to", "page")
    assert (result.code, result.err) == (0, "")
    assert "licence" in (tmp_path / "cs231n-vanilla.html").read_text()


def test_it_is_measured_against_its_recipes_data(real_data: Path) -> None:
    (row,) = ganvas.evaluate("cs231n-vanilla", metrics="fd", num=50, features="pixels")
    assert (row.data, row.recipe) == ("mnist", "cs231n-vanilla")


def test_a_path_goes_before_a_name(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cs231n-dcgan").symlink_to(tiny_run)
    assert load("cs231n-dcgan").recipe == "tiny"
    assert folder_of("cs231n-lsgan") == pretrained.home("cs231n-lsgan")


# One line


@pytest.mark.parametrize("verb", ["sample", "evaluate", "export"])
def test_a_recipe_without_one_says_what_to_do(verb: str, cli: Callable[..., Any]) -> None:
    name = without()
    result = cli(verb, name, *(("--to", "page") if verb == "export" else ()))
    assert result.code == 2 and result.out == ""
    assert result.err == (
        f"ganvas: the recipe '{name}' has no pretrained generator; train one with "
        f"'ganvas train {name}', or take one of: {', '.join(NAMES)}\n"
    )


@pytest.mark.parametrize("verb", ["sample", "evaluate", "export"])
def test_a_mistyped_name_gets_the_closest(verb: str, cli: Callable[..., Any]) -> None:
    result = cli(verb, "cs231n-dcgam", *(("--to", "page") if verb == "export" else ()))
    assert result.code == 2 and result.err.count("\n") == 1
    assert "'cs231n-dcgam' does not exist; allowed: a run folder" in result.err
    assert result.err.endswith("did you mean 'cs231n-dcgan'?\n")


def test_show_says_it_too() -> None:
    with pytest.raises(UsageError, match="has no pretrained generator"):
        ganvas.show(f"pretrained.{without()}")
