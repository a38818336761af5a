"""Text, tables and JSON on standard output: what a stranger's files say cannot move the cursor."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganvas.errors import printable


def say(text: str) -> None:
    """A line, or several, on standard output."""
    typer.echo(_safe(text))


def note(text: str) -> None:
    """A line beside the result, on standard error."""
    typer.echo(f"note: {_safe(text)}", err=True)


def say_json(found: Any) -> None:
    typer.echo(json.dumps(found, indent=2, default=str))  # paths as text


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    grid = Table(title=escape(_safe(title)), box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        grid.add_column(escape(_safe(column)), overflow="fold")
    for row in rows:
        grid.add_row(*(escape(_safe(cell)) for cell in row))
    Console(width=screen_width()).print(grid, highlight=False)


def screen_width() -> int:
    return Console().width if sys.stdout.isatty() else 140


def as_argument(path: str | Path) -> str:
    """A path as it is given to a command."""
    return shlex.quote(str(path))


def _safe(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))
