"""A comparison as one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from ganvas.comparison.groups import Group
from ganvas.comparison.panels import Curve, Style, mean_curve, panel, style_of
from ganvas.comparison.runs import UNSET, RunRecord
from ganvas.comparison.spread import number_text
from ganvas.comparison.table import Column
from ganvas.errors import printable
from ganvas.images import read_png
from ganvas.rundir import number

if TYPE_CHECKING:
    from ganvas.comparison.compare import Comparison

MANY: Final = 10
"""More runs than these have their sheets shrunk further."""
SIDE: Final = 640
"""Longest side of a sheet on the page in pixels; of many runs half of it."""

LOGGED: Final = {
    "D/loss": "loss of D",
    "G/loss": "loss of G",
    "D/real": "mean output of D on real images",
    "D/fake": "mean output of D on fakes",
}


@dataclass(frozen=True)
class Panel:
    """A plot and what stands above it."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class Sheet:
    """A sheet of images and what stands above it."""

    title: str
    note: str
    style: Style | None
    url: str
    width: int
    height: int


def render(comparison: Comparison) -> str:
    """The page's text."""
    # everything that enters the template is escaped, save the panels, which escape what they hold
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number_text
    environment.filters["breakable"] = _breakable
    text = (resources.files("ganvas.comparison") / "page.html").read_text(encoding="utf-8")
    groups = comparison.groups
    styles = [style_of(i) for i in range(len(groups))]
    return environment.from_string(text).render(
        comparison=comparison,
        groups=list(zip(groups, styles, strict=True)),
        training=_training(comparison.columns),
        metrics=_metrics(comparison.columns),
        curves=list(_curves(groups, styles)),
        metric_panels=list(_metric_panels(comparison.columns, groups, styles)),
        sheets=_sheets(groups, styles),
        protocols=_protocols(comparison.columns),
        several=any(len(group.runs) > 1 for group in groups),
        unset=UNSET,
    )


def _breakable(text: str) -> Markup:
    """A name that may be broken behind its slashes and equals signs too, but not inside words."""
    return Markup("<wbr>").join(re.split(r"(?<=[/=])", text))


# Tables


def _training(columns: Sequence[Column]) -> list[Column]:
    """How far, how fast, and those losses that several groups have in common."""
    training = [column for column in columns if not column.is_metric]
    return [
        column
        for column in training
        if column.metric != "loss"
        or len(column.cells) == 1
        or sum(bool(cell.points) for cell in column.cells) > 1
    ]


def _metrics(columns: Sequence[Column]) -> list[tuple[Column, Column | None]]:
    """Each column of last generators with that of the best values, if there is one."""
    best = {
        (column.metric, column.value, column.mark): column
        for column in columns
        if column.which == "best"
    }
    return [
        (column, best.get((column.metric, column.value, column.mark)))
        for column in columns
        if column.is_metric and column.which == "last"
    ]


# Curves


def _curves(
    groups: Sequence[Group], styles: Sequence[Style]
) -> Iterator[tuple[str, list[tuple[Group, Style]], list[Panel]]]:
    """For each loss function its groups and panels: values of unlike losses share no axes."""
    losses: dict[str, list[tuple[Group, Style]]] = {}
    for group, style in zip(groups, styles, strict=True):
        name = str(group.settings.get("loss.name", UNSET))
        losses.setdefault(name, []).append((group, style))
    for i, (name, members) in enumerate(losses.items()):
        panels = []
        for j, (key, title) in enumerate(LOGGED.items()):
            curves = [
                mean_curve(of_runs, group.name)
                for group, style in members
                if (of_runs := [c for run in group.runs if (c := _logged(run, key, style)).values])
            ]
            if curves:
                panels.append(Panel(title, Markup(panel(f"l{i}{j}", curves))))
        if panels:
            yield name, members, panels


def _logged(run: RunRecord, key: str, style: Style) -> Curve:
    points = [
        (images, value)
        for line in run.log
        if (images := number(line.get("images"))) is not None
        and (value := number(line.get(key))) is not None
    ]
    return Curve([p[0] for p in points], [p[1] for p in points], style)


def _metric_panels(
    columns: Sequence[Column], groups: Sequence[Group], styles: Sequence[Style]
) -> Iterator[Panel]:
    """A panel for each column in which a run was measured at several counts of images."""
    for i, column in enumerate(columns):
        if column.which == "best" or all(len(points) < 2 for points in column.curves.values()):
            continue
        curves = []
        for group, style in zip(groups, styles, strict=True):
            of_runs = []
            for run in group.runs:
                points = [
                    (point.images, point.value)
                    for point in column.curves.get(run.path, [])
                    if point.images is not None
                ]
                if points:
                    of_runs.append(Curve([p[0] for p in points], [p[1] for p in points], style))
            if of_runs:
                curves.append(mean_curve(of_runs, group.name))
        yield Panel(column.label, Markup(panel(f"m{i}", curves, column.floor)))


# Sheets


def _sheets(groups: Sequence[Group], styles: Sequence[Style]) -> list[list[Sheet]]:
    """For each set of training images a sheet of them, and the runs' last sheets."""
    sets: dict[str, list[Sheet]] = {}
    side = SIDE // 2 if sum(len(group.runs) for group in groups) > MANY else SIDE
    for group, style in zip(groups, styles, strict=True):
        for run in group.runs:
            data = {
                key: value
                for key, value in run.settings.items()
                if key.startswith(("data.", "preprocess."))
            }
            of = sets.setdefault(str(data), [])
            if not of and run.folder.reals.is_file():
                name = f"real images, {run.settings.get('data.name', UNSET)}"
                of.append(_sheet(run.folder.reals, name, "", None, side))
            if samples := run.folder.samples():
                note = f"seed {run.seed}, {printable(samples[-1].stem)}"
                of.append(_sheet(samples[-1], group.name, note, style, side))
    return [of for of in sets.values() if of]


def _sheet(path: Path, title: str, note: str, style: Style | None, side: int) -> Sheet:
    try:
        picture = read_png(path)
    except Exception as error:  # Pillow has many ways to refuse a damaged picture
        return Sheet(title, printable(f"{path.name} cannot be read: {error}"), style, "", 0, 0)
    if max(picture.size) > side:
        note = f"{note}, shrunk from {picture.width}x{picture.height}".removeprefix(", ")
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Sheet(title, note, style, url, picture.width, picture.height)


# Protocols


def _protocols(columns: Sequence[Column]) -> list[tuple[str, dict[str, Any]]]:
    """The protocol of each metric, once, by its name and mark."""
    found: dict[str, dict[str, Any]] = {}
    for column in columns:
        if column.is_metric:
            name = f"{column.metric} [{column.mark}]" if column.mark else column.metric
            found.setdefault(name, column.protocol)
    return list(found.items())
