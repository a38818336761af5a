"""Small plots: means with bands, numbers under the pointer, the page's own colours."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from ganvas.comparison.panels import MAX_POINTS, Curve, mean_curve, panel, style_of, thinned

SVG = "{http://www.w3.org/2000/svg}"


def curve(images: list[float], values: list[float]) -> Curve:
    return Curve(images, values, style_of(0))


def test_long_curves_are_drawn_by_means_of_stretches() -> None:
    images, values, _ = thinned(curve(list(range(1000)), [float(i % 4) for i in range(1000)]))
    assert len(images) == len(values) == MAX_POINTS
    assert set(values) == {1.5}  # (0 + 1 + 2 + 3) / 4
    assert (images[0], images[-1]) == (1.5, 997.5)
    images, values, deviations = thinned(curve([1, 2], [3, 4]))
    assert (list(images), list(values), list(deviations)) == ([1, 2], [3, 4], [0, 0])


def test_the_mean_of_runs_has_their_deviation() -> None:
    found = mean_curve([curve([10, 20], [1, 5]), curve([10, 20], [3, 5])], "two")
    assert (found.images, found.values, found.name) == ([10, 20], [2, 5], "two")
    assert found.deviations == [pytest.approx(2**0.5), 0]


def test_runs_at_other_counts_lie_on_lines_between_theirs() -> None:
    found = mean_curve([curve([0, 10], [0, 10]), curve([0, 5, 20], [0, 9, 9])], "two")
    assert found.images == [0, 5, 10, 20]
    assert found.values == [0, 7, 9.5, 9]  # (5 + 9) / 2, (10 + 9) / 2, and one run alone
    assert found.deviations[1] == pytest.approx(8**0.5)
    assert math.isnan(found.deviations[3])


def test_a_lone_run_has_no_band() -> None:
    found = mean_curve([curve([1, 2], [3, 4])], "one")
    assert (found.values, found.deviations, found.name) == ([3, 4], (), "one")


def test_a_panel_is_one_svg_in_the_pages_colour_of_text() -> None:
    svg = panel("p", [Curve([1, 2, 3], [1, 2, 4], style_of(10))], [0.5])
    tree = ElementTree.fromstring(svg)
    assert tree.tag.endswith("svg")
    assert "currentColor" in svg and "#010203" not in svg
    assert svg.count(style_of(0).colour) >= 1 and "stroke-dasharray" in svg
    assert "http://" not in re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)


def test_points_say_their_numbers_where_they_are() -> None:
    two = mean_curve([curve([100, 1000], [1, 5]), curve([100, 1000], [3, 5])], "<A> & B")
    tree = ElementTree.fromstring(panel("p", [two]))
    circles = tree.findall(f"{SVG}circle")
    assert [circle.findtext(f"{SVG}title") for circle in circles] == [
        "<A> & B: 2 ± 1.414 at 100 images",
        "<A> & B: 5 at 1,000 images",
    ]
    (line,) = (
        path
        for path in tree.iter(f"{SVG}path")
        if f"stroke: {style_of(0).colour}" in path.get("style", "")
        and "stroke-linecap" in path.get("style", "")
    )
    drawn = re.findall(r"[ML] ([\d.]+) ([\d.]+)", line.get("d", ""))
    for (x, y), circle in zip(drawn, circles, strict=True):
        assert float(circle.get("cx", "")) == pytest.approx(float(x), abs=0.1)
        assert float(circle.get("cy", "")) == pytest.approx(float(y), abs=0.1)


def test_forty_groups_have_forty_styles() -> None:
    assert len({(style.colour, style.dashes) for style in map(style_of, range(40))}) == 40
