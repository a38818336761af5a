"""`export`: a trained generator as files that work without ganvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from ganvas.errors import UsageError
from ganvas.files import write_file

Form = Literal["onnx"]
Values = Literal["float", "uint8"]


@dataclass(frozen=True)
class Exported:
    """What `export` wrote."""

    path: Path
    num_bytes: int
    difference: float
    """The largest one between an image drawn by the export and the source's."""
    about: str
    """How that was found."""

    def __str__(self) -> str:
        size = f"{self.num_bytes / 1e6:.1f} MB"
        return f"wrote {self.path} ({size}); largest difference {self.difference:.2g} {self.about}"


def export(
    what: Annotated[str, typer.Argument(help="A run folder or a saved generator.")],
    *,
    to: Annotated[Form, typer.Option(help="onnx: a file for ONNX runtimes.")],
    output: Annotated[
        Path | None, typer.Option(help="The file to write.  [default: RECIPE.onnx]")
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
    from ganvas.exports import onnx, source

    opened = source.open_source(what)
    path = Path(output or f"{opened.card.recipe}.onnx")
    model = onnx.build(opened, values or "float")
    write_file(path, model.content)
    about = f"to the source in its values, at batches of {', '.join(map(str, source.BATCHES))}"
    return Exported(path, len(model.content), model.difference, about)


def _one_of(option: str, found: str, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise UsageError(f"{option}: found '{found}'; allowed: {', '.join(allowed)}")
