"""`export`: a trained generator as files that work without ganvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from ganvas.errors import UsageError
from ganvas.files import write_file

Form = Literal["onnx", "page"]
Values = Literal["float", "uint8"]


@dataclass(frozen=True)
class Exported:
    """What `export` wrote."""

    path: Path
    num_bytes: int
    check: str
    """How near its images are to the source's."""

    def __str__(self) -> str:
        return f"wrote {self.path} ({self.num_bytes / 1e6:.1f} MB); {self.check}"


def export(
    what: Annotated[str, typer.Argument(help="A run folder or a saved generator.")],
    *,
    to: Annotated[
        Form,
        typer.Option(help="onnx: a file for ONNX runtimes; page: HTML that draws in a browser."),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Where to.  [default: RECIPE.onnx, RECIPE.html]")
    ] = None,
    values: Annotated[
        Values | None,
        typer.Option(help="What an ONNX file draws: float or uint8.  [default: float]"),
    ] = None,
) -> Exported:
    """Write a trained generator as a file that works without ganvas, checked against its source.

    Raises:
        UsageError: there is no generator, an option is wrong, or a package is missing.
        RunError: its images differ from the source's, or a file cannot be written; then nothing is.
    """
    _one_of("--to", to, get_args(Form))
    if values is not None:
        _one_of("--values", values, get_args(Values))
        if to != "onnx":
            raise UsageError(f"--values: found with --to {to}; only --to onnx has a choice")
    from ganvas.exports import onnx, page, source

    opened = source.open_source(what)
    built = onnx.build(opened, values or "float") if to == "onnx" else page.build(opened)
    path = Path(output or opened.card.recipe + (".onnx" if to == "onnx" else ".html"))
    write_file(path, built.content)
    return Exported(path, len(built.content), built.check)


def _one_of(option: str, found: str, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise UsageError(f"{option}: found '{found}'; allowed: {', '.join(allowed)}")
