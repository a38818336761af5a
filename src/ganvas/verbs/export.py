"""`export`: a trained generator as files that work without ganvas."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from typer import Argument, Option

from ganvas.errors import RunError, UsageError
from ganvas.files import write_file
from ganvas.pretrained import hub as online
from ganvas.verbs import completion
from ganvas.verbs.imports import Imports, import_given, settings_file, with_components
from ganvas.verbs.signatures import GENERATOR, verb

Form = Literal["onnx", "page", "hub"]
Values = Literal["float", "uint8"]
ENDINGS: Final = {"onnx": ".onnx", "page": ".html", "hub": "-hub"}


@dataclass(frozen=True)
class Exported:
    """What `export` wrote."""

    path: Path
    num_bytes: int
    check: str
    """How near its images are to the source's."""
    lacks: tuple[str, ...] = ()
    """What the card of a hub folder lacks."""
    url: str = ""
    """Where it was pushed to."""
    commit: str = ""
    """The commit on the hub that it became."""

    def __str__(self) -> str:
        lines = [f"wrote {self.path} ({self.num_bytes / 1e6:.1f} MB); {self.check}"]
        lines += [f"pushed to {self.url}, commit {self.commit}"] if self.url else []
        return "\n".join(lines + [f"  the card lacks {text}" for text in self.lacks])


@verb
def export(
    what: Annotated[str, Argument(help=GENERATOR, autocompletion=completion.pretrained)],
    *,
    to: Annotated[
        Form,
        Option(
            help="onnx: a file for ONNX runtimes; page: HTML that draws in a browser; "
            "hub: a folder for the Hugging Face hub, with both."
        ),
    ],
    output: Annotated[
        Path | None,
        Option(help="File, or new folder.  [default: RECIPE.onnx, RECIPE.html, RECIPE-hub]"),
    ] = None,
    values: Annotated[
        Values | None,
        Option(help="What an ONNX file draws: float or uint8.  [default: float]"),
    ] = None,
    license: Annotated[
        str | None, Option(help="The generator's licence for its card, such as mit.")
    ] = None,
    imports: Imports = None,
    push: Annotated[
        str | None,
        Option(
            metavar="OWNER/NAME",
            help="With --to hub: upload the folder there, as you are logged in.",
        ),
    ] = None,
) -> Exported:
    """Write a trained generator as files that work without ganvas, checked against their source.

    Raises:
        UsageError: there is no generator, an option is wrong, or a package is missing.
        RunError: images differ from the source's, or a file cannot be written; then nothing is. Or
            the hub cannot be reached; a folder to push stays.
    """
    import_given(imports)
    _check("--to", to, get_args(Form))
    if values is not None:
        _check("--values", values, get_args(Values))
        if to != "onnx":
            raise UsageError(f"--values: found with --to {to}; only --to onnx has a choice")
    if license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", license):
        raise UsageError(f"--license: found '{license}'; allowed: a name such as mit or cc-by-4.0")
    if push is not None:
        if to != "hub":
            raise UsageError(f"--push: found with --to {to}; only --to hub makes such a folder")
        online.check_push(push)
    from ganvas.exports import hub, onnx, page, source

    opened = with_components(settings_file(what), lambda: source.open_source(what, license))
    path = Path(output or opened.card.recipe + ENDINGS[to])
    if to == "hub":
        hub.check_free(path)
        folder = hub.build(opened)
        hub.write(path, folder)
        num_bytes = sum(map(len, folder.files.values()))
        exported = Exported(path, num_bytes, folder.check, tuple(folder.lacks))
        return exported if push is None else _pushed(exported, push, opened.card.summary)
    built = onnx.build(opened, values or "float") if to == "onnx" else page.build(opened)
    write_file(path, built.content)
    return Exported(path, len(built.content), built.check)


def _pushed(exported: Exported, name: str, message: str) -> Exported:
    try:
        done = online.push(exported.path, name, message)
    except (UsageError, RunError) as error:
        raise type(error)(
            f"{error}; '{exported.path}' is written, push it later: "
            f"hf upload {name} {exported.path}"
        ) from None
    return replace(exported, url=done.url, commit=done.commit)


def _check(option: str, found: str, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise UsageError(f"{option}: found '{found}'; allowed: {', '.join(allowed)}")
