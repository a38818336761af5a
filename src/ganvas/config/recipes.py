"""Recipes and TOML files: read, extended, overridden, each value with its reason."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.container import Container
from tomlkit.items import InlineTable, Table

from ganvas.components import is_file, remembered
from ganvas.config.fitting import check_ruled
from ganvas.config.length import from_older
from ganvas.config.run import Run, Tables, build, imports_of, leaves
from ganvas.errors import UsageError
from ganvas.registry import closest

WRITTEN_BY_RUNS: Final = {"recipe", "seed", "data", "train", "output", "evaluate", "watchdog"}
"""What every run's config.toml has."""
LATER: Final = {"folder": {"holdout": 0}, "npz": {"holdout": 0}}
"""Settings of data sets that runs were written without, at what they then came to."""


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
    fitted: tuple[str, ...] = ()
    """Settings that the images decide, by the rules of `config.fitting`, unless they are given."""


def read_recipe(name: str, extended_by: tuple[str, ...] = ()) -> Recipe:
    """The bundled recipe `name`, or a TOML file: a recipe of one's own, or a run's config.toml.

    A file may start from another recipe with `extends = "NAME"` and hold only what differs;
    `extended_by` are the recipes that are being read and start from this one.

    Raises:
        UsageError: no such recipe, unreadable TOML.
    """
    beside = Path()
    if name.endswith(".toml"):
        path = Path(name)
        beside = path.parent
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
        document, tables = tomlkit.parse(text), _of_today(tomllib.loads(text))
    except (tomlkit.exceptions.TOMLKitError, ValueError, RecursionError) as error:
        raise UsageError(f"recipe '{name}' is not valid TOML: {error}") from None

    # a file's place is said from the recipe's
    imports = [str(beside / one) if is_file(one) else one for one in imports_of(tables)]
    about, published = tables.pop("about", ""), tables.pop("published", {})
    fitted = _fitted(name, tables)
    reasons = dict(_comments(document))
    if "extends" in tables:
        base_name = str(tables.pop("extends"))
        if base_name in extended_by:
            raise UsageError(f"recipe '{name}': extends = '{base_name}' goes round in a circle")
        base = read_recipe(base_name, (*extended_by, base_name))
        said = dict(leaves(tables))
        if fitted is None:
            fitted = tuple(key for key in base.fitted if key not in said)
        tables = _merge(base.tables, tables)
        imports = list(dict.fromkeys([*imports_of(base.tables), *imports]))
        reasons = base.reasons | reasons
        published = published or base.published
    tables.setdefault("recipe", name)
    tables["recipe"] = name if "extends" in document else tables["recipe"]
    if imports:
        tables["imports"] = [remembered(one) for one in imports]
    return Recipe(name, about, published, reasons, tables, fitted or ())


def _fitted(name: str, tables: Tables) -> tuple[str, ...] | None:
    """Take the settings that are fitted to the images out of a recipe's tables; None if it does not
    say."""
    if "fitted" not in tables:
        return None
    fitted = tables.pop("fitted")
    if not isinstance(fitted, list) or not all(isinstance(key, str) for key in fitted):
        raise UsageError(f"recipe '{name}': fitted: found {fitted!r}; allowed: a list of settings")
    check_ruled(fitted)
    return tuple(fitted)


def _of_today(tables: Tables) -> Tables:
    """Tables of any age with today's settings; a run goes on, and repeats, as it was begun."""
    tables = from_older(tables)
    data = tables.get("data")
    if tables.keys() >= WRITTEN_BY_RUNS and isinstance(data, Mapping):
        tables["data"] = LATER.get(str(data.get("name")), {}) | dict(data)
    return tables


def _comments(container: Container, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in container.body:  # as it is written: one table may come in several parts
        if key is None:
            continue
        name = f"{prefix}{key.key}"
        if isinstance(item, Table | InlineTable):
            yield from _comments(item.value, f"{name}.")
        elif comment := item.trivia.comment.lstrip("# "):
            yield name, comment


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
            merged[key] = _merge(dict(old), value)
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
    if not equals or not re.fullmatch(r"[a-z_0-9]+(\.[a-z_0-9-]+)*", key):
        raise UsageError(f"--set: found '{text}'; write section.setting=value")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value  # a bare word is a string


def as_pairs(settings: Mapping[str, Any] | Sequence[str]) -> list[tuple[str, Any]]:
    """Settings with their values, of a mapping or of strings as after --set."""
    if isinstance(settings, Mapping):
        return list(settings.items())
    return [parse_setting(text) for text in settings]


def load(path: Path, *, to_train: bool = True) -> Run:
    """The run in a config.toml; without `to_train` as in `build`."""
    return build(read_recipe(str(path)).tables, to_train=to_train)
