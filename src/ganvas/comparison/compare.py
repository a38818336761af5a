"""`compare`: runs side by side, with mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ganvas.comparison.contrasts import Contrast, contrasts
from ganvas.comparison.formats import to_csv, to_html, to_latex, to_markdown
from ganvas.comparison.groups import Group, differences, group_runs
from ganvas.comparison.headline import headline
from ganvas.comparison.page import render
from ganvas.comparison.pictures import curves, sheets
from ganvas.comparison.remarks import remarks
from ganvas.comparison.runs import RunRecord, read_runs
from ganvas.comparison.table import Column, columns_of
from ganvas.files import write_file


@dataclass(frozen=True, repr=False)
class Comparison:
    """Runs side by side."""

    headline: str
    """Which group is better, by what, and whether that is more than chance: a few sentences."""

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
        return [one for one in self.tested if one.is_significant]

    @property
    def settings(self) -> dict[str, list[str]]:
        """The settings in which groups differ, with the value of each group."""
        return differences([group.settings for group in self.groups])

    @property
    def environment(self) -> dict[str, list[str]]:
        """The facts of env.json in which runs differ, with the value of each run."""
        return differences([run.environment for run in self.runs])

    def __repr__(self) -> str:
        runs, groups = len(self.runs), len(self.groups)
        return f"<Comparison of {runs} runs in {groups} groups: {self.headline}>"

    def _repr_html_(self) -> str:
        return to_html(self)

    def plot(self) -> Image.Image:
        """Every measured value over the images seen, a panel each, a colour a group."""
        return curves(self.groups, self.columns)

    def sheet(self) -> Image.Image:
        """The newest sample sheet of each run; UsageError if no run has one."""
        return sheets(self.groups)

    def as_json(self) -> dict[str, Any]:
        return {
            "headline": self.headline,
            "groups": [_group(group) for group in self.groups],
            "columns": [self._column(column) for column in self.columns],
            "differences": [
                {
                    "column": one.column.label,
                    "first": one.first.name,
                    "second": one.second.name,
                    "difference": one.found.difference,
                    "interval": [one.found.low, one.found.high],
                    "larger_than_chance": one.is_significant,
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
    runs: str | Path | Sequence[str | Path],
    *,
    html: str | Path | None = None,
    markdown: str | Path | None = None,
    latex: str | Path | None = None,
    csv: str | Path | None = None,
) -> Comparison:
    """Put runs side by side: mean and spread over seeds, numbers of unlike protocols apart.

    Args:
        runs: run folders; other folders stand for every run below them, patterns for what they
            match.
        html: one self-contained page: tables, curves, sample sheets, differences of settings.
        markdown: the table of metrics for a README.
        latex: the same for a paper; needs the package booktabs.
        csv: every run's numbers, one a line, for a spreadsheet or a program.

    Raises:
        UsageError: there is no run, or a run's config.toml cannot be read.
        RunError: a file cannot be written.
    """
    groups = group_runs(read_runs([runs] if isinstance(runs, str | Path) else runs))
    columns = columns_of(groups)
    tested = list(contrasts(groups, columns))
    comparison = Comparison(
        headline(groups, columns, tested),
        tuple(groups),
        tuple(columns),
        tuple(tested),
        tuple(remarks(groups, columns, len(tested))),
    )
    for path, form in ((html, render), (markdown, to_markdown), (latex, to_latex), (csv, to_csv)):
        if path is not None:
            write_file(Path(path), form(comparison).encode())
    return comparison
