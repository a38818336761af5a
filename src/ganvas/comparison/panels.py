"""Small plots of many runs as SVG to be set into a page: its colours, its text, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

MAX_POINTS: Final = 250
"""Longer curves are drawn as means of so many stretches: a page of 30 runs stays small."""

COLOURS: Final = (
    "#1f77b4", "#e8710a", "#2ca02c", "#d62728", "#9467bd",
    "#8c6d5a", "#e377c2", "#7f7f7f", "#a8a800", "#17a2b8",
)  # fmt: skip
DASHES: Final = ((), (6, 2), (2, 2), (8, 2, 2, 2))
_INK: Final = "#010203"
"""Stands for the page's colour of text, which is not known here."""


@dataclass(frozen=True)
class Style:
    """How a group's curves are drawn."""

    colour: str
    dashes: tuple[int, ...]
    """Lengths of lines and gaps in points; empty for a solid line."""


@dataclass(frozen=True)
class Curve:
    """A run's numbers over images seen."""

    images: Sequence[float]
    values: Sequence[float]
    style: Style


def style_of(index: int) -> Style:
    """Forty styles: ten colours, then the same in dashes."""
    return Style(COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)])


def panel(name: str, curves: Sequence[Curve], floor: Sequence[float] = ()) -> str:
    """An SVG element; `name` sets its ids apart from those of other panels on the page.

    A dotted line is drawn at each value of `floor`.
    """
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 9,
        "font.sans-serif": ["DejaVu Sans"],
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "text.color": _INK,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(4.2, 2.5))
        figure.subplots_adjust(left=0.15, right=0.97, top=0.96, bottom=0.19)
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        for curve in curves:
            images, values = thinned(curve.images, curve.values)
            (line,) = axes.plot(images, values, color=curve.style.colour, linewidth=1.2)
            if curve.style.dashes:
                line.set_dashes(curve.style.dashes)
            if len(values) <= 12:
                line.set_marker(".")
        for value in floor:
            axes.axhline(value, color=_INK, linewidth=1, linestyle=":")
        axes.set_xlabel("real images seen")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 400k, 1.6M
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(color=_INK, alpha=0.15, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        buffer = io.StringIO()
        empty = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=empty)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    for before in ('id="', "url(#", 'href="#'):
        svg = svg.replace(before, f"{before}{name}-")
    return svg


def thinned(
    images: Sequence[float], values: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most MAX_POINTS points: the means of stretches of nearly equal length."""
    pair = np.array([images, values], dtype=np.float64)
    if pair.shape[1] > MAX_POINTS:
        stretches = np.array_split(pair, MAX_POINTS, axis=1)
        pair = np.stack([stretch.mean(axis=1) for stretch in stretches], axis=1)
    return pair[0], pair[1]
