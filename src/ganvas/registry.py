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
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ConfigDict
from pydantic.fields import FieldInfo

from ganvas.components import adds_components, import_installed
from ganvas.errors import UsageError

T = TypeVar("T")

CHECKED: Final = ConfigDict(
    strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
)
"""How components are checked: exact types, no unknown settings; a field's docstring is its help."""


class UnknownComponent(UsageError):
    """No component of that name is registered."""


def settings(cls: type[Any]) -> dict[str, FieldInfo]:
    """The fields of a component class by name, with type, default and docstring."""
    fields: dict[str, FieldInfo] = cls.__pydantic_fields__
    return fields


def described(cls: type[Any]) -> list[dict[str, Any]]:
    """The fields of a component class as rows: setting, default, about."""
    return [
        {
            "setting": key,
            "default": None if field.is_required() else field.default,
            "about": field.description or "",
        }
        for key, field in settings(cls).items()
    ]


def closest(word: str, known: Iterable[str]) -> str:
    """The end of an error line: the names most like `word`, or all of them."""
    names = sorted(known)
    matches = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if matches:
        return f"did you mean {' or '.join(matches)}?"
    return f"known: {', '.join(names)}"


class Registry:
    """The components of one family, found by name.

    `variable` is what it is called in the source. The first look-up imports each module of
    `package`, and what installed packages add, so that every component has registered itself and
    no `__init__` lists them.
    """

    def __init__(self, family: str, package: str, variable: str = "") -> None:
        self.family: Final = family
        self._variable: Final = variable
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
        """The class registered as `name`; UnknownComponent with the closest names if none is."""
        return self._classes[self.spelled(name)]

    def spelled(self, name: str) -> str:
        """The name that `name` is, or is another spelling of; UnknownComponent as for `get`."""
        if name not in self:
            raise self._unknown(name, self._classes)
        return self._spellings.get(name, name)

    def spellings(self, name: str) -> list[str]:
        """The other spellings of a component's name."""
        return [spelling for spelling, own in self._spellings.items() if own == name]

    def imported(self, name: str) -> type[Any] | None:
        """The class of that name or spelling if it is known already; nothing is imported."""
        return self._classes.get(self._spellings.get(name, name))

    def refuse_early(self, name: str) -> None:
        """UnknownComponent for a name that cannot be known, without importing anything.

        A look-up imports torch, and a mistyped name should not have to wait for that.
        """
        if self._imported or name in self._classes | self._spellings or adds_components():
            return
        if not any(name in names for names in self._source()):
            raise self._unknown(name, self.names_known())

    def names_known(self) -> list[str]:
        """The names that are known so far, and those in the package's source; as for `names`."""
        return sorted(self.names_in_source() | set(self._classes))

    def names_in_source(self) -> set[str]:
        """The names in the package's source, each in the spelling that is its own."""
        return {name for name, *_ in self._source()}

    def _source(self) -> Iterator[list[str]]:
        """The name and the other spellings of each component in the package's source."""
        folder = Path(__file__).parent.joinpath(*self._package.split(".")[1:])
        files = folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
        call = re.compile(rf"^@{self._variable}\.register\(([^)]*)\)", re.MULTILINE)
        for file in files:
            for names in call.findall(file.read_text(encoding="utf-8")):
                yield re.findall(r'"([^"]+)"', names)

    def _unknown(self, name: str, known: Iterable[str]) -> UnknownComponent:
        return UnknownComponent(f"unknown {self.family} '{name}': {closest(name, known)}")

    def name_of(self, component: object) -> str:
        return self._names[type(component)]

    def _import_package(self) -> None:
        if self._imported:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
            importlib.import_module(f"{self._package}.{module.name}")
        import_installed()
        self._imported = True


DATASETS: Final = Registry("data set", "ganvas.data", "DATASETS")
MODELS: Final = Registry("model", "ganvas.models", "MODELS")
LOSSES: Final = Registry("loss", "ganvas.losses", "LOSSES")
PENALTIES: Final = Registry("penalty", "ganvas.losses", "PENALTIES")
UPDATES: Final = Registry("update rule", "ganvas.training.updates", "UPDATES")
LATENTS: Final = Registry("latent", "ganvas.latents", "LATENTS")
AUGMENTATIONS: Final = Registry("augmentation", "ganvas.augment", "AUGMENTATIONS")
METRICS: Final = Registry("metric", "ganvas.metrics", "METRICS")
EXTRACTORS: Final = Registry("feature extractor", "ganvas.metrics.extractors", "EXTRACTORS")


def without_count(text: str) -> str:
    """The name in a metric's name and number: "fd" of "fd10k" and of "fd299"."""
    return text if METRICS.imported(text) else re.sub(r"\d+k?$", "", text)


def metric_named(text: str) -> str:
    """The metric that is meant, however it is called: "frechet", "fd10k" and "fid" are fd.

    Raises:
        UnknownComponent: there is none.
    """
    name = without_count(text) if text not in METRICS else text
    return in_inception().get(name) or METRICS.spelled(name)


def is_metric(text: str) -> bool:
    """Whether there is a metric that is meant so."""
    try:
        return bool(metric_named(text))
    except UnknownComponent:
        return False


def in_inception() -> dict[str, str]:
    """Metrics by the names that they have in Inception's features: "fid" is fd."""
    names = {getattr(METRICS.get(metric), "in_inception", ""): metric for metric in METRICS.names()}
    return {name: metric for name, metric in names.items() if name}
