"""Names for components: a registry maps a name to a config class, one decorator a class.

A component is a frozen dataclass whose fields are its settings. It registers itself beside its
code, so that adding one touches one file:

    @LOSSES.register("least-squares")
    @dataclass(frozen=True, kw_only=True, config=CHECKED)
    class LeastSquares: ...
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from pydantic import ConfigDict
from pydantic.fields import FieldInfo

from ganvas.errors import UsageError

T = TypeVar("T")

CHECKED: Final = ConfigDict(
    strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
)
"""How components are checked: exact types, no unknown settings; a field's docstring is its help."""


def settings(cls: type[Any]) -> dict[str, FieldInfo]:
    """The fields of a component class by name, with type, default and docstring."""
    fields: dict[str, FieldInfo] = cls.__pydantic_fields__
    return fields


def closest(word: str, known: Iterable[str]) -> str:
    """The end of an error line: the names most like `word`, or all of them."""
    names = sorted(known)
    matches = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if matches:
        return f"did you mean {' or '.join(matches)}?"
    return f"known: {', '.join(names)}"


class Registry:
    """The components of one family, found by name.

    The first look-up imports each module of `package`, so that every component has registered
    itself and no `__init__` lists them.
    """

    def __init__(self, family: str, package: str) -> None:
        self.family: Final = family
        self._package: Final = package
        self._classes: dict[str, type[Any]] = {}
        self._names: dict[type[Any], str] = {}
        self._spellings: dict[str, str] = {}
        self._imported = False

    def register(self, name: str, *spellings: str) -> Callable[[type[T]], type[T]]:
        """Make a class known as `name`; it is found by other spellings of it too."""

        def add(cls: type[T]) -> type[T]:
            for word in (name, *spellings):
                assert word not in self._classes | self._spellings, f"two components named {word}"
            self._classes[name] = cls
            self._names[cls] = name
            self._spellings |= dict.fromkeys(spellings, name)
            return cls

        return add

    def names(self) -> list[str]:
        self._import_package()
        return sorted(self._classes)

    def __contains__(self, name: str) -> bool:
        """Whether a component has that name, or is spelled so."""
        self._import_package()
        return name in self._classes or name in self._spellings

    def get(self, name: str) -> type[Any]:
        """The class registered as `name`; UsageError with the closest names if there is none."""
        return self._classes[self.spelled(name)]

    def spelled(self, name: str) -> str:
        """The name that `name` is, or is another spelling of; UsageError as for `get`."""
        if name not in self:
            raise UsageError(f"unknown {self.family} '{name}': {closest(name, self._classes)}")
        return self._spellings.get(name, name)

    def name_of(self, component: object) -> str:
        return self._names[type(component)]

    def _import_package(self) -> None:
        if self._imported:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
            importlib.import_module(f"{self._package}.{module.name}")
        self._imported = True


DATASETS: Final = Registry("data set", "ganvas.data")
MODELS: Final = Registry("model", "ganvas.models")
LOSSES: Final = Registry("loss", "ganvas.losses")
PENALTIES: Final = Registry("penalty", "ganvas.losses")
UPDATES: Final = Registry("update rule", "ganvas.training.updates")
LATENTS: Final = Registry("latent", "ganvas.latents")
AUGMENTATIONS: Final = Registry("augmentation", "ganvas.augment")
METRICS: Final = Registry("metric", "ganvas.metrics")
EXTRACTORS: Final = Registry("feature extractor", "ganvas.metrics.extractors")
