"""The pictures of a run: loss curves, the animation of its sample sheets."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from ganvas.files import write_file
from ganvas.images import read_png, write_gif

MAX_FRAMES: Final = 200


def plot_losses(path: Path, title: str, lines: Sequence[Mapping[str, float | None]]) -> None:
    """Draw the losses and D's mean outputs over the images seen, from a run's log lines."""
    # here, because they take half a second and the first step should not wait for them
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    losses, outputs = figure.subplots(2, 1, sharex=True)
    curves = (
        (losses, "D/loss", "D", "tab:blue"),
        (losses, "G/loss", "G", "tab:orange"),
        (outputs, "D/real", "on real images", "tab:green"),
        (outputs, "D/fake", "on fake images", "tab:red"),
    )
    lines = [line for line in lines if line.get("images") is not None]
    images = [line["images"] for line in lines]
    for axes, key, label, colour in curves:
        values = [float("nan") if (v := line.get(key)) is None else v for line in lines]
        axes.plot(images, values, label=label, color=colour, linewidth=1)
    losses.set_title(title)
    losses.set_ylabel("loss")
    outputs.set_ylabel("mean output of D")
    outputs.set_xlabel("real images seen")
    for axes in (losses, outputs):
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_file(path, buffer.getvalue())


def animate(path: Path, sheets: Sequence[Path], milliseconds: int = 150) -> list[Path]:
    """Make a GIF of sample sheets, at most MAX_FRAMES of them evenly chosen; the last stays.

    Returns:
        The sheets that are left out: they cannot be read, or are not of the size of the last one.
    """
    if len(sheets) > MAX_FRAMES:
        last = len(sheets) - 1
        sheets = [sheets[round(i * last / (MAX_FRAMES - 1))] for i in range(MAX_FRAMES)]
    frames = {sheet: frame for sheet in sheets if (frame := _frame(sheet))}
    size = list(frames.values())[-1].size if frames else None
    frames = {sheet: frame for sheet, frame in frames.items() if frame.size == size}
    if frames:
        write_gif(path, list(frames.values()), milliseconds, hold=1500)
    return [sheet for sheet in sheets if sheet not in frames]


def _frame(sheet: Path) -> Image.Image | None:
    try:
        return read_png(sheet)
    except Exception:  # Pillow's readers raise whatever a damaged file makes them raise
        return None
