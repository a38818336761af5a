"""--import: components of one's own, and those of the run folders that name some."""

import json
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from typer import Option

from ganvas import components, pretrained
from ganvas.errors import UsageError, printable

T = TypeVar("T")

Imports = Annotated[
    list[str] | str | Path | Sequence[str | Path] | None,
    Option(
        "--import",
        metavar="FILE|MODULE",
        help="Components of your own: a .py file, or a module; may be repeated.",
    ),
]
"""An option of several verbs."""


def import_given(imports: str | Path | Sequence[str | Path] | None) -> list[str]:
    """Import what --import names; returns it as a run folder keeps it."""
    given = [imports] if isinstance(imports, str | Path) else imports or ()
    for one in given:
        components.import_components(str(one))
    return [components.remembered(str(one)) for one in given]


def with_components(file: Path, action: Callable[[], T]) -> T:
    """What `action` returns; if it meets unknown components, those that a settings file names.

    They are code, and whoever can write the file could have anything run: it is imported only if
    somebody at a terminal says so.

    Raises:
        UsageError: a component stays unknown, with what to give; or importing failed.
    """
    from ganvas.registry import UnknownComponent

    try:
        return action()
    except UnknownComponent as error:
        named = [one for one in _named_in(file) if not components.is_imported(one)]
        if not named:
            of = "" if str(error).startswith("--") else f"'{file}': "
            raise UsageError(
                f"{of}{error}; one of your own is made known by --import FILE|MODULE"
            ) from None
        if not _agreed(file, named):
            source = " ".join(f"--import {one}" for one in named)
            raise UsageError(
                f"'{file}' has components of its own; if you trust that code, run it with {source}"
            ) from None
    for one in named:
        components.import_components(one)
    return action()


def settings_file(what: str | Path) -> Path:
    """The settings of a run folder, or of a generator wherever it is."""
    folder = pretrained.located(what)
    files = [folder / name for name in ("config.toml", "config.json")]
    return next((file for file in files if file.is_file()), files[0])


def _named_in(file: Path) -> list[str]:
    from ganvas import config

    try:
        text = file.read_text(encoding="utf-8")
        found: Any = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError):
        return []
    imports = config.imports_of(found) if isinstance(found, dict) else []
    return [str(file.parent / one) if components.is_file(one) else one for one in imports]


def _agreed(file: Path, named: Sequence[str]) -> bool:
    """Ask at a terminal; elsewhere nobody can agree."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    import typer

    code = ", ".join(map(printable, named))
    question = f"'{printable(str(file))}' has components of its own, in {code}. Run that code?"
    return typer.confirm(question, default=False, err=True)
