"""Columns of numbers, a row each group of runs. A column holds numbers of one protocol only."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, get_args

from ganvas.comparison.groups import Group
from ganvas.comparison.runs import RunRecord
from ganvas.comparison.spread import Spread, number_text
from ganvas.errors import UsageError
from ganvas.metrics.by_class import OF_CLASS
from ganvas.metrics.inputs import Better
from ganvas.metrics.rows import current_settings, uses_training
from ganvas.registry import METRICS
from ganvas.rundir import number

Which = Literal["last", "best"]

PROTOCOL: Final = (
    "metric",
    "num_fake",
    "num_reference",
    "data",
    "split",
    "fingerprint",
    "extractor",
    "extractor_sha256",
    "resize",
    "seed",
)
"""Fields of a row of metrics.jsonl that, with the components' settings, make up its protocol."""
TRAINED_ON: Final = ("num_train", "train_sha256")
"""And these, where a metric looks at the images that the generator was trained on."""


@dataclass(frozen=True)
class Point:
    """A run's value."""

    value: float
    images: float | None
    """Real images that the generator had been shown."""


@dataclass(frozen=True)
class Cell:
    """A group's values in a column."""

    points: dict[str, Point]
    """By the runs' paths; a run that was not measured so is not there, nor a finished one whose
    last generator was not."""
    spread: Spread | None
    """Over the runs that count; None if there are no values."""


@dataclass(frozen=True)
class Column:
    """Numbers that compare: one quantity under one protocol."""

    metric: str
    """Short name with the number of images, as fd10k; or what was logged, as loss."""
    value: str
    """Which of its numbers."""
    which: Which
    """The measurement of each run's last generator, or the best of all."""
    better: Better | None
    """Where better values lie, if that is known."""
    protocol: dict[str, Any]
    """What the number depends on besides the generator."""
    cells: tuple[Cell, ...]
    """One a group."""
    floor: tuple[float, ...] = ()
    """The same for real images; several where the groups were trained on other images."""
    mark: str = ""
    """Sets columns of one metric apart: "1", "2"; empty if there is only one protocol."""
    curves: dict[str, list[Point]] = field(default_factory=dict)
    """All measurements of each run, in the order of images seen."""

    @property
    def is_metric(self) -> bool:
        return "metric" in self.protocol

    @property
    def family(self) -> str:
        """The metric without its number of images."""
        return re.sub(r"\d+k?$", "", self.metric) if self.is_metric else self.metric

    @property
    def label(self) -> str:
        """What stands at the head: 'fd10k', 'best prdc10k recall [2]'."""
        if not self.is_metric:
            words = [self.value, self.metric]
        else:
            words = ["best" if self.which == "best" else "", self.metric]
            words.append(self.value if self.value != "distance" else "")
        mark = f"[{self.mark}]" if self.mark else ""
        return " ".join(word for word in (*words, mark) if word)

    @property
    def merits(self) -> dict[int, float]:
        """By group how good its mean is: the more the better. Empty if no side is better."""
        means = {i: cell.spread.mean for i, cell in enumerate(self.cells) if cell.spread}
        match self.better:
            case "higher":
                return means
            case "lower":
                return {i: -mean for i, mean in means.items()}
            case "half":
                return {i: -abs(mean - 0.5) for i, mean in means.items()}
        return {}

    @cached_property
    def winners(self) -> set[int]:
        """The groups with the best mean, unless there is but one, or all are as good."""
        merits = self.merits
        if len(set(merits.values())) < 2:
            return set()
        return {i for i, merit in merits.items() if merit == max(merits.values())}

    def text(self, index: int, num: int) -> str:
        """A group's mean and deviation, and of how many runs if they are not all `num`."""
        spread = self.cells[index].spread
        if spread is None:
            return ""
        text = number_text(spread.mean) if self.is_same(spread) else str(spread)
        return text if spread.num == num else f"{text} ({spread.num} of {num})"

    def text_of_run(self, index: int, path: str) -> str:
        """A run's value in a group's cell."""
        cell = self.cells[index]
        point = cell.points.get(path)
        return (cell.spread or Spread.of([point.value])).text_of(point.value) if point else ""

    def is_same(self, spread: Spread) -> bool:
        """Whether it is a count that is the same in all runs, as images seen mostly is."""
        return not self.is_metric and spread.deviation == 0

    @property
    def floor_text(self) -> str:
        texts = dict.fromkeys(number_text(value) for value in sorted(self.floor))
        first, *others = texts or [""]
        return f"{first} to {others[-1]}" if others else first


# What a run tells


@dataclass
class _Series:
    """A quantity's measurements in all runs, under one protocol."""

    metric: str
    value: str
    protocol: dict[str, Any]
    better: Better | None = None
    points: dict[str, dict[float | None, float]] = field(default_factory=dict)
    """Path -> images seen -> value; measured twice at the same images, the newer stays."""
    floors: list[float] = field(default_factory=list)


def columns_of(groups: Sequence[Group]) -> list[Column]:
    """All columns: how far the runs got and how fast, their last losses, their metrics."""
    series: dict[str, _Series] = {}
    for group in groups:
        for run in group.runs:
            for found in (*_logged(run), *_measured(run)):
                key = json.dumps([found.metric, found.value, found.protocol], sort_keys=True)
                known = series.setdefault(key, found)
                known.points.setdefault(run.path, {}).update(found.points[run.path])
                known.floors += found.floors if known is not found else []
    columns = []
    for one in series.values():
        columns.append(last := _column(one, groups, "last"))
        if one.better:
            best = _column(one, groups, "best")
            columns += [best] if best.cells != last.cells else []  # that would say nothing new
    return _in_order(columns)


def _logged(run: RunRecord) -> Iterator[_Series]:
    images, seconds = run.last("images"), run.last("seconds")
    rate = images / seconds if images and seconds else None
    # a loss is a number only with its formula and its targets
    loss = {key: value for key, value in run.settings.items() if key.startswith("loss.")}
    for metric, key, value, protocol in (
        ("images", "", images, {}),
        ("seconds", "", seconds, {}),
        ("images/s", "", rate, {}),
        ("loss", "D", run.last("D/loss"), loss),
        ("loss", "G", run.last("G/loss"), loss),
    ):
        if value is not None:
            yield _Series(metric, key, protocol, points={run.path: {images: value}})


def _measured(run: RunRecord) -> Iterator[_Series]:
    for row in run.rows:
        values, floor = row.get("values"), row.get("floor")
        if not isinstance(row.get("metric"), str) or not isinstance(values, dict):
            continue
        protocol = protocol_of(row)
        images = number(row.get("images"))
        directions = _directions(row)
        for key, found in values.items():
            if (value := number(found)) is None or key.startswith(OF_CLASS):
                continue  # a column for each class would bury the others
            real = number(floor.get(key)) if isinstance(floor, dict) else None
            yield _Series(
                row["metric"],
                key,
                protocol,
                directions.get(key),
                {run.path: {images: value}},
                [] if real is None else [real],
            )


def protocol_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row's numbers depend on besides the generator.

    Where the SHA-256 of the reference images is known, the path that they were read from is not
    part of it. The evaluation's seed is: it decides which reference images are drawn.
    """
    protocol = {key: row.get(key) for key in PROTOCOL}
    if protocol["fingerprint"]:
        protocol["data"] = str(protocol["data"]).partition(" ")[0]
    given = row.get("settings")
    settings = current_settings(given if isinstance(given, dict) else {})
    if uses_training(settings):
        protocol |= {key: row.get(key) for key in TRAINED_ON}
    for name, fields in settings.items():
        for key, value in fields.items():
            protocol[f"{name}.{key}"] = value
    return protocol


def _directions(row: Mapping[str, Any]) -> dict[str, Better]:
    """Where better values lie, by value; nothing of metrics that this version does not know."""
    directions: dict[str, Better] = {}
    for name in row.get("settings") or ():
        try:
            directions |= getattr(METRICS.get(str(name)), "better", {})
        except UsageError:
            continue
    return directions


# From measurements to columns


def _column(series: _Series, groups: Sequence[Group], which: Which) -> Column:
    curves = {
        path: [Point(value, images) for images, value in sorted(points.items(), key=_by_images)]
        for path, points in series.points.items()
    }
    cells = []
    for group in groups:
        points = {}
        for run in group.runs:
            if not (measured := curves.get(run.path)):
                continue
            if which == "best":
                points[run.path] = _best(measured, series)
            elif series.better is None or not run.outgrew(measured[-1].images):
                points[run.path] = measured[-1]
        counted = [points[run.path].value for run in group.counted if run.path in points]
        cells.append(Cell(points, Spread.of(counted) if counted else None))
    return Column(
        metric=series.metric,
        value=series.value,
        which=which,
        better=series.better,
        protocol=series.protocol,
        cells=tuple(cells),
        floor=tuple(dict.fromkeys(series.floors)),
        curves=curves,
    )


def _by_images(item: tuple[float | None, float]) -> float:
    return -1.0 if item[0] is None else item[0]


def _best(points: Sequence[Point], series: _Series) -> Point:
    assert series.better in get_args(Better)
    if series.better == "half":
        return min(points, key=lambda point: abs(point.value - 0.5))
    sign = 1 if series.better == "lower" else -1
    return min(points, key=lambda point: sign * point.value)


def _in_order(columns: Sequence[Column]) -> list[Column]:
    """Columns of a metric side by side, those of one protocol first; unlike ones get marks."""
    families = list(dict.fromkeys(column.family for column in columns))
    protocols: dict[str, list[dict[str, Any]]] = {family: [] for family in families}
    for column in columns:
        if column.protocol not in protocols[column.family]:
            protocols[column.family].append(column.protocol)

    def place(column: Column) -> tuple[int, int]:
        family = column.family
        return families.index(family), protocols[family].index(column.protocol)

    marked = []
    for column in sorted(columns, key=place):
        mark = str(place(column)[1] + 1) if len(protocols[column.family]) > 1 else ""
        marked.append(dataclasses.replace(column, mark=mark))
    return marked
