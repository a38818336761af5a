"""The table for a README, a paper, a spreadsheet and a notebook."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import ganvas
from ganvas.comparison.compare import Comparison
from ganvas.comparison.formats import to_csv, to_latex, to_markdown

Measure = Callable[..., None]


@pytest.fixture
def found(runs: Path, measure: Measure) -> Comparison:
    for seed, value in enumerate((1.0, 2.0, 6.0)):
        measure(runs / f"bce-{seed}", value + 9, images=96)
        measure(runs / f"bce-{seed}", value)
        measure(runs / f"ls-{seed}", value + 2)
    measure(runs / "ls-0", 0, metric="a|b_c1k", values={"x%": 0.5}, settings={"new": {}}, floor={})
    return ganvas.compare(runs)


def test_markdown_is_a_table_with_the_best_in_bold(found: Comparison) -> None:
    lines = to_markdown(found).splitlines()
    assert lines[:5] == [
        "|  | seeds | fd1k ↓ | a&#124;b_c1k x% |",
        "| --- | ---: | ---: | ---: |",
        "| tiny loss.name=non-saturating | 3 | **3.0 ± 2.6** |  |",
        "| tiny loss.name=least-squares | 3 | 5.0 ± 2.6 | 0.5 (1 of 3) |",
        "| real images |  | 0.1 |  |",
    ]
    assert lines[6].startswith("No winner: ") and "the best mean is bold" in lines[6]
    assert lines[8] == (
        "- fd1k: 1,000 fakes, 1,000 reference images, test images, of mnist, evaluation seed 0, "
        f"features classifier-mnist, reference images {'ab' * 6}, extractor {'cd' * 6}"
    )


def test_latex_escapes_what_it_must(found: Comparison) -> None:
    lines = to_latex(found).splitlines()
    begin = lines.index(r"\begin{tabular}{lrrr}")
    assert all(line.startswith("% ") for line in lines[:begin])
    assert lines[begin + 1 :] == [
        r"\toprule",
        r" & seeds & fd1k $\downarrow$ & a|b\_c1k x\% \\",
        r"\midrule",
        r"tiny loss.name=non-saturating & 3 & \textbf{3.0 $\pm$ 2.6} &  \\",
        r"tiny loss.name=least-squares & 3 & 5.0 $\pm$ 2.6 & 0.5 (1 of 3) \\",
        r"\midrule",
        r"real images &  & 0.1 &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_csv_has_every_number_of_every_run(found: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    fd = [row for row in rows if row["column"] == "fd1k"]
    assert [(row["seed"], float(row["value"])) for row in fd] == [
        *(("0", 1.0), ("1", 2.0), ("2", 6.0)),
        *(("0", 3.0), ("1", 4.0), ("2", 8.0)),
    ]
    assert (fd[0]["run"], fd[0]["state"]) == ("runs/bce-0", "finished")
    assert (fd[0]["better"], fd[0]["images"], fd[0]["real_images"]) == ("lower", "192", "0.1")
    assert {row["metric"] for row in rows} == {
        *("images", "seconds", "images/s", "loss", "fd1k", "a|b_c1k")
    }
    assert all(set(row) == set(rows[0]) and None not in row for row in rows)


def test_files_are_written_where_they_are_asked_for(runs: Path, found: Comparison) -> None:
    again = ganvas.compare(runs, markdown="out/a.md", latex="out/a.tex", csv="out/a.csv")
    assert Path("out/a.md").read_text(encoding="utf-8") == to_markdown(again)
    assert Path("out/a.tex").read_text(encoding="utf-8") == to_latex(again)
    assert Path("out/a.csv").read_text(encoding="utf-8") == to_csv(again)
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.csv", "a.md", "a.tex"]


def test_a_notebook_shows_the_table(found: Comparison) -> None:
    text = found._repr_html_()
    assert "<b>3.0 ± 2.6</b>" in text and "<td>5.0 ± 2.6</td>" in text
    assert re.match(r"<p>No winner: .*</p><table>", text)


def test_what_was_measured_of_the_best_generator_only_is_there_as_such(
    runs: Path, measure: Measure
) -> None:
    measure(runs / "bce-0", 2.0, images=96)
    assert "| best fd1k ↓ |" in to_markdown(ganvas.compare(runs / "bce-0"))
