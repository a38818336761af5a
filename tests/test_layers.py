"""A module imports only from layers below it, and the families of layer 1 never from each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import ganvas

SOURCE = Path(ganvas.__file__).parent

LAYERS = {
    "errors": 0,
    "registry": 0,
    "config": 0,
    "files": 0,
    "allocator": 0,
    "images": 0,
    "schedule": 0,
    "seeds": 0,
    "protocols": 0,
    "latents": 1,
    "models": 1,
    "losses": 1,
    "data": 1,
    "metrics": 1,
    "metrics.inception": 2,
    "metrics.features": 3,
    "metrics.measures": 3,
    "metrics.rows": 3,
    "metrics.evaluate": 3,
    "training": 2,  # the package itself, which is a docstring
    "training.adam": 2,
    "training.updates": 2,
    "training.state": 2,
    "training.steps": 2,
    "training.rundir": 2,
    "training.watchdog": 2,
    "training.progress": 2,
    "training.length": 2,
    "training.stopping": 2,
    "training.evaluation": 3,
    "training.session": 3,
    "sampling": 2,
    "plots": 2,
    "training.loop": 3,
    "commands": 4,
    "comparison": 4,
    "comparison.runs": 4,
    "comparison.groups": 4,
    "comparison.spread": 4,
    "comparison.table": 4,
    "comparison.remarks": 4,
    "comparison.panels": 4,
    "comparison.page": 4,
    "comparison.compare": 4,
    "printing": 4,
    "cli": 5,
    "__main__": 5,
    "": 5,  # ganvas/__init__.py
}
PACKAGES = ("models", "losses", "data", "metrics")
"""Families: a module in one has its package's layer, unless it has a row of its own."""
FAMILIES = ("latents", *PACKAGES)
"""Layer 1 side by side: none of them may import another."""


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def home(module: str) -> str:
    """The row of the table that a module is under."""
    package = module.partition(".")[0]
    return package if package in PACKAGES and module not in LAYERS else module


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
    layer, family = LAYERS[home(module)], home(module)
    wrong = []
    for other in own(imports(source)):
        above = LAYERS[home(other)] > layer
        sibling = family in FAMILIES and home(other) in FAMILIES and home(other) != family
        if above or sibling:
            wrong.append(f"{module or 'ganvas'} imports {other or 'ganvas'}")
    return wrong


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_layer(module: str) -> None:
    assert home(module) in LAYERS, f"give {module} a layer in the table of this test"


def test_every_row_of_the_table_is_a_module() -> None:
    assert set(LAYERS) <= {home(module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    assert violations(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("config", "from ganvas.training.loop import fit"),
        ("images", "import ganvas.models.layers"),
        ("models.genzoo", "from ganvas.data.formats import read_idx"),
        ("losses.adversarial", "from ganvas import latents"),
        ("data.loader", "def f():\n    from ganvas.models import layers"),
        ("training.state", "from ganvas.training.loop import fit"),
        ("sampling", "from ganvas import commands"),
        ("training.loop", "from ganvas.cli import main"),
        ("commands", "from ganvas import train"),
    ],
)
def test_an_import_that_points_up_is_noticed(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models.genzoo", "from ganvas.models.layers import glorot"),
        ("training.loop", "from ganvas.training.state import State"),
        ("config", "if TYPE_CHECKING:\n    from ganvas.training.loop import fit"),
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


@pytest.mark.parametrize("module", [m for m in LAYERS if LAYERS[m] == 0 and m != "images"])
def test_the_base_does_without_torch(module: str) -> None:
    external = {name.partition(".")[0] for name in imports(MODULES[module].read_text())}
    assert not external & {"torch", "safetensors", "PIL", "matplotlib"}


def test_config_does_not_load_torch() -> None:
    code = "import sys, ganvas.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
