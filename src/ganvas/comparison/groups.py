"""Runs that differ in nothing but the seed, together, and what sets the groups apart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ganvas.comparison.runs import UNSET, RunRecord

MAX_IN_NAME: Final = 3
"""So many settings stand in a group's name; the table of settings has them all."""


@dataclass(frozen=True)
class Group:
    """Runs of one recipe and the same settings; their seeds may differ."""

    name: str
    """The recipe, and the settings that tell it from other groups of the recipe."""
    runs: tuple[RunRecord, ...]

    @property
    def counted(self) -> tuple[RunRecord, ...]:
        """The runs behind mean and spread: the first of each seed, for copies are no evidence."""
        first: dict[str, RunRecord] = {}
        for run in self.runs:
            first.setdefault(str(run.seed), run)
        return tuple(first.values())

    @property
    def settings(self) -> dict[str, Any]:
        """By dotted names, without the seed."""
        return _without_seed(self.runs[0])


def group_runs(runs: Sequence[RunRecord]) -> list[Group]:
    """Groups in the order in which their first runs come."""
    members: dict[str, list[RunRecord]] = {}
    for run in runs:
        key = json.dumps(_without_seed(run), sort_keys=True, default=str)
        members.setdefault(key, []).append(run)
    names = _names([_without_seed(of[0]) for of in members.values()])
    return [Group(name, tuple(of)) for name, of in zip(names, members.values(), strict=True)]


def _without_seed(run: RunRecord) -> dict[str, Any]:
    return {key: value for key, value in run.settings.items() if key != "seed"}


def differences(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The settings that are not the same everywhere, with their values."""
    keys = sorted({key for one in settings for key in one})
    table = {key: [str(one.get(key, UNSET)) for one in settings] for key in keys}
    return {key: values for key, values in table.items() if len(set(values)) > 1}


def telling(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Settings in which some differ, without those that follow from the choice of a component."""
    differing = differences(settings)
    telling = []
    for key, values in differing.items():
        names = differing.get(f"{key.partition('.')[0]}.name")
        if key.endswith(".name") or names is None:
            telling.append(key)
        elif len(set(zip(names, values, strict=True))) > len(set(names)):
            telling.append(key)
    return sorted(telling, key=lambda key: not key.endswith(".name"))


def _names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    names = []
    for one in settings:
        recipe = str(one.get("recipe", UNSET))
        siblings = [other for other in settings if other.get("recipe") == one.get("recipe")]
        keys = [key for key in telling(siblings) if key in one]
        words = [recipe, *(f"{key}={_short(str(one[key]))}" for key in keys[:MAX_IN_NAME])]
        if len(keys) > MAX_IN_NAME:
            words.append(f"and {len(keys) - MAX_IN_NAME} more")
        names.append(" ".join(words))
    alike, seen = Counter(names), Counter[str]()
    for i, name in enumerate(names):
        seen[name] += 1
        names[i] = f"{name} ({seen[name]})" if alike[name] > 1 else name
    return names


def _short(value: str) -> str:
    return value if len(value) <= 30 else f"…{value[-29:]}"
