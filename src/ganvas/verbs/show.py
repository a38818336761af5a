"""`list` and `show`: everything that has a name, and what it is."""

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from typer import Argument

from ganvas import pretrained
from ganvas.errors import UsageError
from ganvas.pretrained import hub
from ganvas.verbs import completion
from ganvas.verbs.imports import Imports, import_given, with_components
from ganvas.verbs.signatures import DataRoot, verb

if TYPE_CHECKING:
    from ganvas.config import Run
    from ganvas.pixels import Shape
    from ganvas.registry import Registry

PRETRAINED: Final = "pretrained."
"""What the name of a pretrained generator begins with where a recipe's might be meant."""


@verb
def list_names(
    family: Annotated[
        str | None,
        Argument(
            help="Only recipes, losses, ...; singular or plural.  [default: all]",
            autocompletion=lambda incomplete: completion.starting(
                incomplete, [title.replace(" ", "-") for title in _families().values()]
            ),
        ),
    ] = None,
    *,
    imports: Imports = None,
) -> dict[str, dict[str, str]]:
    """Recipes, pretrained generators, data sets, models, losses, ..., and what each is.

    Returns:
        Family -> name -> one line on what it is.

    Raises:
        UsageError: there is no such family.
    """
    import_given(imports)
    titles = _families()
    sections = list(titles) if family is None else [_section(family)]
    return {titles[section]: _members(section) for section in sections}


def _families() -> dict[str, str]:
    """What has names, in the plural, by the section of a run that it stands in: "data sets"."""
    return {"recipe": "recipes", "pretrained": "pretrained"} | {
        section: _plural(registry.family) for section, registry in _registries().items()
    }


def _registries() -> "dict[str, Registry]":
    from ganvas import config
    from ganvas.registry import EXTRACTORS, METRICS

    return {**config.COMPONENTS, "metric": METRICS, "features": EXTRACTORS}


def _plural(family: str) -> str:
    if family.endswith("y"):
        return f"{family[:-1]}ies"
    return f"{family}es" if family.endswith("s") else f"{family}s"


def _section(family: str) -> str:
    """The section that a family's name is for, be it "update", "updates" or "update rules"."""
    from ganvas.registry import closest

    def letters(text: str) -> str:
        return re.sub(r"[^a-z]", "", text.lower())

    titles = _families()
    for section, title in titles.items():
        singular = _registries()[section].family if section in _registries() else section
        if letters(family) in map(letters, (section, _plural(section), singular, title)):
            return section
    raise UsageError(f"unknown family '{family}': {closest(family, titles.values())}")


def _members(section: str) -> dict[str, str]:
    from ganvas import config

    if section == "recipe":
        return {name: config.read_recipe(name).about for name in config.recipe_names()}
    if section == "pretrained":
        return {name: pretrained.about(name) for name in pretrained.names()}
    registry = _registries()[section]
    return {
        name: " ".join([_first_line(registry.get(name)), *_also(registry, name)])
        for name in registry.names()
    }


def _also(registry: "Registry", name: str) -> list[str]:
    """What else a component is called, as one sentence in a list; of most there is none."""
    from ganvas.registry import METRICS, in_inception

    called = registry.spellings(name)
    if registry is METRICS:
        own = [other for other, metric in in_inception().items() if metric == name]
        called += [f"{other} in Inception's features" for other in own]
    return [f"Also: {', '.join(called)}."] if called else []


def _first_line(cls: type[Any]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


@verb
def show(
    name: Annotated[
        str,
        Argument(
            help="A recipe, TOML file, run folder, saved generator, pretrained.NAME, "
            "hf:OWNER/NAME, or component such as model.quickstart.",
            autocompletion=completion.names,
        ),
    ],
    *,
    data_root: DataRoot = None,
    imports: Imports = None,
) -> dict[str, Any]:
    """A recipe: its settings with their reasons, its nets, shapes and parameter counts.

    Of a component (a loss, a data set, ...) its description and settings. It is named with its
    section where a recipe has the same name, as in "model.quickstart". Of the folder of a run or a
    saved generator, of "pretrained.NAME" or "hf:OWNER/NAME" its card, and what that lacks. Nothing
    is fetched: of a recipe whose images are not there the nets are those without classes.

    Raises:
        UsageError: there is nothing of that name.
    """
    import torch

    from ganvas import config
    from ganvas.config import Lengths
    from ganvas.data.facts import would_be_fetched
    from ganvas.data.prepare import load_images
    from ganvas.models.summary import layers, num_parameters
    from ganvas.protocols import build_discriminator, build_generator, takes_labels
    from ganvas.training.labels import classes_told

    import_given(imports)
    if name.startswith((PRETRAINED, hub.PREFIX)):
        return _show_card(name.removeprefix(PRETRAINED))
    if name not in config.recipe_names() and not name.endswith(".toml"):
        return _show_component(name)
    recipe = config.read_recipe(name)
    run = with_components(Path(name), lambda: config.build(recipe.tables))
    tables = config.to_tables(run)
    root = Path(data_root) if data_root else None
    num_images, shape = size_of_data(run, root)
    num_classes = 0
    if takes_labels(run.model) and not would_be_fetched(run.data, root):
        data = load_images(run.data, run.preprocess, "train", root)
        num_classes = len(classes_told(run.model, data)[0])
    lengths = Lengths.of(run, num_images)
    with torch.device("meta"):  # shapes and counts only
        G = build_generator(run.model, shape, run.latent.dims, num_classes)
        D = build_discriminator(run.model, shape, num_classes)
        labels = (torch.zeros(2, dtype=torch.int64),) if num_classes else ()
        inputs = {
            "generator": (torch.empty(2, run.latent.dims), *labels),
            "discriminator": (torch.empty(2, *shape), *labels),
        }
    nets = {
        key: {
            "parameters": num_parameters(net),
            "layers": [vars(row) for row in layers(net, *inputs[key])],
        }
        for key, net in (("generator", G), ("discriminator", D))
    }
    total = lengths.total_steps(run.train.length)
    return {
        "recipe": recipe.name,
        "about": recipe.about,
        "data": tables["data"]["name"],
        "images": num_images,
        "shape": list(shape),
        **nets,
        "steps_per_epoch": lengths.steps_per_epoch,
        "steps": total,
        "length": str(run.train.length),
        "epochs": total and round(total / lengths.steps_per_epoch, 2),
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
        "pretrained": name in pretrained.names(),
    }


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # a name that no file can have
        return False


def _show_card(name: str) -> dict[str, Any]:
    from ganvas.generator import card_of, folder_of, load

    card = card_of(load(name), folder_of(name))
    return {"card": card.text(name), "lacks": card.lacks()}


def _show_component(name: str) -> dict[str, Any]:
    from ganvas import config
    from ganvas.registry import METRICS, closest, described, is_metric, metric_named

    section, _, bare = name.rpartition(".")
    found = [
        registry
        for key, registry in _registries().items()
        if bare in registry and section in ("", key)
    ]
    if not found and section in ("", "metric") and is_metric(bare) and not _is_folder(name):
        found, bare = [METRICS], metric_named(bare)  # one with a number of images, as fd10k
    if not found:
        if _is_folder(name):
            return _show_card(name)
        known = {n for registry in _registries().values() for n in registry.names()}
        raise UsageError(
            f"unknown name '{name}': {closest(name, known | set(config.recipe_names()))}"
        )
    cls = found[0].get(bare)
    return {
        "name": found[0].spelled(bare),
        "family": found[0].family,
        "about": inspect.cleandoc(cls.__doc__ or ""),
        "settings": described(cls),
    }


def size_of_data(run: "Run", root: Path | None) -> "tuple[int, Shape]":
    """Number of images and their shape after preprocessing, without reading a known data set."""
    from ganvas.data.prepare import load_images

    if run.data.known is None:
        images = load_images(run.data, run.preprocess, "train", root)
        return len(images), images.shape
    count, (channels, height, width) = run.data.known
    height, width = run.preprocess.image_size or (height, width)
    channels = run.preprocess.channels or channels
    return min(count, run.preprocess.first or count), (channels, height, width)
