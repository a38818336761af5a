"""`sample`: images from a trained generator."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from typer import Argument, Option

from ganvas import pretrained
from ganvas.classes import chosen
from ganvas.errors import UsageError
from ganvas.verbs import completion
from ganvas.verbs.imports import Imports, import_given, settings_file, with_components
from ganvas.verbs.signatures import GENERATOR, verb

if TYPE_CHECKING:
    from ganvas.pixels import ImageSet, Pixels

ROW: Final = 40
"""Pixels that a row beside the name of its class is tall at least."""


@verb
def sample(
    what: Annotated[str | Path, Argument(help=GENERATOR, autocompletion=completion.pretrained)],
    *,
    num: Annotated[
        int | None,
        Option(
            help="How many images, of each class where several are asked for.  [default: 25; "
            "10 of each class]"
        ),
    ] = None,
    seed: Annotated[
        int, Option(help="The same seed gives the same images, and the first of more.")
    ] = 0,
    classes: Annotated[
        list[str] | str | int | Sequence[str | int] | None,
        Option(
            "--class",
            metavar="NAME|NUMBER|all",
            help="Images of this class; several with commas, or by repeating it; a row each.",
        ),
    ] = None,
    truncation: Annotated[
        float, Option(help="Below 1: latents nearer to their mean, for more typical images.")
    ] = 1.0,
    grid: Annotated[
        Path | str | None,
        Option(help="PNG of all images in rows, or of a class a row.  [default: samples.png]"),
    ] = None,
    folder: Annotated[
        Path | str | None,
        Option(help="New folder for one PNG an image, in folders of their classes if it has any."),
    ] = None,
    npz: Annotated[
        Path | str | None,
        Option(
            help="NPZ with all images, uint8, as (N, H, W, C), or (N, H, W) if grey, and their "
            "labels."
        ),
    ] = None,
    walk: Annotated[
        Path | str | None,
        Option(help="GIF of a round trip through latent space, or from class to class."),
    ] = None,
    imports: Imports = None,
) -> "Pixels":
    """Make images with a trained generator.

    A generator that was trained with classes draws them at random, each as often as in its training
    data, unless they are asked for. Of several classes each has a row of the same latents. From
    Python images are written only where that is asked for.

    Returns:
        The images, uint8 (num, C, H, W); of several classes (classes * num, C, H, W), one class
        after another.

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
    if num is not None and num < 1:
        raise UsageError(f"--num: found {num}; allowed: 1 or more")
    if not pretrained.located(what).exists():
        raise pretrained.missing(what)
    if folder is not None and Path(folder).exists() and not _is_empty(Path(folder)):
        raise UsageError(f"--folder: '{folder}' is not empty; name a new folder")

    import numpy as np

    from ganvas import images as files
    from ganvas.files import write_file
    from ganvas.generator import load
    from ganvas.pixels import ImageSet

    import_given(imports)
    generator = with_components(settings_file(what), lambda: load(what))
    asked = [] if classes is None else chosen(classes, generator.classes)
    if len(asked) > 1:
        each = num or 10
        rows = [generator.sample(each, seed, label, truncation) for label in asked]
        made = ImageSet(np.concatenate(rows), np.repeat(asked, each), generator.classes)
    elif asked:
        images = generator.sample(num or 25, seed, asked[0], truncation)
        made = ImageSet(images, np.repeat(asked, len(images)), generator.classes)
    else:
        made = generator.labelled(num or 25, seed, truncation)
    if grid is not None:
        _write_grid(Path(grid), made, asked)
    if folder is not None:
        _write_folder(Path(folder), made)
    if npz is not None:
        write_file(Path(npz), files.npz(made))
    if walk is not None:
        frames = generator.walk(max(60, 12 * len(asked)), 5, seed, asked or None, truncation)
        write_file(Path(walk), files.gif_of_walk(frames))
    return made.images


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _write_grid(path: Path, made: "ImageSet", classes: list[int]) -> None:
    """All images in rows; of several classes each in a row of its own, beside its name."""
    from ganvas.images import beside_names, grid, scale_for, sheet_of, write_picture

    images = made.images
    if len(classes) > 1:
        sheet = grid(images, len(classes), len(images) // len(classes))
        scale = max(scale_for(sheet.shape[1]), math.ceil(ROW / images.shape[2]))
        names = [made.classes[label] for label in classes]
        write_picture(path, beside_names(sheet, names, scale))
        return
    write_picture(path, sheet_of(images))


def _write_folder(folder: Path, made: "ImageSet") -> None:
    """A file an image; with labels in a folder for each class, as data sets of one's own have."""
    from ganvas.images import write_png

    digits = len(str(len(made) - 1))
    for i, image in enumerate(made.images):
        parts = [] if made.labels is None else [_folder_of(made.classes, int(made.labels[i]))]
        write_png(folder.joinpath(*parts, f"{i:0{digits}d}.png"), image)


def _folder_of(classes: tuple[str, ...], label: int) -> str:
    """The name of a class, or its number where not all of them can name a folder."""
    if all(re.fullmatch(r"\w[\w .+-]{0,60}\w|\w", name) for name in classes):
        return classes[label]
    return str(label)
