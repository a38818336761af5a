"""The verbs as functions: what each command does, without the command line."""

from __future__ import annotations

import inspect
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from ganvas import config
from ganvas.config import Run
from ganvas.data.catalogue import open_dataset
from ganvas.data.prepare import load_images
from ganvas.errors import UsageError
from ganvas.files import write_file
from ganvas.images import Pixels, Shape, scale_for, to_pillow, write_gif, write_png
from ganvas.images import grid as lay_out
from ganvas.registry import DATASETS, METRICS, closest
from ganvas.registry import settings as settings_of
from ganvas.sampling import load
from ganvas.schedule import Schedule
from ganvas.training.evaluation import wanted
from ganvas.training.loop import Trained, fit
from ganvas.training.progress import Live, Silent
from ganvas.training.rundir import RunFolder, next_folder

DEFAULT_RECIPE: Final = "quickstart"
FAMILIES: Final = {**config.COMPONENTS, "metric": METRICS}


# train


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
    changes = config.diff(config.load(folder.config), run)
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
    if not wanted(run.evaluate) and every is not None:
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


# sample


def sample(
    what: str | Path,
    *,
    num: int = 25,
    seed: int = 0,
    grid: str | Path | None = None,
    folder: str | Path | None = None,
    npz: str | Path | None = None,
    walk: str | Path | None = None,
) -> Pixels:
    """Make images with a trained generator, and write them where asked.

    Args:
        what: a run folder or a saved generator.
        num: how many images.
        seed: the same seed gives the same images, and the first of more.
        grid: PNG of all images in rows.
        folder: an empty or new folder for one PNG an image.
        npz: NPZ with `images`, uint8 (num, H, W, C), or (num, H, W) if grey.
        walk: GIF of a round trip through latent space, 60 frames.

    Returns:
        The images, uint8 (num, C, H, W).

    Raises:
        UsageError: there is no generator, or an option is wrong.
        RunError: a file cannot be written.
    """
    if folder is not None and Path(folder).exists() and not _is_empty(Path(folder)):
        raise UsageError(f"--folder: '{folder}' is not empty; name a new folder")
    generator = load(what)
    made = generator.sample(num, seed)
    if grid is not None:
        _write_grid(Path(grid), made)
    if folder is not None:
        digits = len(str(num - 1))
        for i, image in enumerate(made):
            write_png(Path(folder) / f"{i:0{digits}d}.png", image)
    if npz is not None:
        _write_npz(Path(npz), made)
    if walk is not None:
        frames = generator.walk(seed=seed)
        scale = scale_for(frames.shape[2])
        write_gif(Path(walk), [to_pillow(frame, scale) for frame in frames], 80)
    return made


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _write_grid(path: Path, images: Pixels) -> None:
    columns = math.ceil(math.sqrt(len(images)))
    sheet = lay_out(images, math.ceil(len(images) / columns), columns)
    write_png(path, sheet, scale_for(sheet.shape[1]))


def _write_npz(path: Path, images: Pixels) -> None:
    buffer = io.BytesIO()
    channels_last = images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)
    np.savez_compressed(buffer, images=channels_last)
    write_file(path, buffer.getvalue())


# list and show


def list_all() -> dict[str, dict[str, str]]:
    """Everything that has a name: family -> name -> one-line description."""
    recipes = {name: config.read_recipe(name).about for name in config.recipe_names()}
    families = {
        _plural(registry.family): {
            name: first_line(registry.get(name)) for name in registry.names()
        }
        for registry in FAMILIES.values()
    }
    return {"recipes": recipes} | families


def _plural(family: str) -> str:
    return f"{family}es" if family.endswith("s") else f"{family}s"


def first_line(cls: type[Any]) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True)
class Layer:
    """A row of a net's layer table."""

    layer: str
    """The module as PyTorch prints it."""
    output: list[int]
    """Shape of its output, without the batch."""
    parameters: int
    """Its trainable parameters."""


def show(name: str, *, data_root: str | Path | None = None) -> dict[str, Any]:
    """A recipe's settings with their reasons, its nets layer by layer, its lengths.

    `name` may also be a TOML file, or a component (a loss, a data set, ...), by its section too
    where a recipe has the same name, as in "model.quickstart": then its description and settings.

    Raises:
        UsageError: there is nothing of that name.
    """
    if name not in config.recipe_names() and not name.endswith(".toml"):
        return _show_component(name)
    recipe = config.read_recipe(name)
    run = config.build(recipe.tables)
    tables = config.to_tables(run)
    num_images, shape = _size_of_data(run, Path(data_root) if data_root else None)
    schedule = Schedule.of(run, num_images)
    with torch.device("meta"):  # shapes and counts only
        G = run.model.generator(shape, run.latent.dims)
        D = run.model.discriminator(shape)
        inputs = {
            "generator": torch.empty(2, run.latent.dims),
            "discriminator": torch.empty(2, *shape),
        }
    nets = {
        key: {
            "parameters": num_parameters(net),
            "layers": [vars(row) for row in layers(net, inputs[key])],
        }
        for key, net in (("generator", G), ("discriminator", D))
    }
    total = schedule.total_steps(run.train)
    return {
        "recipe": recipe.name,
        "about": recipe.about,
        "data": tables["data"]["name"],
        "images": num_images,
        "shape": list(shape),
        **nets,
        "steps_per_epoch": schedule.steps_per_epoch,
        "steps": total,
        "epochs": run.train.epochs or (total and round(total / schedule.steps_per_epoch, 2)),
        "minutes": run.train.minutes,
        "batch_size": run.train.batch_size,
        "latent": {"dims": run.latent.dims, "distribution": tables["latent"]["name"]},
        "loss": tables["loss"]["name"],
        "update": tables["update"]["name"],
        "optimizer": {"name": "adam", **tables["optim"]},
        "settings": [
            {"setting": key, "value": value, "reason": recipe.reasons.get(key, "")}
            for key, value in config.leaves(tables)
        ],
        "published": recipe.published,
    }


def _show_component(name: str) -> dict[str, Any]:
    section, _, bare = name.rpartition(".")
    found = [
        registry
        for key, registry in FAMILIES.items()
        if bare in registry.names() and section in ("", key)
    ]
    if not found:
        known = [n for registry in FAMILIES.values() for n in registry.names()]
        raise UsageError(f"unknown name '{name}': {closest(name, config.recipe_names() + known)}")
    cls = found[0].get(bare)
    return {
        "name": bare,
        "family": found[0].family,
        "about": inspect.cleandoc(cls.__doc__ or ""),
        "settings": [
            {
                "setting": key,
                "default": None if field.is_required() else field.default,
                "about": field.description or "",
            }
            for key, field in settings_of(cls).items()
        ],
    }


def _size_of_data(run: Run, root: Path | None) -> tuple[int, Shape]:
    """Number of images and their shape after preprocessing, without reading a known data set."""
    if run.data.known is None:
        images = load_images(run.data, run.preprocess, "train", root)
        return len(images), images.shape
    count, (channels, height, width) = run.data.known
    height, width = run.preprocess.image_size or (height, width)
    channels = run.preprocess.channels or channels
    return min(count, run.preprocess.first or count), (channels, height, width)


def num_parameters(net: nn.Module) -> int:
    """Trainable parameters of a net."""
    return sum(value.numel() for value in net.parameters())


def layers(net: nn.Module, inputs: Tensor) -> list[Layer]:
    """A net's modules without children in the order they run in, with their output shapes."""
    rows: list[Layer] = []

    def note(module: nn.Module, _: Any, output: Tensor) -> None:
        rows.append(Layer(str(module), list(output.shape[1:]), num_parameters(module)))

    leaves = [module for module in net.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(note) for module in leaves]
    net(inputs)
    for hook in hooks:
        hook.remove()
    return rows
