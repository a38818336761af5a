"""A run's settings: built from TOML tables, checked, compared and written.

A `Run` is a frozen dataclass of sections. Some sections are components, chosen by `name`; the
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
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import tomlkit
from pydantic import TypeAdapter, ValidationError

from ganvas import components
from ganvas.config.length import UNITS, Length
from ganvas.config.ramp import Ramp
from ganvas.config.sections import Ema, Evaluate, Optim, Output, Preprocess, Train, Watchdog
from ganvas.errors import UsageError
from ganvas.registry import (
    AUGMENTATIONS,
    DATASETS,
    EXTRACTORS,
    LATENTS,
    LOSSES,
    METRICS,
    MODELS,
    PENALTIES,
    UPDATES,
    Registry,
    closest,
    is_metric,
    metric_named,
    settings,
    without_count,
)

if TYPE_CHECKING:
    from ganvas.protocols import (
        Augmentation,
        Dataset,
        Latent,
        Loss,
        Model,
        Penalty,
        UpdateRule,
    )

Tables = dict[str, Any]
"""A run as TOML tables: section -> setting -> value."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that defines a training run. `load(save(run)) == run`."""

    recipe: str
    seed: int
    imports: tuple[str, ...] = ()
    """Files and modules that components of one's own come from."""
    data: Dataset
    preprocess: Preprocess
    model: Model
    latent: Latent
    loss: Loss
    penalty: Penalty
    augment: Augmentation
    update: UpdateRule
    optim: Optim
    ema: Ema
    train: Train
    output: Output
    evaluate: Evaluate
    watchdog: Watchdog
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Metrics that are not at their defaults, by their short names."""
    reasons: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    """Why settings have their values, by their dotted names; comments where the run is written."""


@dataclasses.dataclass(frozen=True)
class Unknown:
    """Stands for a component that nobody registered, where it is not needed."""


COMPONENTS: Final[dict[str, Registry]] = {
    "data": DATASETS,
    "model": MODELS,
    "latent": LATENTS,
    "loss": LOSSES,
    "penalty": PENALTIES,
    "augment": AUGMENTATIONS,
    "update": UPDATES,
}
SECTIONS: Final[dict[str, type[Any]]] = {
    "preprocess": Preprocess,
    "optim": Optim,
    "ema": Ema,
    "train": Train,
    "output": Output,
    "evaluate": Evaluate,
    "watchdog": Watchdog,
}
IN_TRAINING: Final = ("loss", "penalty", "augment")
"""Components that nothing but training asks anything of."""
DEFAULTS: Final = {"penalty": "none", "augment": "none"}
"""Sections that became components after runs were written without them: section -> the name of the
component that is no change. A run that says nothing of the section has that one."""


# Build and unbuild


def build(tables: Mapping[str, Any], *, to_train: bool = True) -> Run:
    """A checked Run from TOML tables; UsageError names the first setting that is wrong.

    Without `to_train` an `Unknown` stands for a component that nobody registered, in those sections
    that matter in training alone.
    """
    known = [field.name for field in dataclasses.fields(Run) if field.name != "reasons"]
    for section in tables:
        if section not in known:
            raise UsageError(f"unknown section '{section}': {closest(section, known)}")
    tables = {section: {"name": name} for section, name in DEFAULTS.items()} | dict(tables)
    for section in COMPONENTS:
        if not isinstance(tables.get(section), Mapping) or "name" not in tables[section]:
            raise UsageError(
                f"{section}.name is missing: {closest('', COMPONENTS[section].names())}"
            )
        if to_train:
            COMPONENTS[section].refuse_early(str(tables[section]["name"]))
    seed = tables.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise UsageError(f"seed: found {seed!r}; a whole number from 0 to 2^63 - 1 is allowed")
    recipe = str(tables.get("recipe", "custom"))
    if not re.fullmatch(r"\w[\w .+-]*", recipe):  # it names the run folder
        raise UsageError(f"recipe: found {recipe!r}; allowed: letters, digits, '_', '-', '.', '+'")
    imports = imports_of(tables)
    # plain sections first: a component's look-up imports torch, and a wrong number need not wait
    left_out = () if to_train else unknown_components(tables, IN_TRAINING)
    sections: dict[str, Any] = {
        name: Unknown() if name in left_out else component(name, tables.get(name, {}))
        for name in (*SECTIONS, *COMPONENTS)
    }
    of_metrics = tables.get("metrics", {})
    if not to_train and isinstance(of_metrics, Mapping):
        of_metrics = {name: table for name, table in of_metrics.items() if is_metric(str(name))}
    measured = metrics(of_metrics)
    parts = [*(sections[section] for section in COMPONENTS), *measured.values()]
    parts += _named_in(sections["evaluate"])
    homes = [components.home_of(part) for part in parts]
    found = dict.fromkeys([*imports, *filter(None, homes)])
    return Run(recipe=recipe, seed=seed, imports=tuple(found), metrics=measured, **sections)


def _named_in(asked: Evaluate) -> list[Any]:
    """The classes of metrics and of an extractor of one's own that are asked for by name alone."""
    found = [METRICS.imported(without_count(text)) for text in asked.metrics]
    return [cls for cls in [*found, EXTRACTORS.imported(asked.features)] if cls]


def imports_of(tables: Mapping[str, Any]) -> list[str]:
    """The files and modules that tables name for components; UsageError if that is no list."""
    imports = tables.get("imports", [])
    if not isinstance(imports, list) or not all(isinstance(name, str) and name for name in imports):
        raise UsageError(f"imports: found {imports!r}; allowed: a list of files and modules")
    return imports


def unknown_components(tables: Mapping[str, Any], sections: Iterable[str]) -> list[str]:
    """Of some sections those whose component nobody registered."""
    unknown = []
    for section in sections:
        table = tables.get(section)
        name = table.get("name") if isinstance(table, Mapping) else None
        if isinstance(name, str) and name not in COMPONENTS[section].names():
            unknown.append(section)
    return unknown


def component(section: str, table: object) -> Any:
    """The checked section `section` from its table; UsageError names the setting that is wrong."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{section}: found {table!r}; a table of settings is expected")
    values = dict(table)
    if section in COMPONENTS:
        cls = COMPONENTS[section].get(str(values.pop("name")))
    else:
        cls = SECTIONS[section]
    return _checked(section, cls, values)


def metrics(table: object) -> dict[str, Any]:
    """The metrics in a run's section `metrics`, by their short names; UsageError as for others."""
    if not isinstance(table, Mapping):
        raise UsageError(f"metrics: found {table!r}; a table for each metric is expected")
    given: dict[str, Tables] = {}
    for spelling, values in table.items():
        if not isinstance(values, Mapping):
            raise UsageError(
                f"metrics.{spelling}: found {values!r}; a table of settings is expected"
            )
        given.setdefault(metric_named(spelling), {}).update(values)
    return {
        name: _checked(f"metrics.{name}", METRICS.get(name), values)
        for name, values in sorted(given.items())
    }


def _checked(section: str, cls: type[Any], values: Mapping[str, Any]) -> Any:
    try:
        # by way of JSON: its checks take tables for dataclasses and lists for tuples, as TOML must
        return TypeAdapter(cls).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise UsageError(_one_line(section, cls, error)) from None


def _unknown(section: str, key: str, cls: type[Any], value: object) -> str:
    if section == "train" and key in UNITS:
        return f"unknown setting 'train.{key}': did you mean train.length='{value} {key}'?"
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
        return _unknown(".".join([section, *path[:-1]]), path[-1], cls, first["input"])
    name = ".".join([section, *(part for part in path if re.fullmatch(r"[a-z_0-9]+", part))])
    if first["type"] == "missing":
        about = settings(cls)[path[0]].description or ""
        return f"{name} is missing: {' '.join(about.split())}"
    allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{name}: found {first['input']!r}; allowed: {allowed}"


def to_tables(run: Run) -> Tables:
    """The inverse of `build`: every setting that is not None."""
    tables: Tables = {"recipe": run.recipe, "seed": run.seed}
    if run.imports:
        tables["imports"] = list(run.imports)
    for section in (*COMPONENTS, *SECTIONS):
        component = getattr(run, section)
        name = {"name": COMPONENTS[section].name_of(component)} if section in COMPONENTS else {}
        tables[section] = name | _plain(component)
    if run.metrics:
        tables["metrics"] = {name: _plain(metric) for name, metric in run.metrics.items()}
    return tables


def _plain(value: Any) -> Any:
    """As TOML has it: tables for dataclasses, without None; lists for tuples; text for a length
    and a ramp."""
    if isinstance(value, Length | Ramp):
        return str(value)
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return list(value) if isinstance(value, tuple) else value


def save(run: Run) -> str:
    """The run as TOML text, settings with their reasons beside them."""
    document = tomlkit.parse(tomlkit.dumps(to_tables(run)))
    for setting, reason in run.reasons.items():
        *sections, key = setting.split(".")
        table: Any = document
        for section in sections:
            table = table.item(section).value if section in table else {}
        if key in table:
            table.item(key).comment(" ".join(reason.split()))
    return tomlkit.dumps(document)


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
