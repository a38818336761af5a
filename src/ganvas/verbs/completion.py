"""Names for the shell to complete, found without importing torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

METRICS: Final = (
    "fd", "kd", "prdc", "classes", "parzen", "1nn", "1nn-labels", "agreement", "cas", "intra-fd",
    "modes", "duplicates", "memorisation",
)  # fmt: skip
"""Metrics by their short names."""


def recipes(incomplete: str) -> list[str]:
    from ganvas import config

    return starting(incomplete, config.recipe_names())


def pretrained(incomplete: str) -> list[str]:
    from ganvas import pretrained

    return starting(incomplete, pretrained.names())


def data_sets(incomplete: str) -> list[str]:
    from ganvas.registry import DATASETS

    return starting(incomplete, DATASETS.names_in_source())


def names(incomplete: str) -> list[str]:
    """Recipes and components, for `show`."""
    from ganvas import config
    from ganvas.registry import EXTRACTORS, METRICS

    registries = (*config.COMPONENTS.values(), METRICS, EXTRACTORS)
    found = [name for registry in registries for name in registry.names_in_source()]
    return sorted(recipes(incomplete) + starting(incomplete, found))


def metrics(incomplete: str) -> list[str]:
    """The next of "fd,kd,..."."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in starting(last, METRICS)]


def settings(incomplete: str) -> list[str]:
    """For --set: the components' names, and the settings of what is no component."""
    from ganvas import config
    from ganvas.registry import settings

    found = [f"{section}.name=" for section in config.COMPONENTS]
    for section, cls in config.SECTIONS.items():
        found += [f"{section}.{key}=" for key in settings(cls)]
    return starting(incomplete, found)


def starting(incomplete: str, names: Iterable[str]) -> list[str]:
    """Those of the names that begin so, in order."""
    return sorted({name for name in names if name.startswith(incomplete)})
