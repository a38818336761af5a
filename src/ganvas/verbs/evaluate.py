"""`evaluate`: images measured against a data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from ganvas.verbs import completion
from ganvas.verbs.signatures import DataRoot, verb

if TYPE_CHECKING:
    from ganvas.metrics.rows import Row


@verb
def evaluate(
    what: Annotated[
        str | Path, Argument(help="A run folder, saved generator, .npz file or picture folder.")
    ],
    *,
    data: Annotated[
        str | Path | None,
        Option(
            help="Data set to compare with.  [default: the run's own]",
            autocompletion=completion.data_sets,
        ),
    ] = None,
    metrics: Annotated[
        str | Sequence[str] | None,
        Option(
            help=f"Of {','.join(completion.METRICS)}; fid,kid,is with --features inception.  "
            "[default: fd,kd,prdc,classes,memorisation]",
            autocompletion=completion.metrics,
        ),
    ] = None,
    num: Annotated[int, Option(help="Fakes, and as many reference images.")] = 10_000,
    split: Annotated[str, Option(help="Reference images: test or train.")] = "test",
    seed: Annotated[int, Option(help="The same seed gives the same numbers.")] = 0,
    features: Annotated[
        str, Option(help="auto, classifier, random, pixels or inception.")
    ] = "auto",
    settings: Annotated[
        list[str] | Mapping[str, Any] | Sequence[str] | None,
        Option(
            "--set",
            metavar="metrics.METRIC.SETTING=VALUE",
            help="A metric's setting, such as metrics.prdc.k=3; may be repeated.",
        ),
    ] = None,
    pairs: Annotated[
        Path | str | None, Option(help="PNG of the fakes most like training images.")
    ] = None,
    data_root: DataRoot = None,
    progress: Annotated[
        bool, "show on standard error how far it is, where that takes more than a moment"
    ] = False,
) -> "list[Row]":
    """Measure images against a data set: each number with its protocol, interval and floor.

    A run, and the generators in its folder, have a data set of their own, and their rows are
    appended to the run's metrics.jsonl. With fewer images than `num`, all there are are taken.
    Without `metrics`, those of the default that cannot be measured say why.

    Returns:
        A row a metric.

    Raises:
        UsageError: images or options are wrong, or a metric asked for cannot be measured.
        RunError: a data file is nowhere to be found.
    """
    from ganvas.metrics.evaluate import evaluate

    return evaluate(
        what,
        data=data,
        metrics=metrics,
        num=num,
        split=split,  # type: ignore[arg-type]  # checked there
        seed=seed,
        features=features,
        settings=settings or (),
        pairs=pairs,
        data_root=data_root,
        progress=progress,
    )
