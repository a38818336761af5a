"""A comparison as pictures for a notebook: curves, sheets."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from PIL import Image

from ganvas.comparison.groups import Group
from ganvas.comparison.panels import style_of
from ganvas.comparison.table import Column
from ganvas.errors import UsageError
from ganvas.notebook import beside, picture_at, plotted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE: Final = 300
"""The largest width and height of a sheet, in pixels."""


def curves(groups: Sequence[Group], columns: Sequence[Column]) -> Image.Image:
    """The measurements of all runs over the images seen."""
    shown = [column for column in columns if column.is_metric and column.which == "last"]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
        for axes, column in zip(panels, shown, strict=False):
            for i, group in enumerate(groups):
                for run in group.runs:
                    points = [
                        (point.images, point.value)
                        for point in column.curves.get(run.path, [])
                        if point.images is not None
                    ]
                    if points:
                        x, y = zip(*points, strict=True)
                        axes.plot(x, y, marker=".", color=style_of(i).colour, gid=group.name)
            for value in column.floor:
                axes.axhline(value, linestyle=":", color="black")
            axes.set(title=column.label, xlabel="real images seen")
            axes.locator_params(nbins=4)
        lines = {line.get_gid(): line for axes in panels for line in axes.lines if line.get_gid()}
        names = [textwrap.shorten(str(name), 90, placeholder=" …") for name in lines]
        figure.legend(list(lines.values()), names, loc="outside lower left", fontsize=8)

    return plotted(draw, 3.0 * max(2, len(shown)), 3.0 + 0.2 * len(groups))


def sheets(groups: Sequence[Group]) -> Image.Image:
    """The runs' newest sheets, in the order of the groups."""
    found = []
    for group in groups:
        for run in group.runs:
            for path in run.folder.samples()[-1:]:
                picture = picture_at(path, "sample sheet").convert("RGB")
                picture.thumbnail((SIDE, SIDE))
                found.append(picture)
    if not found:
        raise UsageError("no run has a sample sheet")
    return beside(found)
