"""`sample`: images from a trained generator."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from ganvas.errors import UsageError
from ganvas.files import write_file
from ganvas.generator import load
from ganvas.images import grid as lay_out
from ganvas.images import scale_for, to_pillow, write_gif, write_png
from ganvas.pixels import Pixels


def sample(
    what: str | Path,
    *,
    num: int = 25,
    seed: int = 0,
    grid: str | Path | None = None,
    folder: str | Path | None = None,
    npz: str | Path | None = None,
    walk: str | Path | None = None,
) -> Pixels:
    """Make images with a trained generator, and write them where asked.

    Args:
        what: a run folder or a saved generator.
        num: how many images.
        seed: the same seed gives the same images, and the first of more.
        grid: PNG of all images in rows.
        folder: an empty or new folder for one PNG an image.
        npz: NPZ with `images`, uint8 (num, H, W, C), or (num, H, W) if grey.
        walk: GIF of a round trip through latent space, 60 frames.

    Returns:
        The images, uint8 (num, C, H, W).

    Raises:
        UsageError: there is no generator, or an option is wrong.
        RunError: a file cannot be written.
    """
    if folder is not None and Path(folder).exists() and not _is_empty(Path(folder)):
        raise UsageError(f"--folder: '{folder}' is not empty; name a new folder")
    generator = load(what)
    made = generator.sample(num, seed)
    if grid is not None:
        _write_grid(Path(grid), made)
    if folder is not None:
        digits = len(str(num - 1))
        for i, image in enumerate(made):
            write_png(Path(folder) / f"{i:0{digits}d}.png", image)
    if npz is not None:
        _write_npz(Path(npz), made)
    if walk is not None:
        frames = generator.walk(seed=seed)
        scale = scale_for(frames.shape[2])
        write_gif(Path(walk), [to_pillow(frame, scale) for frame in frames], 80)
    return made


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _write_grid(path: Path, images: Pixels) -> None:
    columns = math.ceil(math.sqrt(len(images)))
    sheet = lay_out(images, math.ceil(len(images) / columns), columns)
    write_png(path, sheet, scale_for(sheet.shape[1]))


def _write_npz(path: Path, images: Pixels) -> None:
    buffer = io.BytesIO()
    channels_last = images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)
    np.savez_compressed(buffer, images=channels_last)
    write_file(path, buffer.getvalue())
