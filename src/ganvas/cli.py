"""The command line: a command takes the options of the function of its name, calls it, and prints.

The functions import what they need when they are called, so that --help answers at once.
"""

from __future__ import annotations

import errno
import inspect
import io
import itertools
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

import ganvas
from ganvas.errors import RunError, UsageError, printable
from ganvas.verbs import data as data_verbs
from ganvas.verbs.signatures import for_the_command_line

CONTEXT: Final = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda name: name.replace("_", "-"),  # --batch_size is --batch-size
}
app = typer.Typer(
    name="ganvas",
    context_settings=CONTEXT,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(context_settings=CONTEXT, rich_markup_mode=None)
app.add_typer(data_app, name="data")

LONGEST: Final = 2_000
"""Characters of an error line; of a longer one, with names of thousands of letters, the middle is
left out."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Command = Callable[..., None]


def takes(verb: Callable[..., Any]) -> Callable[[Command], Command]:
    """Give a command the options of a verb, which come to it as one dict, and its help."""

    def decorate(command: Command) -> Command:
        shared = for_the_command_line(verb)
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

        def run(**given: Any) -> None:
            command({one.name: given.pop(one.name) for one in shared}, **given)

        run.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
        run.__name__ = command.__name__
        run.__doc__ = (inspect.getdoc(verb) or "").partition("\n\n")[0]
        return run

    return decorate


# Commands


@app.callback(invoke_without_command=True)
def ganvas_options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Train, measure, compare and ship GANs on small images."""
    if debug:
        os.environ["GANVAS_DEBUG"] = "1"
    if version:
        typer.echo(f"ganvas {ganvas.__version__}")
        raise typer.Exit
    help_without_a_command(context)


@data_app.callback(invoke_without_command=True)
def data_options(context: typer.Context) -> None:
    """Data sets: what is there, fetch, inspect."""
    help_without_a_command(context)


def help_without_a_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command()
@takes(ganvas.train)
def train(
    options: dict[str, Any],
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check everything, print the resolved settings and stop."),
    ] = False,
    as_json: Json = False,
) -> None:
    from rich.console import Console

    from ganvas import printing
    from ganvas.verbs import train as verb

    if dry_run:
        run, remarks = verb.dry_run(**options)
        printing.settings(run, remarks, as_json)
        return
    result = ganvas.train(**options, progress=Console(stderr=True) if as_json else True)
    printing.trained(result, as_json)
    if not result.finished:
        raise typer.Exit(130)


@app.command()
@takes(ganvas.sample)
def sample(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    places = ("grid", "folder", "npz", "walk")
    if not any(options[place] for place in places):
        options["grid"] = Path("samples.png")
    images = ganvas.sample(**options)
    printing.sampled(images, {place: options[place] for place in places}, as_json)


@app.command()
@takes(ganvas.evaluate)
def evaluate(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.metrics(ganvas.evaluate(**options, progress=True), as_json)


@app.command()
@takes(ganvas.compare)
def compare(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    if not as_json:  # which writes nothing unless it is told to
        options["html"] = options["html"] or Path("compare.html")
    printing.comparison(ganvas.compare(**options), options["html"], as_json)


@app.command()
@takes(ganvas.export)
def export(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.written(ganvas.export(**options), as_json)


@app.command()
@takes(ganvas.open_studio)
def studio(options: dict[str, Any]) -> None:
    ganvas.open_studio(**options, say=typer.echo)


@app.command("import")
@takes(ganvas.import_weights)
def import_(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.written(ganvas.import_weights(**options), as_json)


@app.command("list")
@takes(ganvas.list)
def list_(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.names(ganvas.list(**options), as_json)


@app.command()
@takes(ganvas.show)
def show(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.shown(ganvas.show(**options), as_json)


@data_app.command("list")
@takes(data_verbs.list_datasets)
def data_list(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.datasets(data_verbs.list_datasets(**options), as_json)


@data_app.command("show")
@takes(data_verbs.show_dataset)
def data_show(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.dataset(data_verbs.show_dataset(**options), as_json)


@data_app.command("fetch")
@takes(data_verbs.fetch)
def data_fetch(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.fetched(data_verbs.fetch(**options), as_json)


@data_app.command("inspect")
@takes(data_verbs.inspect)
def data_inspect(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    if not as_json:  # which writes nothing unless it is told to
        options["sheet"] = options["sheet"] or Path("inspect.png")
    printing.inspection(data_verbs.inspect(**options), options["sheet"], as_json)


@data_app.command("clean")
@takes(data_verbs.clean)
def data_clean(options: dict[str, Any], *, as_json: Json = False) -> None:
    from ganvas import printing

    printing.cleaned(data_verbs.clean(**options), as_json)


def main() -> NoReturn:
    """Run the command line; every failure is one line on standard error and an exit code."""
    # Before torch starts: how long its threads spin while they wait for work. GNU's default is so
    # long that on a busy machine they starve each other; this costs a quiet one little.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal has no sign for ends nothing

    warnings.showwarning = lambda message, *_: typer.echo(f"warning: {message}", err=True)
    try:
        code = app(prog_name="ganvas", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        fail("interrupted", 130)
    except UsageError as error:
        fail(str(error), 2)
    except RunError as error:
        fail(str(error), 1)
    except typer.TyperException as error:  # no such option, a missing argument, ...
        fail(in_words(error), error.exit_code)
    except BrokenPipeError:  # nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            fail(f"a name of {len(str(error.filename)):,} letters is too long for a file", 2)
        fail(f"unexpected {type(error).__name__}: {error}; `ganvas --debug ...` shows where", 1)
    sys.exit(code if isinstance(code, int) else 0)


def in_words(error: typer.TyperException) -> str:
    """ "--epochs: found 'many'; allowed: a whole number" of an option's value."""
    options = error.param.opts if isinstance(error, typer.BadParameter) and error.param else []
    for argument, following in itertools.zip_longest(sys.argv, sys.argv[1:]):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") in options:
            allowed = "a whole number" if "integer" in error.message else "a number"
            return f"{name}: found {value if equals else following!r}; allowed: {allowed}"
    return error.format_message()


def fail(message: str, code: int) -> NoReturn:
    if os.environ.get("GANVAS_DEBUG") and sys.exc_info()[0]:
        import traceback

        traceback.print_exc()
    if message:
        line = " ".join(message.split())
        if len(line) > LONGEST:
            line = f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"
        typer.echo(f"ganvas: {printable(line)}", err=True)
    sys.exit(code)
