"""`train`: from a recipe and a few options to a run folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict, Union, Unpack, get_args

from typer import Argument, Option

from ganvas.errors import UsageError, printable
from ganvas.files import is_utf8
from ganvas.verbs import completion
from ganvas.verbs.imports import Imports, import_given, with_components
from ganvas.verbs.lengthening import lengthened, refuse_start, said
from ganvas.verbs.signatures import DataRoot, verb

if TYPE_CHECKING:
    from rich.console import Console

    from ganvas.config import Recipe, Run
    from ganvas.config.fitting import Choice
    from ganvas.protocols import RawImages
    from ganvas.rundir import RunFolder
    from ganvas.training.loop import Trained

DEFAULT_RECIPE: Final = "quickstart"
"""Without data either."""
DEFAULT_FOR_DATA: Final = "modern"


class Sets:
    """Marks an option that is short for a setting, or for several that it gives the same value."""

    def __init__(self, *settings: str, unit: str = "") -> None:
        self.settings = settings
        self.unit = unit
        """Of a length: follows the value."""


class Options(TypedDict, total=False):
    """What settles a run's settings, besides its recipe; what is left out stays as it is there."""

    data: Annotated[
        str | Path | None,
        Option(
            help="Data set, folder of pictures, or .npz file.",
            autocompletion=completion.data_sets,
        ),
    ]
    epochs: Annotated[
        int | None, Option(help="Length in epochs."), Sets("train.length", unit="epochs")
    ]
    images: Annotated[
        int | None, Option(help="Length in real images shown."), Sets("train.length", unit="images")
    ]
    minutes: Annotated[
        float | None,
        Option(help="Length by the clock; as many steps as fit."),
        Sets("train.length", unit="minutes"),
    ]
    batch_size: Annotated[int | None, Option(help="Images in a batch."), Sets("train.batch_size")]
    learning_rate: Annotated[
        float | None,
        Option(help="Adam's step size, both nets."),
        Sets("optim.generator.learning_rate", "optim.discriminator.learning_rate"),
    ]
    beta_1: Annotated[
        float | None,
        Option("--beta-1", help="Adam's first decay, both nets."),
        Sets("optim.generator.beta_1", "optim.discriminator.beta_1"),
    ]
    encoding_dims: Annotated[
        int | None, Option(help="Length of the latent vector."), Sets("latent.dims")
    ]
    image_size: Annotated[
        str | int | None,
        Option(help="Resize images: 64 or 28x20 (height x width)."),
        Sets("preprocess.image_size"),
    ]
    seed: Annotated[int | None, Option(help="The same seed gives the same bytes."), Sets("seed")]
    device: Annotated[str | None, Option(help="auto, cpu, cuda or mps."), Sets("train.device")]
    evaluate: Annotated[
        str | Sequence[str] | None,
        Option(
            help="Measure on the way: fd10k,prdc2k, or none.  [default: fd]",
            autocompletion=completion.metrics,
        ),
        Sets("evaluate.metrics"),
    ]
    every: Annotated[
        str | None, Option(help="How often: auto, 1epoch or 500steps."), Sets("evaluate.every")
    ]
    on_failure: Annotated[
        str | None, Option(help="On a fault: stop, rollback or continue."), Sets("train.on_failure")
    ]
    settings: Annotated[
        list[str] | Mapping[str, Any] | Sequence[str] | None,
        Option(
            "--set",
            metavar="SECTION.SETTING=VALUE",
            help="Any other setting; may be repeated.",
            autocompletion=completion.settings,
        ),
    ]
    skip_broken: Annotated[
        bool | None,
        Option("--skip-broken", help="Train without a folder's broken pictures."),
        Sets("data.skip_broken"),
    ]
    imports: Imports
    resume: Annotated[
        Path | str | None,
        Option(
            help="Go on with a run folder, or from one of its checkpoints; with a length, so long."
        ),
    ]


RecipeName = Annotated[
    Union[str, Path, "Run", None],
    Argument(
        help="A recipe's name or a TOML file.  [default: modern with --data, else quickstart]",
        autocompletion=completion.recipes,
    ),
]


@verb
def train(
    recipe: RecipeName = None,
    *,
    data_root: DataRoot = None,
    outdir: Annotated[
        Path | str | None, Option(help="The run folder.  [default: runs/RECIPE-NNN]")
    ] = None,
    begin_with: Annotated[
        Path | str | None,
        Option(
            "--from", help="Begin with the weights of a run or saved generator, where they fit."
        ),
    ] = None,
    progress: Annotated[
        Union[bool, "Console"], "show how it goes, on standard output or on a console of rich's"
    ] = True,
    **options: Unpack[Options],
) -> "Trained":
    """Train a GAN; without a recipe one fitted to --data, or a small one on embedded digits.

    In the place of a recipe may be a `Run`, as `resolve` gives it. It has every setting, so that
    none may be given besides. `settings` are a mapping, as {"loss.name": "least-squares"}, or
    strings as after --set.

    Returns:
        The run folder, how far training came, and the last and the best evaluation.

    Raises:
        UsageError: a setting, a file or the data is wrong; nothing has been written.
        RunError: the run failed on the way; its checkpoints are intact.
    """
    root = Path(data_root) if data_root else None
    run, choices, raw = _resolved(recipe, options, root, fetch=True)
    resume = options.get("resume")
    if resume is not None:
        refuse_start(begin_with)
        folder, checkpoint = _resumable(Path(resume))
        run = _resumed(run, folder, checkpoint, outdir)

    from rich.console import Console

    from ganvas import config
    from ganvas.data.prepare import prepared
    from ganvas.rundir import RunFolder, claim
    from ganvas.training.loop import fit
    from ganvas.training.progress import Live, Silent

    console = Console() if isinstance(progress, bool) else progress
    reporter = Live(console) if progress else Silent()
    for line in config.ignored(run):
        reporter.warn(line)
    if choices:
        reporter.say(f"fitted to the images, see config.toml: {', '.join(map(str, choices))}")
    if resume is None:
        data = None if raw is None else prepared(raw, run.preprocess)
        del raw  # which may be large pictures
        with RunFolder(Path(outdir)).locked() if outdir else claim(run.recipe) as folder:
            return fit(run, folder, reporter, root, data=data, begin_with=begin_with)
    with folder.locked():
        begun = config.load(folder.config)
        if begun.train.length != run.train.length:
            folder.rewrite_config(run)
            reporter.say(said(begun, run))
        return fit(run, folder, reporter, root, resume=True, checkpoint=checkpoint)


@verb
def resolve(
    recipe: RecipeName = None, *, data_root: DataRoot = None, **options: Unpack[Options]
) -> "Run":
    """The settings that `train` with these arguments runs with; nothing is trained or written.

    A recipe that is fitted to the images reads them for that, but fetches none: where those of a
    published data set are not there, it goes by what is known of them.

    Raises:
        UsageError: a setting or a file is wrong.
    """
    return _resolved(recipe, options, Path(data_root) if data_root else None, fetch=False)[0]


def _resolved(
    recipe: "str | Path | Run | None", options: Options, root: Path | None, *, fetch: bool
) -> "tuple[Run, list[Choice], RawImages | None]":
    """The settings, those of them that were fitted to the images, and the images if they were
    read for that."""
    from ganvas import config

    changes = list(_changes(options))
    resume = options.get("resume")
    if isinstance(recipe, config.Run):
        given = [key for key, _ in changes]
        given += [name for name in ("data", "imports") if options.get(name)]
        if given:
            raise UsageError(
                f"{given[0]}: found with a Run, which has every setting; give it to ganvas.resolve"
            )
        return recipe, [], None
    if recipe is None and resume is not None:
        recipe = _resumable(Path(resume))[0].config
    imports = import_given(options.get("imports"))
    data = options.get("data")
    found = config.read_recipe(
        str(recipe or (DEFAULT_RECIPE if data is None else DEFAULT_FOR_DATA))
    )
    tables = found.tables
    if imports and resume is None:  # a run that goes on has them where it had them
        tables["imports"] = list(dict.fromkeys([*config.imports_of(tables), *imports]))
    if data is not None:
        tables["data"] = _data_table(str(data))
        # `first` is how much the recipe takes of its own data set
        whole = {k: v for k, v in tables.get("preprocess", {}).items() if k != "first"}
        tables["preprocess"] = whole
    tables = config.override(tables, changes)

    def build() -> "tuple[Run, list[Choice], RawImages | None]":
        run = config.build(tables)  # so that a wrong setting is said before images are read

        from ganvas.training.plan import asked  # torch

        if not asked(run.evaluate) and options.get("every") is not None:
            raise UsageError(
                f"--every: found '{options['every']}' where nothing is evaluated; give --evaluate "
                "too"
            )
        choices, raw = _fitted(found, run, [key for key, _ in changes], root, fetch)
        chosen = config.override(tables, [(choice.setting, choice.value) for choice in choices])
        before, after = dict(config.leaves(found.tables)), dict(config.leaves(chosen))
        reasons = {k: r for k, r in found.reasons.items() if k in after and after[k] == before[k]}
        reasons |= {choice.setting: choice.reason for choice in choices}
        run = config.build(chosen) if choices else run
        return replace(run, reasons=reasons), choices, raw

    is_file = str(recipe).endswith(".toml")
    return with_components(Path(str(recipe)), build) if is_file else build()


def _fitted(
    recipe: "Recipe", run: "Run", changed: Sequence[str], root: Path | None, fetch: bool
) -> "tuple[list[Choice], RawImages | None]":
    """What the images decide of a run by a recipe with changes: settings that nobody gave. And
    the images, if they were read for that."""
    renamed = {key.removesuffix("name") for key in changed if key.endswith(".name")}
    touched = {f"{key.rpartition('.')[0]}.name" for key in changed}
    open_ = [
        key
        for key in recipe.fitted
        if key not in changed
        and not key.startswith(tuple(renamed))  # settings of a component that is not there now
        and key not in touched  # settings were given of the component that there is
    ]
    if not open_:
        return [], None

    from ganvas import config
    from ganvas.config.fitting import fitted
    from ganvas.data.facts import read_facts

    facts, raw = read_facts(run.data, run.preprocess, root, fetch=fetch)
    given = {k: value for k, value in config.leaves(config.to_tables(run)) if k not in open_}
    return fitted(facts, open_, given), raw


def dry_run(
    recipe: "str | Path | Run | None" = None,
    *,
    data_root: Path | str | None = None,
    outdir: Path | str | None = None,
    begin_with: Path | str | None = None,
    **options: Unpack[Options],
) -> "tuple[Run, list[str]]":
    """The settings that `train` would run with, and remarks; nothing is trained or written.

    Raises:
        UsageError, RunError: whatever `train` would say before its first step.
    """
    from ganvas.data.prepare import prepared
    from ganvas.verbs.checking import check

    root = Path(data_root) if data_root else None
    run, _, raw = _resolved(recipe, options, root, fetch=False)
    if (resume := options.get("resume")) is not None:
        run = _resumed(run, *_resumable(Path(resume)), outdir)
        outdir = None
        refuse_start(begin_with)
    data = None if raw is None else prepared(raw, run.preprocess)
    return run, check(run, root, Path(outdir) if outdir else None, begin_with, data)


def _changes(options: Options) -> Iterator[tuple[str, Any]]:
    """The settings that options stand for, with their values; UsageError if one is given twice."""
    from ganvas import config

    pairs = config.as_pairs(options.get("settings") or ())
    given = [
        (_flag(name), mark.settings, f"{value} {mark.unit}" if mark.unit else value)
        for name, value in options.items()
        if value is not None and value is not False
        for mark in get_args(Options.__annotations__[name])
        if isinstance(mark, Sets)
    ]
    given += [(f"--set {key}", (key,), value) for key, value in pairs]
    seen: dict[str, str] = {}
    for flag, keys, value in given:
        if len(keys) == 1:  # of an option for both nets, --set may change the one for one of them
            if keys[0] in seen:
                raise UsageError(f"{seen[keys[0]]} and {flag}: found together; give one of them")
            seen[keys[0]] = flag
        yield from ((key, value) for key in keys)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _data_table(what: str) -> dict[str, Any]:
    from ganvas.data.names import refuse_early
    from ganvas.registry import DATASETS

    refuse_early(what)

    from ganvas.data.catalogue import open_dataset

    dataset = open_dataset(what)
    if not is_utf8(what):
        raise UsageError(f"--data: '{printable(what)}' has a name that is not UTF-8; rename it")
    path = {"path": str(Path(what).resolve())} if hasattr(dataset, "path") else {}
    return {"name": DATASETS.name_of(dataset)} | path


# Resume


def _resumable(what: Path) -> tuple["RunFolder", Path | None]:
    """The run folder that `what` is or lies in, and the checkpoint if it is one."""
    from ganvas.registry import closest
    from ganvas.rundir import RunFolder

    is_checkpoint = what.parent.name == "checkpoints"
    folder = RunFolder(what.parent.parent if is_checkpoint else what)
    if not folder.config.is_file():
        raise UsageError(f"--resume: '{what}' is neither a run folder nor one of its checkpoints")
    if is_checkpoint and not what.is_dir():
        names = [checkpoint.name for checkpoint in folder.checkpoints()]
        raise UsageError(f"--resume: no checkpoint '{what.name}'; {closest(what.name, names)}")
    return folder, what if is_checkpoint else None


def _resumed(
    run: "Run", folder: "RunFolder", checkpoint: Path | None, outdir: str | Path | None
) -> "Run":
    """The run that goes on: in its own folder, with its own settings, but maybe for longer."""
    from ganvas import config
    from ganvas.training.plan import as_begun

    if outdir and Path(outdir).resolve() != folder.path.resolve():
        raise UsageError(
            f"--outdir: found '{outdir}' with --resume; a run goes on in its own folder"
        )
    begun = config.load(folder.config)
    run = as_begun(run, begun)
    begun = replace(begun, train=replace(begun.train, on_failure=run.train.on_failure))
    alike = replace(run, train=replace(run.train, length=begun.train.length))
    if changes := config.diff(begun, alike):
        raise UsageError(
            f"--resume: the settings are not those of '{folder.path}': {'; '.join(changes)}; "
            "resume without them, or start a new run"
        )
    if begun.train.length != run.train.length:
        return lengthened(begun, run, folder, checkpoint)
    return run
