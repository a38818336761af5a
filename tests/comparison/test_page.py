"""The page: needs nothing from outside, escapes every word, stays small."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ganvas

Measure = Callable[..., None]
FIXTURES = Path(__file__).parents[1] / "fixtures"


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(*runs: Path) -> Page:
    ganvas.compare(runs, html="page.html")
    return Page(Path("page.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def text(six_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the six runs as they are."""
    path = tmp_path_factory.mktemp("page") / "compare.html"
    ganvas.compare(six_runs, html=path)
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(text: str) -> None:
    page = Page(text)
    assert page.open == []  # every tag is closed
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "base", "a"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "srcset", "poster"):
                assert (value or "").startswith(("data:image/png;base64,", "#")), (tag, name)
            assert not name.startswith("on")
    assert "@import" not in text and not re.search(r"url\((?!#)", text)


def test_the_sheets_of_all_runs_stand_beside_real_images(text: str) -> None:
    images = Page(text).all("img")
    assert len(images) == 7
    assert images[0]["alt"] == "real images, npz "
    for image in images:
        data = base64.b64decode((image["src"] or "").partition(",")[2])
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "PNG"
            assert [str(side) for side in picture.size] == [image["width"], image["height"]]


def test_large_sheets_are_shrunk_and_a_damaged_one_is_said_to_be(runs: Path) -> None:
    Image.new("L", (2000, 1000)).save(runs / "bce-0/samples/epoch-0003.png")
    (runs / "bce-1/samples/epoch-0003.png").write_bytes(b"PNG?")
    reals = bytearray((FIXTURES / "run-0.1-finished/reals.png").read_bytes())
    reals[148:148] = b"\0"  # Pillow has a SyntaxError for this one
    (runs / "bce-0/reals.png").write_bytes(reals)
    page = page_of(runs / "bce-0", runs / "bce-1")
    (shrunk,) = page.all("img")
    assert (shrunk["width"], shrunk["height"]) == ("640", "320")
    assert "shrunk from 2000x1000" in page.text
    assert "epoch-0003.png cannot be read" in page.text
    assert "reals.png cannot be read" in page.text


def test_curves_of_unlike_losses_stand_apart(text: str) -> None:
    page = Page(text)
    assert "Curves: loss non-saturating" in page.text
    assert "Curves: loss least-squares" in page.text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 8


def test_a_metric_that_was_measured_on_the_way_is_drawn(runs: Path, measure: Measure) -> None:
    measure(runs / "bce-0", 1.0)
    assert "Metrics over training" not in page_of(runs / "bce-0").text
    measure(runs / "bce-0", 3.0, images=96)
    page = page_of(runs / "bce-0")
    assert "Metrics over training" in page.text and "tiny: 3 at 96 images" in page.text


def test_every_word_is_escaped(runs: Path, measure: Measure) -> None:
    evil = "<script>alert(1)</script>\"'&"
    folder = runs / "<img src=x onerror=alert(1)>"
    shutil.copytree(runs / "bce-0", folder)
    config = folder / "config.toml"
    text = config.read_text().replace('"tiny"', json.dumps(evil))
    config.write_text(text.replace('"non-saturating"', json.dumps(evil)))
    record = json.loads((folder / "env.json").read_text())
    (folder / "env.json").write_text(json.dumps(record | {"processor": evil, evil: evil}))
    measure(folder, 1.0, metric=evil, data=evil, settings={evil: {evil: evil}}, images=96)
    measure(folder, 1.0, metric=evil, data=evil, settings={evil: {evil: evil}})
    page = page_of(runs / "bce-0", folder)
    assert not page.all("script")
    assert all((image["src"] or "").startswith("data:") for image in page.all("img"))
    assert page.text.count(evil) > 8
    assert "<img src=x onerror=alert(1)>" in page.text


def test_thirty_runs_make_a_page_of_bounded_size(runs: Path) -> None:
    line = json.loads((runs / "bce-0/log.jsonl").read_text().splitlines()[0])
    log = "".join(json.dumps(line | {"images": 10 * i}) + "\n" for i in range(2000))
    for i in range(30):
        folder = shutil.copytree(runs / "bce-0", runs / f"many-{i:02d}")
        text = (folder / "config.toml").read_text()
        text = text.replace("seed = 0", f"seed = {i % 3}")
        text = text.replace("batch_size = 16", f"batch_size = {16 + i // 3}")
        (folder / "config.toml").write_text(text)
        (folder / "log.jsonl").write_text(log)
    page = page_of(*sorted(runs.glob("many-*")))
    assert len(page.all("img")) == 31
    assert Path("page.html").stat().st_size < 6e6
    assert "30 runs side by side" in page.text and "tiny train.batch_size=25" in page.text


def test_a_lone_run_and_one_that_has_nothing_yet(runs: Path) -> None:
    bare = runs / "bare"
    bare.mkdir()
    (bare / "config.toml").write_text('recipe = "old"\n')
    (bare / "log.jsonl").write_text("")
    page = page_of(bare)
    assert "1 run side by side" in page.text and "nothing logged" in page.text
    assert "unset" in page.text


def test_the_best_of_several_measurements_stands_in_the_same_cell(
    runs: Path, measure: Measure
) -> None:
    for seed, values in enumerate([(2.0, 3.0), (4.0, 5.0)]):
        for images, value in zip((96, 192), values, strict=True):
            measure(runs / f"bce-{seed}", value, images=images)
            measure(runs / f"ls-{seed}", value + 0.5, images=images)
    ganvas.compare([runs / "*-0", runs / "*-1"], html="page.html")
    text = Path("page.html").read_text(encoding="utf-8")
    assert re.search(r"<b>4.0 ± 1.4</b>\s*<br><span class=\"quiet\">★ <b>3.0 ± 1.4</b>", text)
    assert re.search(r"<td>4.5 ± 1.4\s*<br><span class=\"quiet\">★ 3.5 ± 1.4", text)
    assert "<td>3.0<br>★ 2.0<br>at 96</td>" in text
    measure(runs / "bce-0", 1.0)
    measure(runs / "bce-1", 1.0)
    ganvas.compare([runs / "bce-0", runs / "bce-1"], html="page.html")
    assert "★" not in Path("page.html").read_text(encoding="utf-8")  # the last are the best


def test_the_page_begins_with_the_answer(runs: Path, measure: Measure) -> None:
    measure(runs / "bce-0", 1.0)
    measure(runs / "ls-0", 2.0)
    text = page_of(runs / "bce-0", runs / "ls-0").text
    assert text.index("loss.name=non-saturating is ahead (fd1k 1 against 2)") < text.index(
        "Training"
    )


def test_losses_of_one_group_alone_are_left_to_the_curves(text: str, runs: Path) -> None:
    heads = re.findall(r'<th scope="col">(.*?)</th>', text)
    assert "seconds" in heads and not any("D loss" in head for head in heads)
    assert "D loss" in page_of(runs / "bce-0").text


def test_names_are_broken_between_words_only(text: str) -> None:
    assert "tiny loss.name=<wbr>non-saturating" in text
    assert "runs/<wbr>" in text or "/<wbr>bce-0" in text


@pytest.mark.parametrize("given", ["runs", "runs/bce-0/reals.png/page.html"])
def test_a_page_that_cannot_be_written_is_one_line(given: str, runs: Path, cli: Any) -> None:
    result = cli("compare", "runs/bce-0", "--html", given)
    assert result.code == 1 and len(result.err.splitlines()) == 1
    assert "cannot write" in result.err
