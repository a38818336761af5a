"""Figures that the pages quote are those of docs/figures.json, and that is what a run gives."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from ganvas import config
from ganvas.config import COMPONENTS, Watchdog
from ganvas.errors import UsageError
from ganvas.metrics import words
from ganvas.protocols import build_discriminator, build_generator
from ganvas.registry import METRICS, settings

ROOT = Path(__file__).parent.parent
FIGURES: dict[str, Any] = json.loads((ROOT / "docs/figures.json").read_text(encoding="utf-8"))
PAGES = {
    path.relative_to(ROOT).as_posix(): " ".join(path.read_text(encoding="utf-8").split())
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
MEASURED = ("docs/gallery.md", "docs/modern.md", "docs/systems/")
"""Pages whose figures come from benchmarks of their own."""
ROWS = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8").splitlines()
DISTANCE = re.compile(r"\b[fk]d\d+k? \(?\d[\d.,]*\d")
"""A distance that a page quotes: fd299 70.78."""


def test_the_first_page_quotes_its_run() -> None:
    found, page = FIGURES["quickstart"], PAGES["docs/quickstart.md"]
    for text in (
        f"{found['metric']} {found['last']}",
        f"{found['metric']} {found['best']}",
        f"other real images have {found['real_images']}",
        found["verdict"],
    ):
        assert text in page
    assert found["verdict"] in PAGES["docs/train.md"]


def test_the_page_on_comparing_quotes_its_runs() -> None:
    assert FIGURES["compare"]["headline"] in PAGES["docs/compare.md"]
    assert FIGURES["compare"]["distances"] == ["fd200"]  # one column for the distance


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith(MEASURED)])
def test_no_page_quotes_a_distance_of_no_run(page: str) -> None:
    known = json.dumps(FIGURES, ensure_ascii=False)
    metric = FIGURES["quickstart"]["metric"]
    quoted = [f"{metric} {FIGURES['quickstart'][key]}" for key in ("last", "best")]
    for text in DISTANCE.findall(PAGES[page]):
        assert text in known or text in quoted, f"{page} quotes {text}; see benchmarks/figures.py"


@pytest.mark.slow
def test_a_run_gives_the_figures_of_the_first_page(tmp_path: Path) -> None:
    """To a fifth: other processors sum in another order, and training makes much of that."""
    spec = importlib.util.spec_from_file_location("figures", ROOT / "benchmarks/figures.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.IMAGES = tmp_path
    found = module.quickstart(tmp_path)
    for key in ("last", "best", "real_images"):
        was = float(FIGURES["quickstart"][key])
        assert float(found[key]) == pytest.approx(was, rel=0.01 if key == "real_images" else 0.5)


@pytest.mark.parametrize(
    ("recipe", "sides", "taken", "refused"),
    [
        ("modern", "any", [(3, 64, 64), (1, 28, 20), (3, 30, 50)], []),
        ("quickstart", "any", [(1, 8, 8), (3, 30, 50)], []),
        ("genzoo-mnist", "multiples of 4", [(1, 28, 28), (3, 28, 20)], [(1, 30, 30)]),
        ("genzoo-cifar10", "multiples of 8", [(3, 32, 32), (3, 48, 64)], [(3, 28, 28)]),
        (
            "firstgan-dcgan-mnist", "square, a power of two from 16",
            [(3, 64, 64), (1, 16, 16)], [(3, 48, 48), (3, 64, 32)],
        ),
        (
            "cs231n-dcgan", "multiples of 4 from 16",
            [(3, 28, 20), (3, 48, 64)], [(3, 30, 30), (3, 12, 20)],
        ),
    ],
)  # fmt: skip
def test_a_recipe_takes_the_sizes_that_the_page_says(
    recipe: str, sides: str, taken: list[Any], refused: list[Any]
) -> None:
    row = next(row for row in ROWS if row.startswith("|") and f"`{recipe}`" in row)
    assert row.endswith(f"| {sides} |")
    run = config.build(config.read_recipe(recipe).tables)
    for shape in taken + refused:
        with torch.device("meta"):
            if shape in refused:
                with pytest.raises(UsageError):
                    build_generator(run.model, shape, run.latent.dims, 0)
            else:
                build_generator(run.model, shape, run.latent.dims, 0)
                build_discriminator(run.model, shape, 0)


def test_the_words_of_a_runs_last_line_are_on_the_pages() -> None:
    for word in (
        *(word for _, word in words.DISTANCES),
        *(word for _, word in words.SHARES),
        words.TOLD_APART,
        words.NOT_TOLD_APART,
    ):
        assert word in PAGES["docs/glossary.md"]
    limits = PAGES["docs/train.md"]
    for limit, _ in words.DISTANCES[:-1]:
        assert f"{limit:g} times" in limits
    for limit, _ in words.SHARES[:-1]:
        assert f"{100 * limit:g} %" in limits


def test_the_glossary_has_the_words_of_settings_and_output() -> None:
    glossary = PAGES["docs/glossary.md"].lower()
    families = {*COMPONENTS, "recipe", "checkpoint", "sheet", "floor", "interval", "protocol"}
    for word in families - {"data", "model"}:
        assert f"| {word}" in glossary or f", {word}" in glossary, word
    for fault in settings(Watchdog):
        assert fault.replace("_", " ") in glossary
    for metric in ("fd", "kd", "prdc", "duplicates", "memorisation"):
        assert metric in METRICS.names() and metric in glossary
