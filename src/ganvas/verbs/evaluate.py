"""`evaluate`: images measured against a data set."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from ganvas import pretrained
from ganvas.data.names import refuse_early
from ganvas.errors import UsageError
from ganvas.verbs import completion
from ganvas.verbs.imports import Imports, import_given, settings_file, with_components
from ganvas.verbs.signatures import DataRoot, verb

if TYPE_CHECKING:
    from ganvas.metrics.rows import Row


@verb
def evaluate(
    what: Annotated[
        list[str] | str | Path | Sequence[str | Path],
        Argument(
            help="Run folders, folders that hold some, patterns; saved generators, pretrained ones "
            "by their names, hf:OWNER/NAME; .npz files or picture folders.",
            autocompletion=completion.pretrained,
        ),
    ],
    *,
    data: Annotated[
        str | Path | None,
        Option(
            help="Data set to compare with.  [default: the run's own, or the recipe's]",
            autocompletion=completion.data_sets,
        ),
    ] = None,
    metrics: Annotated[
        str | Sequence[str] | None,
        Option(
            help=f"Of {','.join(completion.METRICS)}; fid,kid,is with --features inception.  "
            "[default: fd,kd,prdc,classes,memorisation; with classes agreement too]",
            autocompletion=completion.metrics,
        ),
    ] = None,
    num: Annotated[int, Option(help="Fakes, and as many reference images.")] = 10_000,
    split: Annotated[
        str | None,
        Option(
            help="Reference images: test, or train.  [default: test, or those held out of training]"
        ),
    ] = None,
    seed: Annotated[int, Option(help="The same seed gives the same numbers.")] = 0,
    features: Annotated[
        str, Option(help="auto, classifier, learned, random, pixels or inception.")
    ] = "auto",
    settings: Annotated[
        list[str] | Mapping[str, Any] | Sequence[str] | None,
        Option(
            "--set",
            metavar="metrics.METRIC.SETTING=VALUE",
            help="A metric's setting, such as metrics.prdc.k=3; may be repeated.",
        ),
    ] = None,
    image_size: Annotated[
        str | int | None,
        Option(help="Resize pictures of both sides: 64 or 28x20. A run has its own size."),
    ] = None,
    skip_broken: Annotated[
        bool, Option("--skip-broken", help="Go on without a folder's broken pictures.")
    ] = False,
    pairs: Annotated[
        Path | str | None, Option(help="PNG of the fakes most like training images.")
    ] = None,
    data_root: DataRoot = None,
    imports: Imports = None,
    progress: Annotated[
        bool, "show on standard error how far it is, where that takes more than a moment"
    ] = False,
) -> "list[Row]":
    """Measure images against a data set: each number with its protocol, interval and floor.

    A run, and the generators in its folder, have a data set of their own, and their rows are
    appended to the run's metrics.jsonl. A generator elsewhere has its recipe's, if it was trained
    on that. With fewer images than `num`, all there are are taken.
    Without `metrics`, those of the default that cannot be measured say why. Several are measured
    one after the other; runs in a folder or a pattern that have no generator yet are passed over.

    Returns:
        A row a metric; of several things, each row says in `what` of which it is.

    Raises:
        UsageError: images or options are wrong, or a metric asked for cannot be measured.
        RunError: a data file is nowhere to be found.
    """
    if num < 2:
        raise UsageError(f"--num: found {num}; allowed: 2 or more")
    if data is not None:
        import_given(imports)
        refuse_early(data)
    given = [what] if isinstance(what, str | Path) else list(what)
    chosen = [one for each in given for one in _meant_by(each)]
    if len(chosen) > 1 and pairs is not None:
        raise UsageError(
            f"--pairs: found with {len(chosen)} things to measure, and it is one file; "
            "a run has its own as memorisation.png"
        )

    from ganvas.metrics.evaluate import evaluate

    import_given(imports)

    def measured(one: str | Path) -> "list[Row]":
        return evaluate(
            one,
            data=data,
            metrics=metrics,
            num=num,
            split=split,  # type: ignore[arg-type]  # checked there
            seed=seed,
            features=features,
            settings=settings or (),
            image_size=image_size,
            skip_broken=skip_broken,
            pairs=pairs,
            data_root=data_root,
            progress=progress,
        )

    rows = []
    for one in chosen:
        found = with_components(settings_file(one), lambda one=one: measured(one))  # type: ignore[misc]
        several = len(chosen) > 1
        rows += [dataclasses.replace(row, what=str(one)) if several else row for row in found]
    return rows


def _meant_by(given: str | Path) -> Iterator[str | Path]:
    """What is to be measured: the thing itself, or the runs below a folder or in a pattern."""
    from ganvas.rundir import RunFolder, find_runs

    if pretrained.is_name(given):
        yield given
        return
    path = pretrained.located(given)
    is_pattern = not path.exists() and any(sign in str(given) for sign in "*?[")
    if not path.exists() and not is_pattern:
        raise pretrained.missing(given)
    by_itself = path.is_file() or (path / "config.json").exists() or RunFolder(path).is_run
    if by_itself and not is_pattern:
        yield given
        return
    try:
        runs = find_runs([given])
    except UsageError:
        if is_pattern:
            raise
        yield given  # a folder of pictures
        return
    made = [run.path for run in runs if run.generator.is_dir()]
    if not made:
        raise UsageError(f"'{given}': none of its {len(runs)} runs has a generator yet")
    yield from made
