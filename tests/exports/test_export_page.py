"""The web page as a file: what is in it, how big it is, what is refused."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ganvas
from ganvas.errors import RunError, UsageError
from ganvas.exports import page as module
from ganvas.exports.page import build
from ganvas.exports.source import Source, open_source


class Reader(HTMLParser):
    """The page's tags with attributes, and its scripts by id or place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self.tags.append(("/script", {}))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data
        self.text += data


def read(what: Path) -> tuple[Reader, dict[str, Any], bytes]:
    """The page of a generator: its parts, its net and its arrays."""
    reader = Reader(build(open_source(what)).content.decode())
    net, weights = reader.scripts[:2]
    return reader, json.loads(net), base64.b64decode(weights, validate=True)


# What is in it


def test_it_needs_nothing_else(tiny_run: Path) -> None:
    reader, _, _ = read(tiny_run)
    for tag, attributes in reader.tags:
        assert not {"src", "href", "srcset", "action", "data"} & attributes.keys(), tag
    assert not {"link", "img", "iframe", "object", "form"} & {tag for tag, _ in reader.tags}
    policy = [a["content"] for tag, a in reader.tags if tag == "meta" and "http-equiv" in a]
    assert policy and policy[0] and policy[0].startswith("default-src 'none'")
    code = "".join(reader.scripts[2:])
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import\(|Worker\(|eval\(", code)
    assert [a for tag, a in reader.tags if tag == "script"][2:] == [{}, {}], "classic scripts"


@pytest.mark.slow_after(2)
def test_it_is_small(recipe: str, untrained: Callable[[str], Path]) -> None:
    source = open_source(untrained(recipe))
    made = build(source)
    assert len(made.content) < 2.8 * source.card.parameters + 60_000
    assert made.difference <= 1


def test_its_arrays_are_the_weights(tiny_run: Path) -> None:
    _, net, content = read(tiny_run)
    dense = net["layers"][0]
    whole, scale = (
        np.frombuffer(content, kind, count, offset)
        for kind, (offset, count) in (
            ("<i2", dense["arrays"]["weight"]),
            ("<f4", dense["arrays"]["scale"]),
        )
    )
    assert np.abs(whole.reshape(16, 4)).max(1).tolist() == [32767] * 16, "each row fills 16 bits"
    state = open_source(tiny_run).generator.net.state_dict()
    folded = state["1.weight"] / torch.sqrt(state["1.running_var"] + 1e-5)
    expected = (state["0.weight"] * folded[:, None]).numpy()
    found = whole.reshape(16, 4) * scale[:, None]
    assert np.abs(found - expected).max() <= np.abs(expected).max() / 32767


def test_arrays_begin_where_a_browser_can_read_them(untrained: Callable[[str], Path]) -> None:
    _, net, content = read(untrained("mnist-classes"))
    places = sorted(place for layer in net["layers"] for place in layer["arrays"].values())
    assert places and all(offset % 4 == 0 for offset, _ in places)
    assert len(content) % 4 == 0 and places[-1][0] < len(content)


def test_it_says_what_the_card_says(tiny_run: Path) -> None:
    reader, net, _ = read(tiny_run)
    source = open_source(tiny_run)
    for words in (source.weights_sha256, source.card.data_sha256, "192 real images shown"):
        assert words in reader.text
    assert net["latent"] == {"name": "uniform", "dims": 4, "low": -1.0, "high": 1.0}
    assert (net["shape"], net["range"], net["dims"]) == ([1, 8, 8], [-1.0, 1.0], 4)


def test_what_strangers_wrote_stays_text(tiny_run: Path, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><b>"
    folder = Path(shutil.copytree(tiny_run / "generator", tmp_path / "evil"))
    settings = json.loads((folder / "config.json").read_text())
    settings["recipe"] = evil
    settings["training"] |= {"length": evil, "changed": {evil: evil}, "data": {"name": evil}}
    (folder / "config.json").write_text(json.dumps(settings))
    reader, net, _ = read(folder)
    assert len(reader.scripts) == 4 and "b" in {tag for tag, _ in reader.tags}
    assert net["name"] == evil and not any("alert" in script for script in reader.scripts[1:])
    assert sum(tag == "script" for tag, _ in reader.tags) == 4


def test_the_command_writes_it(tiny_run: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    result = cli("export", tiny_run, "--to", "page", "--output", "out/mine.html")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(
        r"wrote out/mine.html \(0.0 MB\); largest difference of a pixel [01]/255, 16 latents\n",
        result.out,
    )
    assert (tmp_path / "out/mine.html").read_bytes() == build(open_source(tiny_run)).content


# Refusals


def changed(tiny_run: Path, **changes: Any) -> Source:
    source = open_source(tiny_run)
    return dataclasses.replace(source, generator=dataclasses.replace(source.generator, **changes))


class Own(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_a_net_with_another_layer_is_one_line(tiny_run: Path) -> None:
    with pytest.raises(UsageError, match="--to page: the generator has a layer Own"):
        build(changed(tiny_run, net=nn.Sequential(Own())))


def test_a_latent_that_the_page_cannot_draw_is_one_line(tiny_run: Path) -> None:
    source = open_source(tiny_run)
    card = dataclasses.replace(source.card, latent="mixture")
    with pytest.raises(UsageError, match="cannot draw latents 'mixture'; it can: normal, uniform"):
        build(dataclasses.replace(source, card=card))


def test_a_page_that_draws_something_else_is_not_written(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STEPS", 3)  # weights of 2 bits
    with pytest.raises(RunError, match=r"is off by \d+/255; at most 2/255 is allowed"):
        ganvas.export(tiny_run, to="page", output=tmp_path / "x.html")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_run / "generator", tmp_path / "nan"))
    weights = load_file(folder / "model.safetensors")
    weights["0.bias"][0] = float("nan")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UsageError, match="NaN or infinite"):
        ganvas.export(folder, to="page", output=tmp_path / "x.html")


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_nothing(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the disk is full"):
        ganvas.export(tiny_run, to="page", output=tmp_path / "g.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["onnx", "page", "hub"])
def test_without_a_whole_generator_there_is_one_line(
    form: Any, tiny_run: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    empty, damaged = tmp_path / "empty", tmp_path / "damaged"
    empty.mkdir()
    shutil.copytree(tiny_run / "generator", damaged)
    content = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(content[: len(content) // 2])
    for what, said in ((empty, "holds no generator"), (damaged, "is damaged")):
        result = cli("export", what, "--to", form, "--output", tmp_path / "out")
        assert result.code == 2 and said in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
