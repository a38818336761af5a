"""Measure finished and stopped runs, and count their legible tiles; each once."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduction.folder import NUM, Folder

METRICS = ("fd", "kd", "prdc", "classes", "memorisation", "duplicates")
REFEREES = {"mnist-classes": "mnist"}
"""Data sets without test images, and the one whose test images and classifier they take."""
SURE = 0.9
"""The probability over which a tile counts as legible."""
DRAWN = 1_000
"""Images drawn besides the sheet, for a share that is known better."""
GAP = 2
"""Pixels between the tiles of a sheet, before it is enlarged."""

Pixels = NDArray[np.uint8]


def evaluate(folder: Folder, nice: int, deadline: float = math.inf) -> bool:
    """Measure last and best of a run and count tiles, unless that is done.

    False if something was left to do at `deadline` (of time.monotonic).
    """
    for which, images in folder.generators().items():
        missing = [name for name in METRICS if name not in folder.measured(images)]
        if missing and time.monotonic() >= deadline:
            return False
        if missing:
            what = folder.path if which == "last" else folder.path / "best"
            print(f"{folder.planned.name}: {', '.join(missing)} of the {which} one", flush=True)
            _ganvas(
                *("evaluate", str(what), "--metrics", ",".join(missing), "--num", str(NUM)),
                *data_option(folder),
                nice=nice,
            )
            folder.__dict__.pop("metrics", None)  # it was read before
    count_tiles(folder, nice)
    return True


def data_option(folder: Folder) -> list[str]:
    data = folder.config["data"]["name"]
    return ["--data", REFEREES[data]] if data in REFEREES else []


def count_tiles(folder: Folder, nice: int) -> None:
    """Write legible.json: how many tiles of the sheets the referee reads, and of 1,000 images."""
    known = folder.note("legible.json")
    images = folder.generators().get("last")
    sheets = folder.shown_sheets()
    if known.get("images") == images and set(known.get("sheets", {})) == set(map(str, sheets)):
        return
    data = folder.config["data"]["name"]
    referee = Referee(REFEREES.get(data, data))
    counted = {str(step): referee.count(tiles(folder, path)) for step, path in sheets.items()}
    found: dict[str, Any] = {
        "referee": referee.name,
        "probability_over": SURE,
        "images": images,
        "sheets": counted,
        "reals": referee.count(tiles(folder, folder.path / "reals.png")),
    }
    if images is not None:
        with tempfile.TemporaryDirectory() as temporary:
            npz = Path(temporary) / "drawn.npz"
            _ganvas(
                *("sample", str(folder.path), "--num", str(DRAWN), "--npz", str(npz)), nice=nice
            )
            drawn = np.load(npz)["images"]
        found["drawn"] = referee.count(_channels_first(drawn))
    (folder.path / "legible.json").write_text(json.dumps(found, indent=1) + "\n")


class Referee:
    """The classifier that comes with ganvas for a data set."""

    def __init__(self, data: str) -> None:
        # Here alone, as everything else reads files and runs commands.
        from ganvas.data.catalogue import open_dataset
        from ganvas.metrics.extractors import choice
        from ganvas.pixels import ImageSet

        nothing = ImageSet(np.zeros((2, 1, 28, 28), np.uint8))  # a bundled one needs no images
        self._extractor = choice.choose("classifier", open_dataset(data), nothing, None)
        self.name = self._extractor.name

    def count(self, images: Pixels) -> dict[str, Any]:
        """How many of uint8 images (N, C, H, W) it is sure of, and of which classes."""
        _, probabilities = self._extractor(images)
        assert probabilities is not None
        sure = probabilities.max(axis=1) > SURE
        return {
            "tiles": len(images),
            "legible": int(sure.sum()),
            "classes": np.bincount(
                probabilities.argmax(axis=1)[sure], minlength=probabilities.shape[1]
            ).tolist(),
        }


def tiles(folder: Folder, sheet: Path) -> Pixels:
    """The images of a sheet, uint8 (N, C, H, W), as they were before it was enlarged."""
    rows, columns = folder.config["output"]["grid"]
    _, height, width = folder.environment["data"]["shape"]
    enlarged = _channels_first(np.asarray(Image.open(sheet))[None])[0]
    scale = enlarged.shape[1] // (rows * (height + GAP) + GAP)
    pixels = enlarged[:, ::scale, ::scale]
    found = []
    for i in range(rows * columns):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        found.append(pixels[:, top : top + height, left : left + width])
    return np.stack(found)


def _channels_first(images: Pixels) -> Pixels:
    return images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)


def _ganvas(*words: str, nice: int) -> None:
    """Run a command of ganvas; what it prints is shown only if it fails."""
    done = subprocess.run(
        ["nice", "-n", str(nice), sys.executable, "-m", "ganvas", *words],
        capture_output=True,
        text=True,
        env={"OMP_NUM_THREADS": "1"} | os.environ,
    )
    if done.returncode:
        raise RuntimeError(f"ganvas {' '.join(words)}: {done.stderr.strip()}")
