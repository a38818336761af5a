"""`train`: from a recipe and a few options to a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from ganvas import config
from ganvas.config import Run
from ganvas.data.catalogue import open_dataset
from ganvas.errors import UsageError
from ganvas.registry import DATASETS, closest
from ganvas.rundir import RunFolder, next_folder
from ganvas.training.loop import Trained, fit
from ganvas.training.plan import as_begun, asked
from ganvas.training.progress import Live, Silent

DEFAULT_RECIPE: Final = "quickstart"


def train(
    recipe: str | None = None,
    *,
    data: str | Path | None = None,
    epochs: int | None = None,
    images: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    beta_1: float | None = None,
    encoding_dims: int | None = None,
    image_size: int | str | None = None,
    seed: int | None = None,
    device: str | None = None,
    evaluate: str | Sequence[str] | None = None,
    every: str | None = None,
    skip_broken: bool = False,
    settings: Sequence[str] | Mapping[str, Any] = (),
    outdir: str | Path | None = None,
    data_root: str | Path | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
) -> Trained:
    """Train a GAN and leave a run folder.

    Args:
        recipe: a recipe's name or a TOML file; without one, `quickstart`, or the resumed run's.
        data: a data set's name, a folder of pictures or an .npz file.
        evaluate: what is measured on the way, such as "fd10k,prdc2k"; "none": nothing.
        every: how often: a period such as "1 epoch"; or "auto": in under 5 % of the time.
        settings: further settings, as "section.setting=value" strings or as a mapping.
        outdir: the run folder; without it, the next free runs/RECIPE-NNN.
        data_root: where data files are looked for first.
        resume: a run folder, or one of its checkpoints, to go on from.
        progress: show a progress line.
        The others override the recipe's settings of those names.

    Raises:
        UsageError: a setting, a file or the data is wrong; nothing has been written.
        RunError: the run failed on the way; its checkpoints are intact.
    """
    run = resolve(
        recipe,
        data=data,
        epochs=epochs,
        images=images,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        beta_1=beta_1,
        encoding_dims=encoding_dims,
        image_size=image_size,
        seed=seed,
        device=device,
        evaluate=evaluate,
        every=every,
        skip_broken=skip_broken,
        settings=settings,
        resume=resume,
    )
    root = Path(data_root) if data_root else None
    reporter = Live(Console()) if progress else Silent()
    if resume is None:
        return fit(
            run, RunFolder(Path(outdir) if outdir else next_folder(run.recipe)), reporter, root
        )
    folder, checkpoint = _resumable(Path(resume))
    if outdir and Path(outdir).resolve() != folder.path.resolve():
        raise UsageError(
            f"--outdir: found '{outdir}' with --resume; a run goes on in its own folder"
        )
    begun = config.load(folder.config)
    run = as_begun(run, begun)
    changes = config.diff(begun, run)
    if changes:
        raise UsageError(
            f"--resume: the settings are not those of '{folder.path}': {'; '.join(changes)}; "
            "resume without them, or start a new run"
        )
    return fit(run, folder, reporter, root, resume=True, checkpoint=checkpoint)


def resolve(
    recipe: str | None = None,
    *,
    data: str | Path | None = None,
    epochs: int | None = None,
    images: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    beta_1: float | None = None,
    encoding_dims: int | None = None,
    image_size: int | str | None = None,
    seed: int | None = None,
    device: str | None = None,
    evaluate: str | Sequence[str] | None = None,
    every: str | None = None,
    skip_broken: bool = False,
    settings: Sequence[str] | Mapping[str, Any] = (),
    resume: str | Path | None = None,
) -> Run:
    """The settings that `train` with these arguments runs with; nothing is trained or written."""
    lengths = {"--epochs": epochs, "--images": images, "--minutes": minutes}
    _at_most_one([flag for flag, value in lengths.items() if value is not None])
    if recipe is None and resume is not None:
        recipe = str(_resumable(Path(resume))[0].config)
    tables = config.read_recipe(recipe or DEFAULT_RECIPE).tables
    changes: list[tuple[str, Any]] = []
    if data is not None:
        tables = tables | {"data": _data_table(str(data))}
        tables["preprocess"] = {
            k: v for k, v in tables.get("preprocess", {}).items() if k != "first"
        }
    flags = {
        ("train.epochs",): epochs,
        ("train.images",): images,
        ("train.minutes",): minutes,
        ("train.batch_size",): batch_size,
        ("train.device",): device,
        ("evaluate.metrics",): evaluate if evaluate is None else _listed(evaluate),
        ("evaluate.every",): every,
        ("optim.generator.learning_rate", "optim.discriminator.learning_rate"): learning_rate,
        ("optim.generator.beta_1", "optim.discriminator.beta_1"): beta_1,
        ("latent.dims",): encoding_dims,
        ("preprocess.image_size",): image_size,
        ("seed",): seed,
        ("data.skip_broken",): True if skip_broken else None,
    }
    for keys, value in flags.items():
        if value is not None:
            changes += [(key, value) for key in keys]
    if isinstance(settings, Mapping):
        changes += settings.items()
    else:
        changes += [config.parse_setting(text) for text in settings]
    lengths_set = [f"train.{name}" for name in config.LENGTHS]
    _at_most_one([key for key in lengths_set if key in dict(changes)])
    run = config.build(config.override(tables, changes))
    if not asked(run.evaluate) and every is not None:
        raise UsageError(
            f"--every: found '{every}' where nothing is evaluated; give --evaluate too"
        )
    return run


def _listed(metrics: str | Sequence[str]) -> str | list[str]:
    return metrics if isinstance(metrics, str) else list(metrics)


def _at_most_one(lengths: list[str]) -> None:
    if len(lengths) > 1:
        raise UsageError(f"{' and '.join(lengths)}: found together; give one of them")


def _data_table(what: str) -> dict[str, Any]:
    dataset = open_dataset(what)
    path = {"path": str(Path(what).resolve())} if hasattr(dataset, "path") else {}
    return {"name": DATASETS.name_of(dataset)} | path


def _resumable(what: Path) -> tuple[RunFolder, Path | None]:
    """The run folder that `what` is or lies in, and the checkpoint if it is one."""
    is_checkpoint = what.parent.name == "checkpoints"
    folder = RunFolder(what.parent.parent if is_checkpoint else what)
    if not folder.config.is_file():
        raise UsageError(f"--resume: '{what}' is neither a run folder nor one of its checkpoints")
    if is_checkpoint and not what.is_dir():
        names = [checkpoint.name for checkpoint in folder.checkpoints()]
        raise UsageError(f"--resume: no checkpoint '{what.name}'; {closest(what.name, names)}")
    return folder, what if is_checkpoint else None
