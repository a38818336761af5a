"""How results show themselves in a notebook: tables as HTML, curves and sheets as pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ganvas.errors import UsageError, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def html(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    picture: Image.Image | None = None,
) -> str:
    """A heading, a table and a picture; all texts are escaped."""

    def cells(kind: str, values: Sequence[object]) -> str:
        texts = (escape(printable(str(value))) for value in values)
        return "<tr>" + "".join(f"<{kind}>{text}</{kind}>" for text in texts) + "</tr>"

    head = cells("th", columns) if any(columns) else ""
    body = "".join(cells("td", row) for row in rows)
    image = f'<img alt="" src="{_as_url(picture)}">' if picture else ""
    return f"<div><b>{escape(printable(title))}</b><table>{head}{body}</table>{image}</div>"


def picture_at(path: Path, what: str) -> Image.Image:
    """A picture file; UsageError says that there is no `what` if there is none."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except OSError:
        raise UsageError(f"there is no {what}: '{path}' cannot be read") from None


def plotted(draw: Callable[[Figure], None], width: float, height: float) -> Image.Image:
    """What `draw` puts on a figure of so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: they take half a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer).convert("RGB")


def beside(pictures: Sequence[Image.Image], columns: int = 4, gap: int = 8) -> Image.Image:
    """Pictures in rows, on white."""
    width = max(picture.width for picture in pictures) + gap
    height = max(picture.height for picture in pictures) + gap
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (min(columns, len(pictures)) * width, rows * height), "white")
    for i, picture in enumerate(pictures):
        whole.paste(picture.convert("RGB"), (i % columns * width, i // columns * height))
    return whole


def _as_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
