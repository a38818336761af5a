"""`data list`, `data show`, `data fetch`, `data inspect`: what there is to train on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from ganvas.verbs import completion
from ganvas.verbs.imports import Imports, import_given
from ganvas.verbs.signatures import DataRoot, verb

if TYPE_CHECKING:
    from ganvas.data.catalogue import Fetched, Listing
    from ganvas.data.inspection import Inspection


@verb
def list_datasets(data_root: DataRoot = None, imports: Imports = None) -> "list[Listing]":
    """What is there, where, and whether it is the published files.

    Raises:
        UsageError: `data_root` or GANVAS_DATA is no folder.
    """
    from ganvas.data import catalogue

    import_given(imports)
    return catalogue.list_datasets(_path(data_root))


@verb
def show_dataset(
    name: Annotated[str, Argument(help="A data set.", autocompletion=completion.data_sets)],
    *,
    data_root: DataRoot = None,
    imports: Imports = None,
) -> dict[str, Any]:
    """A data set: its images, its files and where they are, its settings, the recipes for it.

    Raises:
        UsageError: no such data set; `data_root` or GANVAS_DATA is no folder.
    """
    from ganvas.data import catalogue

    import_given(imports)
    return catalogue.show(name, _path(data_root))


@verb
def fetch(
    name: Annotated[
        str,
        Argument(
            help="A data set, or inception for the weights of that net.",
            autocompletion=completion.data_sets,
        ),
    ],
    *,
    data_root: DataRoot = None,
) -> "Fetched":
    """Download a data set's files, checked by SHA-256, unless they are there already.

    Raises:
        UsageError: no such data set, or a file that was found is not the published one.
        RunError: a file is nowhere, and no mirror answers.
    """
    from ganvas.data import catalogue

    return catalogue.fetch(name, _path(data_root))


@verb
def inspect(
    what: Annotated[
        str | Path,
        Argument(
            help="Data set, folder of pictures, or .npz file.",
            autocompletion=completion.data_sets,
        ),
    ],
    *,
    sheet: Annotated[
        Path | str | None,
        Option(help="PNG with samples of each class.  [default: inspect.png]"),
    ] = None,
    image_size: Annotated[
        str | int | None, Option(help="Look at the images resized: 64 or 28x20.")
    ] = None,
    data_root: DataRoot = None,
    imports: Imports = None,
) -> "Inspection":
    """Count, sizes, channels, classes, broken files, exact duplicates, and a sheet of samples.

    Raises:
        UsageError: no such data set, a corrupt file, no images.
        RunError: a file is nowhere to be found, or the sheet cannot be written.
    """
    from ganvas import config
    from ganvas.data.names import refuse_early

    import_given(imports)
    refuse_early(what)

    from ganvas.data import inspection
    from ganvas.images import scale_for, write_png

    preprocess = None  # the images as they are
    if image_size is not None:
        preprocess = config.component("preprocess", {"image_size": image_size})
    found = inspection.inspect(what, _path(data_root), preprocess)
    if sheet is not None:
        write_png(Path(sheet), found.sheet, scale_for(found.sheet.shape[1]))
    return found


@verb
def clean() -> int:
    """Empty the caches: data that was fetched or drawn, and what was computed of real images.

    Returns:
        Bytes that this freed.

    Raises:
        RunError: it cannot be removed.
    """
    from ganvas.data import download
    from ganvas.metrics import cache

    return download.clean() + cache.clear()


def _path(folder: str | Path | None) -> Path | None:
    return Path(folder) if folder else None
