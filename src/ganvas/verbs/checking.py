"""What --dry-run looks at: all that a run refuses before its first step; nothing is written."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.errors import UsageError

if TYPE_CHECKING:
    from ganvas.config import Run
    from ganvas.pixels import ImageSet


def check(
    run: "Run",
    data_root: Path | None,
    outdir: Path | None,
    begin_with: str | Path | None = None,
    data: "ImageSet | None" = None,
) -> list[str]:
    """Remarks on a run that would begin, with the weights of another or without, a line each.

    Published data sets are not read, only their files are checked; what is missing would be
    fetched, and is a remark. `data` are the training images, if they have been loaded already.

    Raises:
        UsageError, RunError: it would not begin.
    """
    import torch

    from ganvas import config
    from ganvas.data.prepare import load_images
    from ganvas.protocols import build_discriminator, build_generator, takes_labels
    from ganvas.training.compute.device import device_of
    from ganvas.training.compute.graph import check_device
    from ganvas.training.plan import make_plan
    from ganvas.training.session import check_last_batch
    from ganvas.training.starting import source_of
    from ganvas.verbs.show import size_of_data

    @cache
    def images() -> "ImageSet":
        return data or load_images(run.data, run.preprocess, "train", data_root)

    check_device(run, device_of(run.train.device))
    if run.data.known is None or takes_labels(run.model):
        num_images, shape, num_classes = len(images()), images().shape, images().num_classes
    else:
        (num_images, shape), num_classes = size_of_data(run, data_root), 0
    lengths = config.Lengths.of(run, num_images)
    told = num_classes if takes_labels(run.model) else 0
    with torch.device("meta"):  # shapes only
        nets = (
            build_generator(run.model, shape, run.latent.dims, told),
            build_discriminator(run.model, shape, told),
        )
    check_last_batch(run, lengths, nets)
    missing = list(_missing(run, data_root))
    if run.evaluate.metrics and run.evaluate != config.Evaluate() and not missing:
        make_plan(run, images(), data_root, learn=False)  # which trains no net
    if outdir is not None:
        _check_outdir(outdir)
    if begin_with is not None:
        source_of(begin_with, run.model)
    return [*missing, *config.ignored(run)]


def _check_outdir(outdir: Path) -> None:
    """A new run takes a folder that it can make, and in which there is none."""
    from ganvas.rundir import RunFolder

    if RunFolder(outdir).config.exists():
        raise UsageError(
            f"--outdir: '{outdir}' holds a run already; go on with it "
            f"(ganvas train --resume {outdir}) or name another folder"
        )
    for above in (outdir, *outdir.parents):
        if above.exists() and not above.is_dir():
            raise UsageError(f"--outdir: found '{outdir}', and '{above}' is a file")


def _missing(run: "Run", root: Path | None) -> Iterator[str]:
    """A remark if files of the run's data set would be fetched; UsageError if they are damaged."""
    from ganvas.data.catalogue import show
    from ganvas.data.names import GIVEN_BY_PATH
    from ganvas.registry import DATASETS

    name = DATASETS.name_of(run.data)
    if name in GIVEN_BY_PATH:
        return
    found = show(name, root)
    if found["corrupt"]:
        raise UsageError(f"'{found['corrupt'][0]}' is not the published file; remove or replace it")
    if found["missing"]:
        yield (
            f"{name} is not all there ({', '.join(found['missing'])}); a run would fetch it, and "
            f"so does: ganvas data fetch {name}"
        )
