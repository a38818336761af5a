"""A comparison as text for elsewhere: Markdown, LaTeX, CSV, and a table for a notebook."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import escape

from ganvas.comparison.remarks import passport
from ganvas.comparison.table import Column

if TYPE_CHECKING:
    from ganvas.comparison.compare import Comparison

ARROWS: Final = {"lower": "↓", "higher": "↑", "half": "→ 0.5", None: ""}
"""Where better values lie."""
SPREAD: Final = "Mean ± standard deviation over seeds; the best mean is bold."


class Cell(NamedTuple):
    """A value in a table, and whether it is the best of its column."""

    text: str
    is_best: bool = False


def to_markdown(comparison: Comparison) -> str:
    """The table of metrics, the headline and each metric's protocol, as GitHub shows them."""
    head, rows = _table(comparison)
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [[f"**{cell.text}**" if cell.is_best else cell.text for cell in row] for row in rows]
    table = [f"| {' | '.join(text.replace('|', '&#124;') for text in line)} |" for line in lines]
    notes = [f"- {name}: {protocol}" for name, protocol in _protocols(comparison)]
    return "\n".join([*table, "", f"{comparison.headline} {SPREAD}", "", *notes, ""])


def to_latex(comparison: Comparison) -> str:
    """The table of metrics as a tabular with the rules of booktabs; protocols as comments."""
    head, rows = _table(comparison)
    lines = [f"% {name}: {protocol}" for name, protocol in _protocols(comparison)]
    lines += [
        f"% {comparison.headline} {SPREAD}",
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
    ]
    lines += ["\\toprule", " & ".join(map(_tex, head)) + " \\\\", "\\midrule"]
    for row in rows:
        if row is rows[-1]:
            lines.append("\\midrule")
        cells = [f"\\textbf{{{_tex(c.text)}}}" if c.is_best else _tex(c.text) for c in row]
        lines.append(" & ".join(cells) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def to_csv(comparison: Comparison) -> str:
    """Every number of every run, one a line, under a line of names."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    names = ["group", "run", "recipe", "seed", "state", "column", "metric", "value_name", "which"]
    lines.writerow([*names, "better", "images", "value", "real_images"])
    for column in comparison.columns:
        for group, cell in zip(comparison.groups, column.cells, strict=True):
            for run in group.runs:
                if point := cell.points.get(run.path):
                    about = [group.name, run.name, run.recipe, run.seed, run.state, column.label]
                    about += [column.metric, column.value, column.which, column.better or ""]
                    lines.writerow([*about, point.images, point.value, *column.floor[:1]])
    return text.getvalue()


def to_html(comparison: Comparison) -> str:
    """The headline and the table of metrics, as a notebook shows them."""
    head, rows = _table(comparison)
    titles = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = []
    for row in rows:
        cells = (f"<b>{escape(c.text)}</b>" if c.is_best else escape(c.text) for c in row)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    body = "".join(lines)
    return (
        f"<p>{escape(comparison.headline)}</p>"
        f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    )


def _table(comparison: Comparison) -> tuple[list[str], list[list[Cell]]]:
    """Heads, and a row of each group; the last row is that of real images.

    It has the numbers of last generators; of what was measured of others only, the best.
    """
    known: dict[str, Column] = {}
    for column in comparison.columns:
        if column.is_metric and any(cell.points for cell in column.cells):
            known.setdefault(column.label.removeprefix("best "), column)
    columns = list(known.values())
    head = ["", "seeds", *(f"{column.label} {ARROWS[column.better]}".strip() for column in columns)]
    rows = []
    for i, group in enumerate(comparison.groups):
        num = len(group.counted)
        values = [Cell(column.text(i, num), i in column.winners) for column in columns]
        rows.append([Cell(group.name), Cell(str(num)), *values])
    real = [Cell(column.floor_text) for column in columns]
    return head, [*rows, [Cell("real images"), Cell(""), *real]]


def _protocols(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """The name of each kind of metric column with its protocol in words, once."""
    seen: dict[str, Column] = {}
    for column in comparison.columns:
        if column.is_metric:
            name = f"{column.metric} [{column.mark}]" if column.mark else column.metric
            seen.setdefault(name, column)
    for name, column in seen.items():
        yield name, passport(column.protocol)


_TEX: Final = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "…": r"\dots{}",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}


def _tex(text: str) -> str:
    return re.sub("|".join(map(re.escape, _TEX)), lambda match: _TEX[match[0]], text)
