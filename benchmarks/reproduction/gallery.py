"""Pictures and pages from pretrained generators and finished runs: gallery, systems' pages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduction.folder import Folder
from reproduction.report import single_steps, spans

VERDICTS: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("verdicts.toml").read_text(encoding="utf-8")
)
PAGES = {
    "cs231n": "cs231n.md",
    "modelzoo": "modelzoo.md",
    "mnist-classes": "mnist-classes.md",
    "firstgan": "firstgan.md",
    "genzoo": "genzoo.md",
}
"""Systems by what their recipes' names begin with, and their pages."""
BEGIN, END = "<!-- made by `just gallery` -->", "<!-- up to here -->"
SHEET = 5, 8
"""Rows and columns of a sheet."""
BLOCK = 4
"""Rows and columns of a generator in the strip."""
TILE = 42
"""Pixels a side of a tile in the strip."""
STILL, LAST = 1_000, 3_000
"""Milliseconds that a sheet of an animation is shown, and the last one."""

Pixels = NDArray[np.uint8]


def gallery(folders: Sequence[Folder], docs: Path) -> Iterator[str]:
    """Write pictures, docs/gallery.md and our part of docs/systems/*.md; yields what was done."""
    from ganvas import pretrained
    from ganvas.generator import card_of, load
    from ganvas.images import grid, scale_for, write_png

    images = docs / "images" / "gallery"
    images.mkdir(parents=True, exist_ok=True)
    parts, blocks = [], []
    order = list(dict.fromkeys(folder.planned.recipe for folder in folders))
    for name in sorted(pretrained.names(), key=lambda name: _place(order, name)):
        generator = load(name)
        drawn = generator.sample(SHEET[0] * SHEET[1])
        sheet = grid(drawn, *SHEET)
        write_png(images / f"{name}.png", sheet, scale_for(sheet.shape[1]))
        blocks.append(_block(drawn))
        run = next((f for f in folders if f.planned.recipe == name and _shown(f)), None)
        gif = _animation(run, images / f"{name}.gif") if run else images / f"{name}.gif"
        parts.append(_entry(name, card_of(generator, pretrained.home(name)), gif))
        yield f"{name}: sheet{', animation' if gif.is_file() else ''}"
    write_png(docs / "images" / "strip.png", _strip(blocks), 1)
    (docs / "gallery.md").write_text(_page(parts, order), encoding="utf-8")
    for system, page in PAGES.items():
        ended = [
            folder
            for folder in folders
            if folder.planned.recipe.startswith(system) and folder.is_finished
        ]
        if ended and _fill(docs / "systems" / page, "\n".join(_ours(ended))):
            yield f"docs/systems/{page}: {', '.join(folder.planned.name for folder in ended)}"


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _shown(folder: Folder) -> bool:
    """Whether a run is the one that the generator of its recipe's name is from."""
    planned = folder.planned
    return planned.seed == 0 and not planned.epochs and folder.is_finished


# Pictures


def _animation(folder: Folder, path: Path) -> Path:
    """A GIF of the sheets at the published moments, in which the same latents develop."""
    sheets = dict(sorted(folder.shown_sheets().items()))
    first, *others = (Image.open(sheet) for sheet in sheets.values())
    first.save(
        path,
        save_all=True,
        append_images=others,
        duration=[STILL] * len(others) + [LAST],
        loop=0,
        comment=", ".join(f"{step:,}" for step in sheets),  # for the page, where the run is not
    )
    return path


def _block(drawn: Pixels) -> Pixels:
    """The first images, RGB, all of one size: (3, H, W)."""
    tiles = []
    for image in drawn[: BLOCK * BLOCK]:
        channels_last = np.moveaxis(np.repeat(image, 3 // len(image), axis=0), 0, -1)
        small = Image.fromarray(channels_last).resize((TILE, TILE), Image.Resampling.LANCZOS)
        tiles.append(np.moveaxis(np.asarray(small), -1, 0))
    rows = [np.concatenate(tiles[i : i + BLOCK], axis=2) for i in range(0, len(tiles), BLOCK)]
    return np.concatenate(rows, axis=1)


def _strip(blocks: Sequence[Pixels]) -> Pixels:
    gap = np.full((3, blocks[0].shape[1], 6), 255, np.uint8)
    parts = [part for block in blocks for part in (gap, block)][1:]
    return np.concatenate(parts, axis=2)


# The gallery page


def _page(parts: Sequence[str], order: Sequence[str]) -> str:
    from ganvas import pretrained

    waiting = [name for name in order if name not in pretrained.names()]
    text = (
        "# Gallery\n\n"
        "The generators that come with ganvas, each trained at the published length with seed 0 "
        "and taken as it was at the end, not at its best. The sheets are the first "
        f"{SHEET[0] * SHEET[1]} images of seed 0, none left out. The animations show the same "
        "latents at the moments that the published documents show.\n\n"
        "```bash\nganvas list pretrained\nganvas sample cs231n-dcgan\n"
        "ganvas show pretrained.cs231n-dcgan\n```\n\n"
        "All figures are in `benchmarks/results/reproduction.md`, all pictures made by "
        "`just gallery`.\n\n" + "\n".join(parts)
    )
    if waiting:
        text += (
            "\n## Not yet\n\nOf these recipes no run has come to the published length so far, so "
            f"that no generator comes along: {', '.join(f'`{name}`' for name in waiting)}. "
            "`ganvas train NAME` makes one.\n"
        )
    return text


def _entry(name: str, card: Any, gif: Path) -> str:
    from ganvas.card import number

    row = next(row for row in card.rows if str(row["metric"]).startswith("fd"))
    low, high = row["intervals"]["distance"]
    facts = (
        f"`{card.data}`, {card.length}; {row['metric']} {number(row['values']['distance'])} "
        f"({number(low)} to {number(high)}), real images {number(row['floor']['distance'])}; "
        f"{card.weights.partition(':')[0]}."
    )
    text = f"## {name}\n\n{facts}\n\n![{name}: 40 images of seed 0](images/gallery/{name}.png)\n"
    if gif.is_file():
        with Image.open(gif) as opened:
            steps = opened.info["comment"].decode()
        text += f"\n![{name}: the same latents after {steps} steps](images/gallery/{name}.gif)\n"
        text += f"*After {steps} steps.*\n"
    if card.notes:
        text += "\n" + "\n".join(f"- {note}" for note in card.notes) + "\n"
    return text + _verdict(name)


def _verdict(name: str) -> str:
    found = VERDICTS.get(name)
    return f"- Verdict: **{found['verdict']}**: {found['why']}.\n" if found else ""


# The systems' pages


def _ours(folders: Sequence[Folder]) -> Iterator[str]:
    """Losses beside the published ones and verdicts, of runs that have ended."""
    yield "\n## Ours\n"
    yield f"Runs that have ended: {', '.join(f'`{folder.planned.name}`' for folder in folders)}.\n"
    if any("losses" in folder.planned.published for folder in folders):
        yield from single_steps(folders)
    if any("spans" in folder.planned.published for folder in folders):
        yield from spans(folders)
    yield ""
    for recipe in dict.fromkeys(folder.planned.recipe for folder in folders):
        if found := VERDICTS.get(recipe):
            yield f"- `{recipe}`: **{found['verdict']}**: {found['why']}."
    yield (
        "\nDistances and legible tiles: `benchmarks/results/reproduction.md`; "
        "pictures: [gallery](../gallery.md).\n"
    )


def _fill(page: Path, text: str) -> bool:
    """Put `text` between the marks of a page; False if it has none."""
    before = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(before):
        return False
    page.write_text(pattern.sub(lambda _: f"{BEGIN}{text}{END}", before), encoding="utf-8")
    return True
