"""A verb's options, their types and their help stand once: in the signature of its function.

    @verb
    def sample(
        what: Annotated[str | Path, Argument(help="A run folder or a saved generator.")],
        *,
        num: Annotated[int, Option(help="How many images.")] = 25,
    ) -> "Pixels":
        ...

From there they come into the function's docstring and, by `for_the_command_line`, to its command.
Modules of verbs evaluate their annotations (no `from __future__ import annotations`) and name in
quotes what they do not import: they are imported for `--help`, so they must stay light.
"""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from typer import Option
from typer.models import ParameterInfo

DataRoot = Annotated[
    Path | str | None,
    Option(help="Where data files are looked for first; then GANVAS_DATA, then the cache."),
]
"""An option of several verbs."""

GENERATOR: Final = (
    "A run folder, a saved generator, a pretrained one by its name, or hf:OWNER/NAME."
)
"""What several verbs take, in their help."""

F = TypeVar("F", bound=Callable[..., Any])

_MARKED: Final[dict[Any, list[inspect.Parameter]]] = {}
"""The parameters of each verb with typer's marks, or with a line of help where the command line
does not have them."""


def verb(function: F) -> F:
    """Write a verb's options into its docstring, and into its signature without typer's marks."""
    marked = _spelled_out(function)
    _MARKED[function] = marked
    plain = [p.replace(annotation=get_args(p.annotation)[0]) for p in marked]
    signature = inspect.signature(function).replace(parameters=plain)
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__doc__ = _with_arguments(inspect.getdoc(function) or "", marked)
    return function


def for_the_command_line(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that a command has too; of several types it gives the first."""
    found = []
    for parameter in _MARKED[function]:
        annotation, mark = get_args(parameter.annotation)[:2]
        if isinstance(mark, ParameterInfo):
            found.append(parameter.replace(annotation=Annotated[_first(annotation), mark]))
    return found


def _spelled_out(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """A function's parameters; for `**options: Unpack[Options]` the entries of that TypedDict."""
    parameters = list(inspect.signature(function).parameters.values())
    shared: list[inspect.Parameter] = []
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        (options,) = get_args(parameters.pop().annotation)
        shared = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
            )
            for name, annotation in options.__annotations__.items()
        ]
    return [*parameters[:1], *shared, *parameters[1:]]


def _first(annotation: Any) -> Any:
    """str of `str | Path`, `str | None` of `str | Path | None`."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    first, *others = get_args(annotation)
    return first | None if NoneType in others else first


def _with_arguments(text: str, parameters: list[inspect.Parameter]) -> str:
    """A docstring with its arguments, before what the function returns and raises."""
    about, *rest = re.split(r"\n\n(?=Returns:|Raises:)", text)
    return "\n\n".join([about, "Args:\n" + "\n".join(_lines(parameters)), *rest])


def _lines(parameters: list[inspect.Parameter]) -> Iterator[str]:
    for parameter in parameters:
        mark = get_args(parameter.annotation)[1]
        about = mark.help if isinstance(mark, ParameterInfo) else mark
        yield textwrap.fill(
            f"{parameter.name}: {about}", 88, initial_indent="    ", subsequent_indent="        "
        )
