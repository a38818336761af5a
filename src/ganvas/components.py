"""Components that are kept outside ganvas: a file or a module, imported, registers them.

Packages that are installed name theirs by the entry-point group `ganvas.components`, and they are
imported at the first look-up of a name. All others are imported where a user says so.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

from ganvas.errors import UsageError

GROUP: Final = "ganvas.components"

_FILES: Final[dict[str, str]] = {}
"""The files that were imported, by the names of their modules."""


def import_components(what: str) -> None:
    """Import a .py file, by its path, or a module, by its name; each once.

    A module may lie in the current folder, and a file may import others beside it.

    Raises:
        UsageError: there is none, or importing it fails.
    """
    if is_imported(what):
        return
    try:
        if not is_file(what):
            with _also_from(Path.cwd()):
                importlib.import_module(what)
            return
        path = Path(what).resolve()
        if not path.is_file():
            raise UsageError(f"--import: '{what}' does not exist")
        with _also_from(path.parent):
            _run(path)
    except UsageError:
        raise
    except Exception as error:  # whatever the code of others raises
        raise UsageError(
            f"--import: '{what}' cannot be imported: {type(error).__name__}: {error}"
        ) from error


def is_imported(what: str) -> bool:
    return (_module_name(Path(what).resolve()) if is_file(what) else what) in sys.modules


def is_file(what: str) -> bool:
    return what.endswith(".py")


def remembered(what: str) -> str:
    """What a run folder keeps of it: a file's whole path, a module's name."""
    return str(Path(what).resolve()) if is_file(what) else what


def home_of(component: object) -> str | None:
    """What to import for a component from outside, or for its class.

    None for ours, and for those of a script.
    """
    module = (component if isinstance(component, type) else type(component)).__module__
    if module in ("__main__", "builtins") or module.partition(".")[0] == "ganvas":
        return None
    return _FILES.get(module, module)


@functools.cache
def adds_components() -> bool:
    """Whether any installed package names some."""
    from importlib.metadata import entry_points  # here, because it takes longer than all the rest

    return bool(entry_points(group=GROUP))


@functools.cache
def import_installed() -> None:
    """Import what installed packages name; UsageError says which one cannot be imported."""
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist else "?"
            raise UsageError(
                f"the package '{package}' registers components in '{entry.value}', which cannot be "
                f"imported: {type(error).__name__}: {error}; mend or remove it"
            ) from error


def _run(path: Path) -> ModuleType:
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for the types that they name
    _FILES[name] = str(path)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name], _FILES[name]
        raise
    return module


def _module_name(path: Path) -> str:
    """A name that no other file has."""
    return f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


@contextmanager
def _also_from(folder: Path) -> Iterator[None]:
    """Inside, modules are looked for in a folder too, after all other places."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
