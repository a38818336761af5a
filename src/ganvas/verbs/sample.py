"""`sample`: images from a trained generator."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from ganvas import pretrained
from ganvas.errors import UsageError
from ganvas.verbs import completion
from ganvas.verbs.imports import Imports, import_given, settings_file, with_components
from ganvas.verbs.signatures import GENERATOR, verb

if TYPE_CHECKING:
    from ganvas.pixels import Pixels


@verb
def sample(
    what: Annotated[str | Path, Argument(help=GENERATOR, autocompletion=completion.pretrained)],
    *,
    num: Annotated[int, Option(help="How many images.")] = 25,
    seed: Annotated[
        int, Option(help="The same seed gives the same images, and the first of more.")
    ] = 0,
    grid: Annotated[
        Path | str | None, Option(help="PNG of all images in rows.  [default: samples.png]")
    ] = None,
    folder: Annotated[Path | str | None, Option(help="New folder for one PNG an image.")] = None,
    npz: Annotated[
        Path | str | None,
        Option(help="NPZ with all images, uint8, as (N, H, W, C), or (N, H, W) if grey."),
    ] = None,
    walk: Annotated[
        Path | str | None, Option(help="GIF of a round trip through latent space, 60 frames.")
    ] = None,
    imports: Imports = None,
) -> "Pixels":
    """Make images with a trained generator.

    From Python they are written only where that is asked for.

    Returns:
        The images, uint8 (num, C, H, W).

    Raises:
        UsageError: there is no generator, or an option is wrong.
        RunError: a file cannot be written, or the hub not be reached.
    """
    for option, path, suffix in (
        ("grid", grid, ".png"),
        ("npz", npz, ".npz"),
        ("walk", walk, ".gif"),
    ):
        if path is not None and Path(path).suffix.lower() != suffix:
            raise UsageError(f"--{option}: found '{path}'; allowed: a file name ending in {suffix}")
    if num < 1:
        raise UsageError(f"--num: found {num}; allowed: 1 or more")
    if not pretrained.located(what).exists():
        raise pretrained.missing(what)
    if folder is not None and Path(folder).exists() and not _is_empty(Path(folder)):
        raise UsageError(f"--folder: '{folder}' is not empty; name a new folder")

    from ganvas.generator import load
    from ganvas.images import scale_for, to_pillow, write_gif, write_png

    import_given(imports)
    generator = with_components(settings_file(what), lambda: load(what))
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


def _write_grid(path: Path, images: "Pixels") -> None:
    from ganvas.images import grid, scale_for, write_png

    columns = math.ceil(math.sqrt(len(images)))
    sheet = grid(images, math.ceil(len(images) / columns), columns)
    write_png(path, sheet, scale_for(sheet.shape[1]))


def _write_npz(path: Path, images: "Pixels") -> None:
    import numpy as np

    from ganvas.files import write_file

    buffer = io.BytesIO()
    channels_last = images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)
    np.savez_compressed(buffer, images=channels_last)
    write_file(path, buffer.getvalue())
