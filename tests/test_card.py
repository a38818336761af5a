"""Model cards: what a saved generator says of itself, and what it admits to lack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ganvas
from ganvas.card import Card, number, protocol
from ganvas.errors import UsageError
from ganvas.generator import card_of, folder_of, load


def card(what: Path) -> Card:
    return card_of(load(what), folder_of(what))


def row(**changes: Any) -> dict[str, Any]:
    """A row of metrics.jsonl of the tiny run's last generator."""
    return {
        "metric": "fd50",
        "values": {"distance": 12.3456},
        "intervals": {"distance": [11, 14.5]},
        "floor": {"distance": 1.25},
        "num_fake": 50,
        "num_reference": 60,
        "data": "npz",
        "split": "train",
        "fingerprint": "abcdef" * 10,
        "extractor": "classifier-tiny",
        "extractor_sha256": "123456" * 10,
        "extractor_accuracy": 0.987,
        "resize": "none",
        "seed": 3,
        "images": 192,
    } | changes


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to be added to."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def add(run: Path, *rows: dict[str, Any]) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


# Facts


def test_a_saved_generator_has_its_facts(tiny_run: Path) -> None:
    found = card(tiny_run)
    data = json.loads((tiny_run / "env.json").read_text())["data"]
    assert (found.recipe, found.model, found.latent, found.dims) == (
        "tiny", "quickstart", "uniform", 4
    )  # fmt: skip
    # dense layers 4-16-32-64 with biases, BatchNorm's scale and shift after the first two
    assert found.parameters == (4 + 1) * 16 + 32 + (16 + 1) * 32 + 64 + (32 + 1) * 64
    assert (found.shape, found.images_seen, found.seed) == ((1, 8, 8), 192, 0)
    assert (found.data, found.data_images, found.data_sha256) == ("npz", 64, data["sha256"])
    assert found.length == "3 epochs"


def test_the_card_lies_beside_the_weights(tiny_run: Path) -> None:
    text = (tiny_run / "generator" / "README.md").read_text()
    assert text == card(tiny_run).text()
    for part in ("# tiny\n", "64 images", "192 real images shown", "| seed | 0 |", "## Limits"):
        assert part in text
    assert str(tiny_run) not in text


def test_its_lines_of_code_run(tiny_run: Path) -> None:
    code = card(tiny_run).text(str(tiny_run)).split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) == 3
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["images"].shape == (16, 1, 8, 8)


def test_changed_settings_are_those_that_are_not_the_recipes(
    tmp_path: Path, tiny_npz: Path
) -> None:
    ganvas.train(
        "quickstart",
        data=tiny_npz,
        images=96,
        settings={"model.width": 8, "output.log": "1 step"},
        outdir=tmp_path / "run",
        evaluate="none",
        progress=False,
    )
    changed = card(tmp_path / "run").changed
    assert changed["model.width"] == 8 and changed["train.length"] == "96 images"
    assert changed["data.path"] == "tiny.npz", "the user's folders are nobody's business"
    assert not {"seed", "recipe"} & changed.keys()
    assert not [key for key in changed if key.startswith(("output.", "evaluate."))]


def test_a_copy_elsewhere_keeps_its_facts(tiny_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_run / "generator", tmp_path / "elsewhere"))
    assert card(copy) == card(tiny_run)


def test_a_generator_without_facts_takes_them_from_its_run(run: Path, tmp_path: Path) -> None:
    """As saved before there were any."""
    path = run / "generator" / "config.json"
    settings = json.loads(path.read_text())
    expected = card(run)
    del settings["training"]
    path.write_text(json.dumps(settings))
    assert card(run) == expected
    alone = card(Path(shutil.copytree(run / "generator", tmp_path / "alone")))
    assert (alone.seed, alone.data, alone.length, alone.changed) == (None, "", "", {})


# Numbers


def test_rows_of_this_generator_alone_are_shown(run: Path) -> None:
    later = row(values={"distance": 7.0})
    other = row(metric="kd50", values={"distance": 0.5, "spread": 0.25}, intervals={}, floor={})
    add(run, row(), row(images=100), later, other, row(metric="prdc50", values={}))
    found = card(run)
    assert found.rows == (later, other)
    text = found.text()
    assert "| fd50 | 7 | 11 to 14.5 | 1.25 | 50 fakes against 60 images of npz train " in text
    assert "| kd50 distance | 0.5 |  |  | 50 fakes" in text
    assert "| kd50 spread | 0.25 |  |  | as above |" in text


def test_rows_of_unlike_protocols_stand_side_by_side(run: Path) -> None:
    add(run, row(), row(extractor="random"), row(split="test"), row(seed=4))
    assert len(card(run).rows) == 4


def test_a_protocol_in_words() -> None:
    assert protocol(row(data="npz /home/me/tiny.npz")) == (
        "50 fakes against 60 images of npz tiny.npz train (abcdefabcdef), features classifier-tiny "
        "(123456123456, accuracy 98.70%), resize none, seed 3"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (12.0, "12"), (123456.7, "123,457"), (None, "none")],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert number(value) == text


def test_evaluate_writes_the_card_again(run: Path, tiny_npz: Path) -> None:
    ganvas.evaluate(run, metrics="fd,duplicates", num=20, split="train", features="pixels")
    text = (run / "generator" / "README.md").read_text()
    assert "| fd20 | " in text and "| duplicates20 " in text
    assert str(tiny_npz.parent) not in text


# What it lacks


def test_a_card_says_what_it_lacks(run: Path) -> None:
    lacks = card(run).lacks()
    assert [line.partition(":")[0] for line in lacks] == [
        "licence", "distance", "memorisation", "duplicates"
    ]  # fmt: skip
    assert all(f"- {line}\n" in card(run).text() for line in lacks)
    add(run, row(), row(metric="memorisation50"), row(metric="duplicates1k"))
    path = run / "generator" / "config.json"
    settings = json.loads(path.read_text())
    settings["training"] |= {"licence": "mit", "data": {}, "seed": None}
    path.write_text(json.dumps(settings))
    assert [line.partition(":")[0] for line in card(run).lacks()] == [
        "seed", "SHA-256 of the data", "number of training images"
    ]  # fmt: skip


def test_a_card_that_lacks_nothing_says_nothing_of_it(run: Path) -> None:
    add(run, row(), row(metric="memorisation50"), row(metric="duplicates1k"))
    path = run / "generator" / "config.json"
    settings = json.loads(path.read_text())
    settings["training"]["licence"] = "mit"
    path.write_text(json.dumps(settings))
    assert card(run).lacks() == [] and "lacks" not in card(run).text()


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: s.update(training=[1]),
        lambda s: s.update(training={"data": 3}),
        lambda s: s.update(training={"changed": [1]}),
    ],
)
def test_damaged_facts_are_one_line(damage: Callable[[Any], None], run: Path) -> None:
    path = run / "generator" / "config.json"
    settings = json.loads(path.read_text())
    damage(settings)
    path.write_text(json.dumps(settings))
    with pytest.raises(UsageError, match="config.json' is damaged"):
        card(run).text()


# show


def test_show_of_a_folder_is_its_card(run: Path, cli: Callable[..., Any]) -> None:
    found = ganvas.show(str(run))
    assert found["lacks"] == card(run).lacks() and found["card"] == card(run).text(str(run))
    result = cli("show", run)
    assert (result.code, result.err) == (0, "") and result.out == found["card"] + "\n"
    assert json.loads(cli("show", run, "--json").out) == found


def test_a_name_is_a_component_whatever_lies_in_the_folder(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run.rename("mnist")
    assert ganvas.show("mnist")["family"] == "data set"
