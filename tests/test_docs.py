"""The documentation is true: commands parse, links lead somewhere, code runs, numbers agree."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

import ganvas
from ganvas import config, pretrained, registry
from ganvas.cli import app
from ganvas.data.sources import SOURCES

ROOT = Path(__file__).parent.parent
PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(ganvas [^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PLACEHOLDER = re.compile(r"\.\.\.|…|[A-Z]{4,}|\[")
"""What stands in a command for something else, as in `ganvas show RECIPE`."""


def blocks(text: str, language: str) -> list[str]:
    return [code for found, code in FENCE.findall(text) if found == language]


def command_lines(text: str) -> Iterator[str]:
    """Every ganvas command in shell blocks and in inline code, without its comment."""
    for block in blocks(text, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                if part.split()[:1] == ["ganvas"]:
                    yield shlex.join(shlex.split(part, comments=True))
    for line in INLINE.findall(FENCE.sub("", text)):
        if not PLACEHOLDER.search(line):
            yield line


BLOCKS = [
    (page, number)
    for page, text in PAGES.items()
    for number in range(len(blocks(text, "python")))
    if page != "docs/library.md"  # its blocks go on from one another
]
COMMAND: Any = typer.main.get_command(app)
COMMANDS = [(page, line) for page, text in PAGES.items() for line in command_lines(text)]


def parse(line: str) -> tuple[str, dict[str, Any]]:
    """The command's name and its options, as the command line reads them, without running it."""
    command = COMMAND
    context = command.make_context("ganvas", [], resilient_parsing=True)
    _, *words = shlex.split(line)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, f"no command {name}"
        command = command.commands[name]
        given = [] if hasattr(command, "commands") else words
        # a bare command, as text has it, may lack its argument
        context = command.make_context(name, given, parent=context, resilient_parsing=not given)
    return context.command_path, context.params


# Commands


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 50
    assert {line.split()[1] for _, line in COMMANDS} >= {"train", "sample", "list", "show", "data"}


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_parses(page: str, line: str) -> None:
    _, options = parse(line)
    named = [options.get("recipe"), options.get("name")]
    known = [*config.recipe_names(), *(n for r in config.COMPONENTS.values() for n in r.names())]
    known += registry.METRICS.names()
    known += SOURCES  # for `ganvas data fetch`
    known += [f"pretrained.{name}" for name in pretrained.names()]
    for name in named:
        found = name is None or name.endswith(".toml") or "/" in name or name in known
        assert found or registry.is_metric(name)  # with a number of images, as fd10k


@pytest.mark.parametrize(
    ("page", "line"),
    [c for c in COMMANDS if " train" in c[1] and ".toml" not in c[1] and "--resume" not in c[1]],
)
def test_a_train_command_has_settings_that_exist(
    page: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, options = parse(line)
    monkeypatch.chdir(tmp_path)
    if options["data"] and options["data"] not in registry.DATASETS.names():  # a user's folder
        (tmp_path / "pictures").mkdir()
        for name in ("a", "b"):
            Image.new("L", (8, 8)).save(tmp_path / "pictures" / f"{name}.png")
        options["data"] = "pictures"
    others = ("outdir", "begin_with", "data_root", "dry_run", "as_json")
    given = {k: v for k, v in options.items() if k not in others}
    ganvas.resolve(**given | {"settings": given["settings"] or []})


@pytest.mark.parametrize("line", ["ganvas train --epoks 3", "ganvas draw x", "ganvas data list x"])
def test_a_wrong_command_is_noticed(line: str) -> None:
    with pytest.raises(Exception, match="No such option|no command|unexpected extra"):
        parse(line)


# Links


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in LINK.findall(FENCE.sub("", PAGES[page])):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{page}: {link}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_every_page_is_linked_from_the_readme(page: str) -> None:
    assert f"({page})" in PAGES["README.md"]


# Code


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    for family in (*config.COMPONENTS.values(), registry.METRICS, registry.EXTRACTORS):
        family.names()  # so that its package's components are there first
        for table in ("_classes", "_names"):
            monkeypatch.setattr(family, table, dict(getattr(family, table)))


@pytest.mark.slow
@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(("page", "number"), BLOCKS)
def test_a_python_block_runs(
    page: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(blocks(PAGES[page], "python")[number], tmp_path, monkeypatch)


def test_the_blocks_of_the_library_page_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("\n".join(blocks(PAGES["docs/library.md"], "python")), tmp_path, monkeypatch)


def run(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Import the code as a module, in an empty folder."""
    monkeypatch.chdir(folder)
    file = folder / "block.py"
    file.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("block", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "block", module)  # for the fields' docstrings
    spec.loader.exec_module(module)


# A recipe's files and numbers


@pytest.mark.parametrize("recipe", config.recipe_names())
def test_the_readme_has_each_recipe_with_its_numbers(
    recipe: str, request: pytest.FixtureRequest
) -> None:
    if recipe.startswith("modern-"):  # how large its nets are depends on the classes
        request.getfixturevalue("real_data")
    row = next(line for line in PAGES["README.md"].splitlines() if line.startswith(f"| [{recipe}]"))
    found = ganvas.show(recipe)
    for number in (
        found["generator"]["parameters"],
        found["discriminator"]["parameters"],
        found["steps"],
    ):
        assert f"{number:,}" in row
    assert found["update"] in row


@pytest.mark.parametrize("recipe", [name for name in config.recipe_names() if name != "quickstart"])
def test_a_system_page_has_the_command_of_each_recipe(recipe: str) -> None:
    systems = "".join(
        text for page, text in PAGES.items() if "/systems/" in page or page == "docs/modern.md"
    )
    assert re.search(rf"^ganvas train {recipe}$", systems, re.MULTILINE)


def test_toml_blocks_are_recipes(tmp_path: Path) -> None:
    found = [block for text in PAGES.values() for block in blocks(text, "toml")]
    assert found
    for block in found:
        path = tmp_path / "mine.toml"
        path.write_text(block, encoding="utf-8")
        config.build(config.read_recipe(str(path)).tables)


def test_pages_are_short() -> None:
    for page, text in PAGES.items():
        lines = len(text.splitlines())
        assert lines <= (300 if page == "docs/extend.md" else 150), f"{page}: {lines} lines"


def test_the_accuracies_of_classifiers_are_those_of_their_cards() -> None:
    folders = sorted((ROOT / "src/ganvas/pretrained").glob("classifier-*"))
    assert folders
    for folder in folders:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        name, accuracy = card["dataset"], f"{100 * card['accuracy']:.2f} %"
        num_test = f"{card['num_test']:,} "
        row = f"| `{name}` | {card['widths'][-1]} | {accuracy} | {num_test}"
        assert row in PAGES["docs/evaluate.md"], row
        (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGES["docs/data.md"], re.MULTILINE)
        assert row.endswith(f"| {accuracy} |")
