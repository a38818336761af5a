"""The command line: each command parses, calls the function of its name, and prints.

Heavy imports happen inside the commands, so that --help answers at once."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from ganvas.verbs.export import export
from ganvas.verbs.import_weights import import_weights

CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda name: name.replace("_", "-"),  # --batch_size is --batch-size
}
app = typer.Typer(
    name="ganvas",
    help="Train, measure, compare and ship GANs on small images.",
    context_settings=CONTEXT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(
    help="Data sets: what is there, fetch, inspect.",
    context_settings=CONTEXT,
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.command(help="A generator as a file that works without ganvas, checked.")(export)
app.command("import", help="Weights of Keras or PyTorch as a generator.")(import_weights)

DataRoot = Annotated[
    Path | None,
    typer.Option(help="Where data files are looked for first; then GANVAS_DATA, then the cache."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train, measure, compare and ship GANs on small images."""
    if debug:
        os.environ["GANVAS_DEBUG"] = "1"


@app.command()
def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe's name or a TOML file.  [default: quickstart]")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set, folder of pictures, or .npz file.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Length in epochs.")] = None,
    images: Annotated[int | None, typer.Option(help="Length in real images shown.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Length by the clock; as many steps as fit.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in a batch.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Adam's step size, both nets.")
    ] = None,
    beta_1: Annotated[
        float | None, typer.Option("--beta-1", help="Adam's first decay, both nets.")
    ] = None,
    encoding_dims: Annotated[int | None, typer.Option(help="Length of the latent vector.")] = None,
    image_size: Annotated[
        str | None, typer.Option(help="Resize images: 64 or 28x20 (height x width).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same bytes.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    evaluate: Annotated[
        str | None,
        typer.Option(help="Measure on the way: fd10k,prdc2k, or none.  [default: fd]"),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            help="How often: 1epoch, 500steps.  [default: auto, in under 5 % of the time]"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.SETTING=VALUE", help="Any other setting; may be repeated."
        ),
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Train without a folder's broken pictures.")
    ] = False,
    data_root: DataRoot = None,
    outdir: Annotated[
        Path | None, typer.Option(help="The run folder.  [default: runs/RECIPE-NNN]")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a run folder, or from one of its checkpoints.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved settings and stop.")
    ] = False,
) -> None:
    """Train a GAN; without a recipe a small one on embedded digits, in under a minute."""
    import ganvas
    from ganvas import config, printing

    choices: dict[str, Any] = {
        "data": data,
        "epochs": epochs,
        "images": images,
        "minutes": minutes,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "beta_1": beta_1,
        "encoding_dims": encoding_dims,
        "image_size": image_size,
        "seed": seed,
        "device": device,
        "evaluate": evaluate,
        "every": every,
        "skip_broken": skip_broken,
        "settings": settings or [],
        "resume": resume,
    }
    if dry_run:
        typer.echo(config.save(ganvas.resolve(recipe, **choices)), nl=False)
        return
    result = ganvas.train(recipe, outdir=outdir, data_root=data_root, **choices)
    if not result.finished:
        typer.echo(
            f"stopped after {result.images:,} images, all saved; "
            f"go on with: ganvas train --resume {result.folder}"
        )
        raise typer.Exit(130)
    typer.echo(f"trained on {result.images:,} images in {result.seconds:,.0f} s: {result.folder}")
    printing.evaluations(result)
    typer.echo("  samples/ training.gif losses.png reals.png log.jsonl generator/")
    typer.echo(f"  more images: ganvas sample {result.folder}")


@app.command()
def sample(
    what: Annotated[str, typer.Argument(help="A run folder or a saved generator.")],
    num: Annotated[int, typer.Option(help="How many images.")] = 25,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    grid: Annotated[
        Path | None, typer.Option(help="PNG of all images.  [default: samples.png]")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="New folder for one PNG an image.")] = None,
    npz: Annotated[Path | None, typer.Option(help="NPZ file with all images.")] = None,
    walk: Annotated[Path | None, typer.Option(help="GIF of a walk through latent space.")] = None,
) -> None:
    """Make images with a trained generator."""
    import ganvas

    if not any((grid, folder, npz, walk)):
        grid = Path("samples.png")
    ganvas.sample(what, num=num, seed=seed, grid=grid, folder=folder, npz=npz, walk=walk)
    typer.echo(f"wrote {', '.join(str(path) for path in (grid, folder, npz, walk) if path)}")


@app.command()
def evaluate(
    what: Annotated[
        str, typer.Argument(help="A run folder, saved generator, .npz file or picture folder.")
    ],
    data: Annotated[
        str | None, typer.Option(help="Data set to compare with.  [default: the run's own]")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Of fd,kd,prdc,classes,parzen,1nn,1nn-labels,duplicates,memorisation; fid,kid,is "
            "with --features inception.  "
            "[default: fd,kd,prdc,classes,memorisation]"
        ),
    ] = None,
    num: Annotated[int, typer.Option(help="Fakes, and as many reference images.")] = 10_000,
    split: Annotated[str, typer.Option(help="Reference images: test or train.")] = "test",
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 0,
    features: Annotated[
        str, typer.Option(help="auto, classifier, random, pixels or inception.")
    ] = "auto",
    pairs: Annotated[
        Path | None, typer.Option(help="PNG of the fakes most like training images.")
    ] = None,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Measure images against a data set: each number with its protocol, interval and floor."""
    from ganvas import printing
    from ganvas.metrics.evaluate import evaluate

    rows = evaluate(
        what,
        data=data,
        metrics=metrics,
        num=num,
        split=split,  # type: ignore[arg-type]  # checked there
        seed=seed,
        features=features,  # type: ignore[arg-type]
        pairs=pairs,
        data_root=data_root,
        progress=True,
    )
    if as_json:
        typer.echo(json.dumps([row.as_json() for row in rows], indent=2))
    else:
        printing.metrics(rows)


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Run folders, folders that hold some, or patterns.")
    ],
    html: Annotated[Path, typer.Option(help="The page: tables, curves, sheets.")] = Path(
        "compare.html"
    ),
    as_json: Json = False,
) -> None:
    """Runs side by side: mean and spread over seeds, curves, sample sheets, settings."""
    from ganvas import printing
    from ganvas.comparison.compare import compare

    found = compare(runs, html=html)
    if as_json:
        typer.echo(json.dumps(found.as_json() | {"html": str(html)}, indent=2))
    else:
        printing.comparison(found)
        typer.echo(f"wrote {html}")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Recipes, data sets, models, losses, latents, update rules."""
    import ganvas
    from ganvas import printing

    found = ganvas.list()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for family, names in found.items():
        printing.table(
            family, ["name", "what it is"], [[name, about] for name, about in names.items()]
        )


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(help="A recipe, TOML file, run folder, or component as model.quickstart."),
    ],
    as_json: Json = False,
    data_root: DataRoot = None,
) -> None:
    """A recipe: its settings with their reasons, its nets, shapes and parameter counts."""
    import ganvas
    from ganvas import printing

    found = ganvas.show(name, data_root=data_root)
    if as_json:
        typer.echo(json.dumps(found, indent=2, default=str))
    elif "recipe" in found:
        printing.recipe(found)
    elif "card" in found:
        typer.echo(found["card"])
    else:
        printing.component(found)


@data_app.command("list")
def data_list(data_root: DataRoot = None, as_json: Json = False) -> None:
    """What is there, where, and whether it is the published files."""
    from ganvas import printing
    from ganvas.data import catalogue

    found = catalogue.list_datasets(data_root)
    if as_json:
        typer.echo(json.dumps([vars(listing) for listing in found], indent=2, default=str))
        return
    rows = [
        [
            listing.dataset,
            listing.status,
            ", ".join(f"{split} {count:,}" for split, count in listing.splits.items()),
            str(listing.path or ""),
            listing.about,
        ]
        for listing in found
    ]
    printing.table("data sets", ["name", "status", "images", "where", "what it is"], rows)


@data_app.command()
def fetch(
    name: Annotated[
        str, typer.Argument(help="A data set, or inception for the weights of that net.")
    ],
    data_root: DataRoot = None,
) -> None:
    """Download a data set's files, checked by SHA-256, unless they are there already."""
    from ganvas.data import catalogue

    fetched = catalogue.fetch(name, data_root)
    for path in fetched.files:
        typer.echo(path)
    if not fetched.files:
        typer.echo(f"{name} needs no files")


@data_app.command()
def inspect(
    what: Annotated[str, typer.Argument(help="Data set, folder of pictures, or .npz file.")],
    sheet: Annotated[Path, typer.Option(help="PNG with samples of each class.")] = Path(
        "inspect.png"
    ),
    image_size: Annotated[
        str | None, typer.Option(help="Look at the images resized: 64 or 28x20.")
    ] = None,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Count, sizes, channels, classes, broken files, exact duplicates, and a sheet of samples."""
    from ganvas import config, printing
    from ganvas.data import inspection
    from ganvas.images import scale_for, write_png

    size = {} if image_size is None else {"image_size": image_size}
    preprocess = config.component("preprocess", size) if size else None
    found = inspection.inspect(what, data_root, preprocess)
    write_png(sheet, found.sheet, scale_for(found.sheet.shape[1]))
    if as_json:
        printing.inspection_json(found, sheet)
    else:
        printing.inspection(found, sheet)


def main() -> NoReturn:
    """Run the command line; every failure is one line on standard error and an exit code."""
    from ganvas.errors import RunError, UsageError

    # Before torch starts: how long its threads spin while they wait for work. GNU's default is so
    # long that on a busy machine they starve each other; this costs a quiet one little.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")

    try:
        code = app(prog_name="ganvas", standalone_mode=False)
    except typer.Abort:
        fail("interrupted", 130)
    except UsageError as error:
        fail(str(error), 2)
    except RunError as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # nothing but `ganvas` or `ganvas data`
            typer.echo(error.format_message(), err=True)  # type: ignore[attr-defined]
            sys.exit(2)
        if hasattr(error, "format_message"):  # a click error: unknown option, missing argument
            fail(found(error) + error.format_message(), getattr(error, "exit_code", 2))
        fail(f"unexpected {type(error).__name__}: {error}; `ganvas --debug ...` shows where", 1)
    if not isinstance(code, int | None):
        typer.echo(code)  # what a verb returned
    sys.exit(code if isinstance(code, int) else 0)


def found(error: Exception) -> str:
    """'--epochs: found many; ' for an error about an option's value, which does not say it."""
    options = getattr(getattr(error, "param", None), "opts", [])
    for argument, following in itertools.zip_longest(sys.argv, sys.argv[1:]):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") in options:
            return f"{name}: found {value if equals else following!r}; "
    return ""


def fail(message: str, code: int) -> NoReturn:
    if os.environ.get("GANVAS_DEBUG") and sys.exc_info()[0]:
        import traceback

        traceback.print_exc()
    if message:
        typer.echo("ganvas: " + " ".join(message.split()), err=True)
    sys.exit(code)
