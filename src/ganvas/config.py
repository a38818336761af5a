"""A run's settings: what they are, how they are read, overridden, compared and written.

A `Run` is a frozen dataclass of sections. Six sections are components, chosen by `name`; the
others are fixed. In TOML each section is a table:

    recipe = "cs231n-lsgan"
    [loss]
    name = "least-squares"
    [train]
    batch_size = 128
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import tomlkit
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ganvas.errors import UsageError
from ganvas.registry import (
    CHECKED,
    DATASETS,
    LATENTS,
    LOSSES,
    MODELS,
    UPDATES,
    Registry,
    closest,
    settings,
)

if TYPE_CHECKING:
    from ganvas.protocols import Dataset, Latent, Loss, Model, UpdateRule

Tables = dict[str, Any]
"""A run as TOML tables: section -> setting -> value."""


def _period(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d* ?(epoch|step|image)s?", text):
        raise ValueError(
            "write a number and a unit, such as '1 epoch', '250 steps', '10000 images'"
        )
    return text


def _period_or_auto(text: str) -> str:
    return text if text == "auto" else _period(text)


def _metrics(value: object) -> object:
    """ "fd10k, prdc2k" and ["fd10k", "prdc2k"] -> ("fd10k", "prdc2k"); "none" -> ()."""
    if isinstance(value, str):
        value = [] if value == "none" else value.split(",")
    if not isinstance(value, list):
        return value
    return tuple(item.strip() if isinstance(item, str) else item for item in value)


def _image_size(value: object) -> object:
    """64 -> (64, 64), "28x20" -> (28, 20), [28, 20] -> (28, 20)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+)(?:x(\d+))?", value)):
        return (int(match[1]), int(match[2] or match[1]))
    return tuple(value) if isinstance(value, list) else value


Period = Annotated[str, AfterValidator(_period)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
ImageSize = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1024)], Annotated[int, Field(ge=1, le=1024)]],
    BeforeValidator(_image_size),
]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Preprocess:
    """What is done to the data set's images before training."""

    image_size: ImageSize | None = None
    """Resize to this height x width in pixels: 64, "28x20" or [28, 20]; unset: as they are."""

    filter: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] = "bicubic"
    """Pillow's resize filter; it is anti-aliased when it shrinks."""

    channels: Literal[1, 3, 4] | None = None
    """Convert to grey (1), RGB (3) or RGBA (4); unset: as they are."""

    first: Positive | None = None
    """Use only the first so many images; unset: all."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) for one net."""

    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Step size."""

    beta_1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Decay of the mean of gradients."""

    beta_2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the mean of squared gradients."""

    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the root in the denominator."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Optim:
    """One Adam for each net."""

    generator: Adam = Adam()
    """The generator's optimizer."""

    discriminator: Adam = Adam()
    """The discriminator's optimizer."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Train:
    """How much is trained, in what batches, on what device."""

    batch_size: Positive = 64
    """Images in a batch."""

    epochs: Positive | None = None
    """Length as a number of epochs; exactly one of epochs, images and minutes is set."""

    images: Positive | None = None
    """Length as a number of real images shown, rounded up to whole steps."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    """Length by the clock: as many steps as fit, everything written in time."""

    order: Literal["shuffled", "sequential", "replacement", "independent"] = "shuffled"
    """How batches are drawn: a new shuffle each epoch; file order; each image at random with
    replacement; or each batch the head of a shuffle of its own."""

    drop_last: bool = True
    """Leave out the short batch at the end of an epoch."""

    device: str = "auto"
    """cpu, cuda, cuda:N or mps; auto takes the first accelerator there is."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What products of matrices and convolutions are computed in; weights, BatchNorm statistics and
    losses stay float32. auto: bfloat16 where the device has matrix units for it."""

    fast_layers: bool = True
    """Compute strided convolutions as ordinary ones, and draw dropout's masks 64 to a random word,
    where that is faster. Convolutions sum the same products in another order."""

    shared_passes: bool = True
    """Take from one pass through D what both updates of a step need of it, where that is the same:
    the backward pass over fakes (rule 'simultaneous', D without BatchNorm) or the forward pass
    (rule 'alternating' with the generator first and shared fakes, D without dropout)."""

    cuda_graphs: bool = False
    """Capture a whole step in a CUDA graph and replay it, so that Python takes no part in it. Not
    measured on a GPU yet, hence off; it is to be the default once it is."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Output:
    """What a run writes, and when."""

    log: Period = "50 steps"
    """A line of means since the last one in log.jsonl and TensorBoard this often."""

    sample: Period = "1 epoch"
    """A grid of the fixed latents this often."""

    checkpoint: Period = "1 epoch"
    """A resumable checkpoint this often."""

    keep_checkpoints: Positive = 2
    """How many of the newest checkpoints stay on disk."""

    grid: tuple[Positive, Positive] = (5, 5)
    """Rows and columns of the sample grid."""

    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    """TensorBoard tags that differ from our scalar names."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Evaluate:
    """What is measured during training, and when; the best generator is kept."""

    metrics: Annotated[tuple[str, ...], BeforeValidator(_metrics)] = ("fd",)
    """Metrics, each with its number of images: "fd10k,prdc2k"; without one it is 2,000, or less in
    short runs; with few real images it is lowered; none: nothing is measured."""

    every: Annotated[str, AfterValidator(_period_or_auto)] = "auto"
    """Measure this often, and at the end; auto: after epochs, as long as all of it takes less than
    5 % of the training time."""

    best: str = ""
    """The value by which the best generator is kept, such as prdc.coverage; empty: the first one of
    the first metric."""

    features: str = "auto"
    """What images are compared in: classifier, random or pixels; auto: a classifier that comes with
    the package, otherwise random."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Watchdog:
    """What happens when a run goes wrong: `stop` it, or `warn` and go on."""

    not_finite: Literal["stop", "warn"] = "stop"
    """A loss is NaN or infinite."""

    dead_discriminator: Literal["stop", "warn"] = "warn"
    """The discriminator's loss stays at zero, so the generator gets no gradient."""

    collapse: Literal["stop", "warn"] = "warn"
    """The fixed latents all give nearly the same image."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that defines a training run. `load(save(run)) == run`."""

    recipe: str
    seed: int
    data: Dataset
    preprocess: Preprocess
    model: Model
    latent: Latent
    loss: Loss
    update: UpdateRule
    optim: Optim
    train: Train
    output: Output
    evaluate: Evaluate
    watchdog: Watchdog


COMPONENTS: Final[dict[str, Registry]] = {
    "data": DATASETS,
    "model": MODELS,
    "latent": LATENTS,
    "loss": LOSSES,
    "update": UPDATES,
}
SECTIONS: Final[dict[str, type[Any]]] = {
    "preprocess": Preprocess,
    "optim": Optim,
    "train": Train,
    "output": Output,
    "evaluate": Evaluate,
    "watchdog": Watchdog,
}
LENGTHS: Final = ("epochs", "images", "minutes")
"""The settings of `train` that give a run's length; exactly one of them is set."""


# Build and unbuild


def build(tables: Mapping[str, Any]) -> Run:
    """A checked Run from TOML tables; UsageError names the first setting that is wrong."""
    known = [field.name for field in dataclasses.fields(Run)]
    for section in tables:
        if section not in known:
            raise UsageError(f"unknown section '{section}': {closest(section, known)}")
    for section in COMPONENTS:
        if not isinstance(tables.get(section), Mapping) or "name" not in tables[section]:
            raise UsageError(
                f"{section}.name is missing: {closest('', COMPONENTS[section].names())}"
            )
    seed = tables.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise UsageError(f"seed: found {seed!r}; a whole number from 0 to 2^63 - 1 is allowed")
    recipe = str(tables.get("recipe", "custom"))
    if not re.fullmatch(r"\w[\w .+-]*", recipe):  # it names the run folder
        raise UsageError(f"recipe: found {recipe!r}; allowed: letters, digits, '_', '-', '.', '+'")
    sections = {name: component(name, tables.get(name, {})) for name in (*COMPONENTS, *SECTIONS)}
    train = sections["train"]
    if sum(getattr(train, name) is not None for name in LENGTHS) != 1:
        raise UsageError("train: set exactly one of train.epochs, train.images and train.minutes")
    return Run(recipe=recipe, seed=seed, **sections)


def component(section: str, table: object) -> Any:
    """The checked section `section` from its table; UsageError names the setting that is wrong."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{section}: found {table!r}; a table of settings is expected")
    values = dict(table)
    if section in COMPONENTS:
        cls = COMPONENTS[section].get(str(values.pop("name")))
    else:
        cls = SECTIONS[section]
    try:
        # by way of JSON: its checks take tables for dataclasses and lists for tuples, as TOML must
        return TypeAdapter(cls).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise UsageError(_one_line(section, cls, error)) from None


def _unknown(section: str, key: str, cls: type[Any]) -> str:
    if not settings(cls):
        return f"unknown setting '{section}.{key}': {section} has no settings"
    return f"unknown setting '{section}.{key}': {closest(key, settings(cls))}"


def _one_line(section: str, cls: type[Any], error: ValidationError) -> str:
    """The first of pydantic's complaints as: setting, what was found, what is allowed."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        for part in path[:-1]:
            nested = settings(cls)[part].annotation
            cls = nested if isinstance(nested, type) else cls
        return _unknown(".".join([section, *path[:-1]]), path[-1], cls)
    name = ".".join([section, *(part for part in path if re.fullmatch(r"[a-z_0-9]+", part))])
    allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{name}: found {first['input']!r}; allowed: {allowed}"


def to_tables(run: Run) -> Tables:
    """The inverse of `build`: every setting that is not None."""
    tables: Tables = {"recipe": run.recipe, "seed": run.seed}
    for section in (*COMPONENTS, *SECTIONS):
        component = getattr(run, section)
        name = {"name": COMPONENTS[section].name_of(component)} if section in COMPONENTS else {}
        tables[section] = name | _plain(asdict(component))
    return tables


def _plain(values: Mapping[str, Any]) -> Tables:
    """Without None, which TOML lacks, and with lists for tuples."""
    plain: Tables = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            plain[key] = _plain(value)
        elif value is not None:
            plain[key] = list(value) if isinstance(value, tuple) else value
    return plain


# Recipes and files


def recipe_names() -> list[str]:
    files = (resources.files("ganvas") / "recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe file: its settings as tables, and what it says about them."""

    name: str
    about: str
    """One line on what it is."""
    published: Tables
    """Where the system was published, and the results given there."""
    reasons: dict[str, str]
    """Why a setting has its value: "optim.generator.beta_1" -> the comment beside it."""
    tables: Tables


def read_recipe(name: str, extended_by: tuple[str, ...] = ()) -> Recipe:
    """The bundled recipe `name`, or a TOML file: a recipe of one's own, or a run's config.toml.

    A file may start from another recipe with `extends = "NAME"` and hold only what differs;
    `extended_by` are the recipes that are being read and start from this one.

    Raises:
        UsageError: no such recipe, unreadable TOML.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"recipe file '{name}' does not exist")
        try:
            text, name = path.read_text(encoding="utf-8"), path.stem
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"recipe file '{name}' cannot be read: {error}") from None
    elif name in recipe_names():
        text = (resources.files("ganvas") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise UsageError(f"unknown recipe '{name}': {closest(name, recipe_names())}")
    try:
        document = tomlkit.parse(text)
    except tomlkit.exceptions.TOMLKitError as error:
        raise UsageError(f"recipe '{name}' is not valid TOML: {error}") from None

    tables = document.unwrap()
    about, published = tables.pop("about", ""), tables.pop("published", {})
    reasons = dict(_comments(document))
    if "extends" in tables:
        base_name = str(tables.pop("extends"))
        if base_name in extended_by:
            raise UsageError(f"recipe '{name}': extends = '{base_name}' goes round in a circle")
        base = read_recipe(base_name, (*extended_by, base_name))
        tables = _merge(base.tables, tables)
        reasons = base.reasons | reasons
        published = published or base.published
    tables.setdefault("recipe", name)
    tables["recipe"] = name if "extends" in document else tables["recipe"]
    return Recipe(name, about, published, reasons, tables)


def _comments(table: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key in table:
        item = table.item(key)  # unlike table[key], which unwraps booleans
        if isinstance(item, Mapping):
            yield from _comments(item, f"{prefix}{key}.")
        elif comment := item.trivia.comment.lstrip("# "):
            yield f"{prefix}{key}", comment


def _merge(base: Tables, changes: Mapping[str, Any]) -> Tables:
    """`base` with `changes` on top; a section whose component changes starts empty."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if not isinstance(value, Mapping) or not isinstance(old, Mapping):
            merged[key] = value
        elif value.get("name", old.get("name")) != old.get("name"):
            merged[key] = dict(value)
        else:
            kept = {
                k: v for k, v in old.items() if not (k in LENGTHS and set(LENGTHS) & set(value))
            }
            merged[key] = _merge(kept, value)
    return merged


def override(tables: Tables, changes: Sequence[tuple[str, Any]]) -> Tables:
    """`tables` with ("section.setting", value) pairs applied, component names first.

    Naming another component resets its section to that component's defaults.
    """
    for key, value in sorted(changes, key=lambda change: not change[0].endswith(".name")):
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        tables = _merge(tables, nested)
    return tables


def parse_setting(text: str) -> tuple[str, Any]:
    """'optim.generator.learning_rate=1e-4' as ('optim.generator.learning_rate', 0.0001)."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not re.fullmatch(r"[a-z_0-9]+(\.[a-z_0-9]+)*", key):
        raise UsageError(f"--set: found '{text}'; write section.setting=value")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value  # a bare word is a string


def save(run: Run) -> str:
    """The run as TOML text."""
    return tomlkit.dumps(to_tables(run))


def load(path: Path) -> Run:
    """The run in a config.toml."""
    return build(read_recipe(str(path)).tables)


def diff(old: Run, new: Run) -> list[str]:
    """The settings in which two runs differ, each as 'section.setting: old -> new'."""
    before, after = dict(leaves(to_tables(old))), dict(leaves(to_tables(new)))
    return [
        f"{key}: {before.get(key, 'unset')} -> {after.get(key, 'unset')}"
        for key in sorted(before | after)
        if before.get(key) != after.get(key)
    ]


def leaves(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting in nested tables with its dotted name."""
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
