"""Small plots of many runs as SVG to be set into a page: its colours, its text, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import matplotlib
import numpy as np
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from ganvas.comparison.spread import number_text

MAX_POINTS: Final = 250
"""Longer curves are drawn as means of so many stretches: a page of 30 runs stays small."""

MAX_NOTES: Final = 24
"""Points of a curve that say their numbers under the pointer."""

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
    """Numbers over images seen: of a run, or the mean over a group's runs."""

    images: Sequence[float]
    values: Sequence[float]
    style: Style
    deviations: Sequence[float] = ()
    """Standard deviations over the runs, NaN where there is one run; empty for a single run."""
    name: str = ""
    """What stands beside the pointer."""


def mean_curve(curves: Sequence[Curve], name: str) -> Curve:
    """The mean of runs, at every count of images that one of them has a value for.

    Between its counts a run has the value on the straight line; outside of them it has none.
    """
    if len(curves) == 1:
        return replace(curves[0], name=name)
    images = np.unique(np.concatenate([np.asarray(one.images, float) for one in curves]))
    values = np.array([np.interp(images, *_sorted(one), np.nan, np.nan) for one in curves])
    num = np.isfinite(values).sum(axis=0)
    mean = np.nansum(values, axis=0) / num
    squares = np.nansum((values - mean) ** 2, axis=0)
    deviations = np.where(num > 1, np.sqrt(squares / np.maximum(num - 1, 1)), np.nan)
    return Curve(list(images), list(mean), curves[0].style, list(deviations), name)


def _sorted(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    order = np.argsort(np.asarray(curve.images, float), kind="stable")
    return np.asarray(curve.images, float)[order], np.asarray(curve.values, float)[order]


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
        figure = Figure(figsize=(3.5, 2.2), dpi=72)  # an SVG's own resolution: points
        figure.subplots_adjust(left=0.17, right=0.97, top=0.96, bottom=0.22)
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        for curve in curves:
            images, values, deviations = thinned(curve)
            (line,) = axes.plot(images, values, color=curve.style.colour, linewidth=1.4)
            if curve.style.dashes:
                line.set_dashes(curve.style.dashes)
            if len(values) <= 12:
                line.set_marker(".")
            low, high = values - deviations, values + deviations
            axes.fill_between(images, low, high, color=curve.style.colour, alpha=0.2, linewidth=0)
        for value in floor:
            axes.axhline(value, color=_INK, linewidth=1, linestyle=":")
        axes.set_xlabel("real images seen")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 400k, 1.6M
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(color=_INK, alpha=0.15, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        buffer = io.StringIO()
        empty = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=empty)
        notes = "".join(note for curve in curves for note in _notes(curve, axes))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    for before in ('id="', "url(#", 'href="#'):
        svg = svg.replace(before, f"{before}{name}-")
    return svg.replace("</svg>", f"{notes}</svg>")


def _notes(curve: Curve, axes: Axes) -> Iterator[str]:
    """Invisible circles along a curve, whose titles browsers show beside the pointer."""
    height = axes.figure.bbox.height
    images, values, deviations = thinned(curve, MAX_NOTES)
    for x, value, deviation in zip(images, values, deviations, strict=True):
        if not np.isfinite(value):
            continue
        spread = f" ± {number_text(deviation)}" if deviation > 0 else ""
        text = f"{curve.name}: {number_text(value)}{spread} at {x:,.0f} images"
        across, up = axes.transData.transform((x, value))
        yield (
            f'<circle cx="{across:.1f}" cy="{height - up:.1f}" r="5" fill="transparent">'
            f"<title>{escape(text.removeprefix(': '))}</title></circle>"
        )


def thinned(
    curve: Curve, most: int = MAX_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Images, values and deviations of at most `most` points, means of stretches of like length.

    The deviations are 0 where there are none.
    """
    deviations = np.nan_to_num(curve.deviations or np.zeros(len(curve.values)))
    points = np.array([curve.images, curve.values, deviations], dtype=np.float64)
    if points.shape[1] > most:
        stretches = np.array_split(points, most, axis=1)
        points = np.stack([stretch.mean(axis=1) for stretch in stretches], axis=1)
    return points[0], points[1], points[2]
