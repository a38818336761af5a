"""Imports point down, families never import each other, and files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import ganvas

SOURCE = Path(ganvas.__file__).parent

FLOORS = (
    (
        "errors",
        "files",
        "seeds",
        "components",
        "registry",
        "classes",
        "pixels",
        "images",
        "batch",
        "notebook",
        "protocols",
    ),
    ("config", "rundir", "card", "pretrained"),
    ("data", "models", "losses", "latents", "augment", "schedules", "metrics"),
    (
        "compact",
        "drawing",
        "generator",
        "metrics.cas",
        "metrics.extractors",
        "metrics.forms",
        "metrics.reference",
        "metrics.rows",
        "metrics.words",
        "metrics.compared",
        "metrics.evaluate",
    ),
    ("training",),
    ("comparison", "exports", "imports", "studio"),
    ("verbs",),
    ("printing", "terminal", "cli", "__main__", ""),  # the last is ganvas/__init__.py
)
"""From the ground up. A folder's row holds for all in it but modules with rows of their own."""
ROWS = {row: floor for floor, rows in enumerate(FLOORS) for row in rows}
FAMILIES = FLOORS[2]
"""Side by side: none of them may import another."""
LATER: set[str] = set()
"""Rows that wait for their modules."""


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def home(module: str) -> str:
    """The row that a module is under: its own, or the nearest folder's."""
    while module not in ROWS and "." in module:
        module = module.rpartition(".")[0]
    return module


def folder(module: str) -> str:
    """The folder that a module is in: '' for those at the top."""
    return module.partition(".")[0] if (SOURCE / module.partition(".")[0]).is_dir() else ""


class Imports(ast.NodeVisitor):
    """The modules that a source imports, save those under TYPE_CHECKING."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_If(self, node: ast.If) -> None:
        names = [
            n.id if isinstance(n, ast.Name) else getattr(n, "attr", "") for n in ast.walk(node.test)
        ]
        if "TYPE_CHECKING" not in names:
            self.generic_visit(node)
        for other in node.orelse if "TYPE_CHECKING" in names else []:
            self.visit(other)

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [alias.name for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports are absolute"
        assert node.module
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            is_module = full.removeprefix("ganvas.") in MODULES and full.startswith("ganvas.")
            self.found.append(full if is_module else node.module)


def imports(source: str) -> list[str]:
    visitor = Imports()
    visitor.visit(ast.parse(source))
    return visitor.found


def own(names: Sequence[str]) -> Iterator[str]:
    """The modules of this package among imported ones, without the prefix."""
    for name in names:
        if name == "ganvas" or name.startswith("ganvas."):
            yield name.removeprefix("ganvas").removeprefix(".")


def violations(module: str, source: str) -> list[str]:
    wrong = []
    for other in own(imports(source)):
        above = ROWS[home(other)] > ROWS[home(module)]
        pair = {home(module), home(other)}
        if above or (len(pair) == 2 and pair <= set(FAMILIES)):
            wrong.append(f"{module or 'ganvas'} imports {other or 'ganvas'}")
    return wrong


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor(module: str) -> None:
    assert home(module) in ROWS, f"give {module} a floor in the table of this test"


def test_every_row_of_the_table_is_a_module() -> None:
    assert set(ROWS) - {home(module) for module in MODULES} <= LATER


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    assert violations(module, MODULES[module].read_text()) == []


def test_no_two_folders_import_each_other() -> None:
    pairs = {
        (folder(module), folder(other))
        for module, path in MODULES.items()
        for other in own(imports(path.read_text()))
        if folder(module) and folder(other) and folder(module) != folder(other)
    }
    assert {pair for pair in pairs if pair[::-1] in pairs} == set()


@pytest.mark.parametrize("module", MODULES)
def test_files_are_of_at_most_400_lines(module: str) -> None:
    assert len(MODULES[module].read_text().splitlines()) <= 400


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("config.run", "from ganvas.training.loop import fit"),
        ("images", "import ganvas.models.layers"),
        ("models.genzoo", "from ganvas.data.formats import read_idx"),
        ("losses.adversarial", "from ganvas import latents"),
        ("data.loader", "def f():\n    from ganvas.models import layers"),
        ("generator", "from ganvas.verbs.sample import sample"),
        ("training.loop", "from ganvas.cli import main"),
        ("verbs.train", "from ganvas import train"),
    ],
)
def test_an_import_that_points_up_is_noticed(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models.genzoo", "from ganvas.models.layers import glorot"),
        ("training.loop", "from ganvas.training.state import State"),
        ("config.run", "if TYPE_CHECKING:\n    from ganvas.training.loop import fit"),
    ],
)
def test_an_import_that_points_down_or_is_for_types_is_not(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_there_is_no_circle() -> None:
    graph = {m: set(own(imports(path.read_text()))) - {m} for m, path in MODULES.items()}
    while free := [module for module, needs in graph.items() if not needs & set(graph)]:
        for module in free:
            del graph[module]
    assert not graph


@pytest.mark.parametrize(
    "module",
    [
        m
        for m in MODULES
        if ROWS[home(m)] <= 1 and home(m) not in ("batch", "images", "pixels", "notebook")
    ],
)
def test_the_base_does_without_torch(module: str) -> None:
    external = {name.partition(".")[0] for name in imports(MODULES[module].read_text())}
    assert not external & {"torch", "safetensors", "PIL", "matplotlib"}


def test_config_does_not_load_torch() -> None:
    code = "import sys, ganvas.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
