"""`compare`: runs side by side, with mean and spread over seeds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ganvas.comparison.groups import Group, differences, group_runs
from ganvas.comparison.page import render
from ganvas.comparison.pictures import as_html, curves, sheets
from ganvas.comparison.remarks import remarks
from ganvas.comparison.runs import RunRecord, read_runs
from ganvas.comparison.spread import Difference, number_text, welch
from ganvas.comparison.table import Column, columns_of
from ganvas.files import write_file


@dataclass(frozen=True)
class Contrast:
    """Two groups in one column."""

    column: Column
    first: Group
    second: Group
    found: Difference

    def __str__(self) -> str:
        """'fd10k: A 2.3 lower than B, which is better (95 % interval 1.2 to 3.4)'."""
        found = self.found
        higher = found.difference > 0
        verdict = ""
        if self.column.better in ("higher", "lower"):
            wanted = higher == (self.column.better == "higher")
            verdict = f", which is {'better' if wanted else 'worse'}"
        low, high = sorted((abs(found.low), abs(found.high)))
        return (
            f"{self.column.label}: {self.second.name} {number_text(abs(found.difference))} "
            f"{'higher' if higher else 'lower'} than {self.first.name}{verdict} "
            f"(95 % interval {number_text(low)} to {number_text(high)})"
        )


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    groups: tuple[Group, ...]
    """Runs that differ in the seed only."""
    columns: tuple[Column, ...]
    """Numbers, each column of one protocol."""
    tested: tuple[Contrast, ...]
    """The differences that there are seeds enough to test."""
    remarks: tuple[str, ...]
    """What a reader must know beside the numbers."""

    @property
    def runs(self) -> list[RunRecord]:
        return [run for group in self.groups for run in group.runs]

    @property
    def larger_than_chance(self) -> list[Contrast]:
        return [one for one in self.tested if one.found.is_larger_than_chance]

    @property
    def settings(self) -> dict[str, list[str]]:
        """The settings in which groups differ, with the value of each group."""
        return differences([group.settings for group in self.groups])

    @property
    def environment(self) -> dict[str, list[str]]:
        """The facts of env.json in which runs differ, with the value of each run."""
        return differences([run.environment for run in self.runs])

    def __repr__(self) -> str:
        return (
            f"Comparison({len(self.runs)} runs in {len(self.groups)} groups: "
            f"{', '.join(group.name for group in self.groups)}; {len(self.columns)} columns)"
        )

    def _repr_html_(self) -> str:
        return as_html(self.groups, self.columns)

    def plot(self) -> Image.Image:
        """Every measured value over the images seen, a panel each, a colour a group."""
        return curves(self.groups, self.columns)

    def sheet(self) -> Image.Image:
        """The newest sample sheet of each run; UsageError if no run has one."""
        return sheets(self.groups)

    def as_json(self) -> dict[str, Any]:
        return {
            "groups": [_group(group) for group in self.groups],
            "columns": [self._column(column) for column in self.columns],
            "differences": [
                {
                    "column": one.column.label,
                    "first": one.first.name,
                    "second": one.second.name,
                    "difference": one.found.difference,
                    "interval": [one.found.low, one.found.high],
                    "larger_than_chance": one.found.is_larger_than_chance,
                }
                for one in self.tested
            ],
            "settings": self.settings,
            "environment": self.environment,
            "remarks": list(self.remarks),
        }

    def _column(self, column: Column) -> dict[str, Any]:
        return {
            "label": column.label,
            "metric": column.metric,
            "value": column.value,
            "which": column.which,
            "better": column.better,
            "protocol": column.protocol,
            "real_images": list(column.floor),
            "groups": [
                {
                    "group": group.name,
                    "mean": cell.spread.mean if cell.spread else None,
                    "deviation": cell.spread.deviation if cell.spread else None,
                    "num": cell.spread.num if cell.spread else 0,
                    "runs": {path: vars(point) for path, point in cell.points.items()},
                }
                for group, cell in zip(self.groups, column.cells, strict=True)
            ],
        }


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "runs": [
            {
                "path": run.path,
                "recipe": run.recipe,
                "seed": run.seed,
                "begun": run.begun,
                "code": run.code,
                "finished": run.finished,
                "state": run.state,
            }
            for run in group.runs
        ],
    }


def compare(
    runs: str | Path | Sequence[str | Path], *, html: str | Path | None = None
) -> Comparison:
    """Put runs side by side: mean and spread over seeds, numbers of unlike protocols apart.

    Args:
        runs: run folders; other folders stand for every run below them, patterns for what they
            match.
        html: one self-contained page: tables, curves, sample sheets, differences of settings.

    Raises:
        UsageError: there is no run, or a run's config.toml cannot be read.
        RunError: the page cannot be written.
    """
    records = read_runs([runs] if isinstance(runs, str | Path) else runs)
    groups = group_runs(records)
    columns = columns_of(groups)
    tested = _contrasts(groups, columns)
    comparison = Comparison(
        tuple(groups),
        tuple(columns),
        tuple(tested),
        tuple(remarks(groups, columns, len(tested))),
    )
    if html is not None:
        write_file(Path(html), render(comparison).encode())
    return comparison


def _contrasts(groups: Sequence[Group], columns: Sequence[Column]) -> list[Contrast]:
    """Every two groups in every column of last measurements that has better and worse values."""
    contrasts = []
    for column in columns:
        if column.better is None or column.which == "best":
            continue
        values = [
            [cell.points[run.path].value for run in group.counted if run.path in cell.points]
            for group, cell in zip(groups, column.cells, strict=True)
        ]
        for i, j in itertools.combinations(range(len(groups)), 2):
            if found := welch(values[i], values[j]):
                contrasts.append(Contrast(column, groups[i], groups[j], found))
    return contrasts
