"""`list` and `show`: everything that has a name, and what it is."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Final

import torch

from ganvas import config
from ganvas.config import Run
from ganvas.config.length import Lengths
from ganvas.data.prepare import load_images
from ganvas.errors import UsageError
from ganvas.generator import card_of, folder_of, load
from ganvas.models.summary import layers, num_parameters
from ganvas.pixels import Shape
from ganvas.registry import METRICS, closest
from ganvas.registry import settings as settings_of

FAMILIES: Final = {**config.COMPONENTS, "metric": METRICS}


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


def show(name: str, *, data_root: str | Path | None = None) -> dict[str, Any]:
    """A recipe's settings with their reasons, its nets layer by layer, its lengths.

    `name` may also be a TOML file, or a component (a loss, a data set, ...), by its section too
    where a recipe has the same name, as in "model.quickstart": then its description and settings.
    Or it is the folder of a run or a saved generator: then its card, and what that lacks.

    Raises:
        UsageError: there is nothing of that name.
    """
    if name not in config.recipe_names() and not name.endswith(".toml"):
        return _show_component(name)
    recipe = config.read_recipe(name)
    run = config.build(recipe.tables)
    tables = config.to_tables(run)
    num_images, shape = size_of_data(run, Path(data_root) if data_root else None)
    schedule = Lengths.of(run, num_images)
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
        if Path(name).is_dir():
            card = card_of(load(name), folder_of(name))
            return {"card": card.text(name), "lacks": card.lacks()}
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


def size_of_data(run: Run, root: Path | None) -> tuple[int, Shape]:
    """Number of images and their shape after preprocessing, without reading a known data set."""
    if run.data.known is None:
        images = load_images(run.data, run.preprocess, "train", root)
        return len(images), images.shape
    count, (channels, height, width) = run.data.known
    height, width = run.preprocess.image_size or (height, width)
    channels = run.preprocess.channels or channels
    return min(count, run.preprocess.first or count), (channels, height, width)
