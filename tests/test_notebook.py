"""Results in a notebook: short reprs, HTML that is escaped, pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ganvas
from ganvas.notebook import beside, html, picture_at


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, train_tiny: Callable[..., Any]) -> Any:
    folder = tmp_path_factory.mktemp("notebook") / "run"
    return train_tiny(folder, **{"evaluate.metrics": "fd20,prdc20"})


def test_a_table_is_escaped() -> None:
    found = html("<b>\x1b", ["a&b"], [["<script>"]])
    assert "<script>" not in found and "&lt;script&gt;" in found
    assert "a&amp;b" in found and "&lt;b&gt;\\x1b" in found


def test_pictures_beside_each_other() -> None:
    red, blue = Image.new("RGB", (10, 6), "red"), Image.new("L", (4, 8), 255)
    whole = beside([red, blue, red], columns=2, gap=2)
    assert whole.size == (24, 20)
    assert whole.getpixel((0, 0)) == (255, 0, 0) == whole.getpixel((0, 10))


def test_a_missing_picture_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ganvas.UsageError, match="^there is no sheet: .* cannot be read$"):
        picture_at(tmp_path / "x.png", "sheet")


def test_a_trained_run(trained: Any) -> None:
    assert repr(trained).startswith(
        f"Trained('{trained.folder}', finished after 12 steps, 192 images, "
    )
    assert f"fd20 distance {trained.last[0].values['distance']:.3g}" in repr(trained)
    page = trained._repr_html_()
    assert "192" in page and "data:image/png;base64," in page
    assert trained.plot().size == (800, 600)
    with Image.open(sorted(trained.folder.glob("samples/*.png"))[-1]) as newest:
        assert trained.sheet().tobytes() == newest.tobytes()


def test_a_run_folder_that_was_emptied(trained: Any, tmp_path: Path) -> None:
    import dataclasses

    gone = dataclasses.replace(trained, folder=tmp_path / "gone")
    assert "gone" in repr(gone) and "<table>" in gone._repr_html_()
    for look in (gone.plot, gone.sheet):
        with pytest.raises(ganvas.UsageError, match="^there is no "):
            look()


def test_rows(trained: Any) -> None:
    fd, prdc = trained.last
    assert repr(fd).startswith("Row(fd20 distance ") and len(repr(fd)) < 200
    assert "real images" in repr(fd)
    for key in ("precision", "recall", "density", "coverage"):
        assert key in repr(prdc) and f"<td>{key}</td>" in prdc._repr_html_()
    assert prdc.plot().width > fd.plot().width
    with pytest.raises(ganvas.UsageError, match="^there is no picture of fd20"):
        fd.sheet()


def test_a_row_that_was_not_measured_says_why(trained: Any) -> None:
    import dataclasses

    row = dataclasses.replace(trained.last[0], values={}, intervals={}, reason="no labels")
    assert "fd20 not measured: no labels" in repr(row)
    assert "no labels" in row._repr_html_()
    assert row.plot().size[0] > 0


def test_a_comparison(trained: Any, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "runs" / "b")
    found = ganvas.compare([trained.folder, tmp_path / "runs"])
    assert repr(found).startswith("<Comparison of 2 runs in 1 groups: ") and len(repr(found)) < 300
    assert "<th>seeds</th>" in found._repr_html_() and "fd20" in found._repr_html_()
    assert found.plot().width > 500
    one = ganvas.compare(trained.folder)
    assert found.sheet().width == 2 * one.sheet().width


def test_an_inspection() -> None:
    found = ganvas.data.inspect("digits")
    assert repr(found) == "Inspection('digits', 1,498 images of 28x28, 10 classes)"
    page = found._repr_html_()
    assert "0: 141" in page and found.suggestion.command in page and "data:image/png" in page
    assert found.plot().size[1] == 300
