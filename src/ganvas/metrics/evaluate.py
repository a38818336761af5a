"""Measure a generator, or a set of images, against a data set; every number with its protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas import config
from ganvas.classes import places
from ganvas.config import Run
from ganvas.config.length import Lengths
from ganvas.errors import UsageError
from ganvas.files import best_effort
from ganvas.generator import Generator, folder_of, write_card
from ganvas.images import grid, scale_for, write_png
from ganvas.metrics.compared import Changes, Looks, check_sizes, compared
from ganvas.metrics.extractors import choice
from ganvas.metrics.extractors.countdown import LEARNING, watched
from ganvas.metrics.extractors.extractor import unwatched
from ganvas.metrics.forms import fake_views, uses_extractor
from ganvas.metrics.metric import Metric, Need, Pair
from ganvas.metrics.reference import Reference, most, most_fakes, order, some, splits
from ganvas.metrics.rows import Row
from ganvas.metrics.spec import Spec, specs
from ganvas.pixels import ImageSet, Pixels, fingerprint
from ganvas.pretrained import located
from ganvas.protocols import Split
from ganvas.registry import METRICS, metric_named
from ganvas.rundir import RunFolder

DEFAULT: Final = ("fd", "kd", "prdc", "classes", "memorisation")
LABELLED: Final = "agreement"
"""Beside those, of a generator that takes labels."""


def evaluate(
    what: str | Path,
    *,
    data: str | Path | None = None,
    metrics: str | Sequence[str] | None = None,
    num: int = 10_000,
    split: Split | None = None,
    seed: int = 0,
    features: str = "auto",
    settings: Sequence[str] | Mapping[str, Any] = (),
    image_size: str | int | None = None,
    skip_broken: bool = False,
    pairs: str | Path | None = None,
    data_root: str | Path | None = None,
    progress: bool = False,
) -> list[Row]:
    """Measure images against a data set; a run folder keeps the rows in its metrics.jsonl.

    Args:
        what: a run folder, a saved generator, a pretrained one's name, hf:OWNER/NAME, an .npz file
            or a folder of pictures.
        data: a data set's name, a folder of pictures or an .npz file; a run, and the generators
            in its folder, have their own, and others their recipe's if they were trained on that.
            One without a test split is taken whole, unless it is that of the run in another place.
        metrics: short names, as "fd,prdc" or a sequence, each with its number of images if that
            is not `num`: "fd10k,prdc2k". Without them fd, kd, prdc, classes and memorisation, of a
            generator that takes labels agreement besides, and those of them that cannot be measured
            say why. In Inception's features fd, kd, classes and intra-fd are fid, kid, is and
            intra-fid, by either name.
        num: fakes, and as many reference images; fewer if there are not as many of both.
        split: the reference images' split. Without it, test: the images held out of a set that
            has none; or else, where all were trained on, train: one half of them.
        seed: which latents and which reference images are drawn.
        features: the extractor; auto takes that of the run, or else a classifier if there are
            labels; inception takes a quarter of an hour for 10,000 images on two processor cores.
        settings: settings of metrics, as "metrics.prdc.k=3" strings or as a mapping; a run has its
            own, which these override. Where there is no run also those of `data`, and of
            `preprocess` what brings images to one form.
        image_size: resize images of both sides, but those of a generator, to height x width: 64 or
            "28x20". A run is measured with its own preprocessing, and without this.
        skip_broken: go on without a folder's broken pictures.
        pairs: PNG of the fakes most like training images, each beside the nearest one; a run
            folder has it as memorisation.png.
        data_root: where data files and Inception's weights are looked for first.
        progress: show on standard error how far features are, if they take more than a moment.

    Raises:
        UsageError: images or options are wrong, or a metric asked for cannot be measured.
        RunError: a data file is nowhere to be found.
    """
    choice.check(features, "--features")
    if num < 2:
        raise UsageError(f"--num: found {num}; allowed: 2 or more")
    if split is not None and split not in get_args(Split):
        raise UsageError(f"--split: found '{split}'; allowed: test or train")
    root = Path(data_root) if data_root else None
    place = located(what)
    folder = _run_folder(place)
    run = config.load(folder.config, to_train=False) if folder.config.is_file() else None
    if run and data is None and features == choice.AUTO:
        features = run.evaluate.features  # those of the run's numbers on the way
    asked = specs(DEFAULT if metrics is None else metrics, features, "--metrics")
    if pairs is not None and "memorisation" not in [spec.metric for spec in asked]:
        raise UsageError("--pairs: found without memorisation; add it to --metrics")
    changes = config.as_pairs(settings)
    of_images = [change for change in changes if change[0].startswith(("data.", "preprocess."))]
    looks = Looks(data, image_size, skip_broken, of_images)
    opened = compared(place, run, folder, looks, root)
    made, dataset, preprocess = opened.made, opened.dataset, opened.preprocess
    if metrics is None and isinstance(made, Generator) and made.classes:
        asked.append(Spec(LABELLED))
    components = _components(asked, run, [change for change in changes if change not in of_images])
    train, test = splits(dataset, preprocess, root, test_needed=split == "test")
    split = split or ("train" if test is None else "test")
    check_sizes(what, run, opened, train, test)

    # so many of each: fakes, reference images, and real ones that stand in for fakes
    counted = {}
    for spec in asked:
        more = components[spec.metric].more_fakes
        available = most_fakes(train, test, split) if more else most(train, test)
        available = min(available, len(made)) if isinstance(made, ImageSet) else available
        if available < 2:
            raise UsageError(
                f"'{what}': found {available} images to compare; at least 2 are needed"
            )
        counted[spec.metric, min(spec.num or num, available)] = str(spec)
    counts = {count for _, count in counted}

    # what they are looked at with: no extractor is needed for pixels alone, let alone trained
    needs: set[Need] = {need for metric in components.values() for need in metric.needs}
    device = _device(run)
    extractor = choice.choose(
        features if uses_extractor(needs) else "pixels",
        dataset,
        train,
        test,
        root,
        device=device,
        watch=partial(watched, doing=LEARNING) if progress else unwatched,
    )
    if progress:
        extractor = replace(extractor, watch=watched)
    fakes = _fakes(made, max(counts), seed, device)
    if "labels" in needs:
        fakes = replace(fakes, labels=_as_numbered(what, fakes, train))
    seen = fake_views(fakes, extractor, needs)
    references = {
        count: Reference(dataset, preprocess, train, test, split, seed, extractor, count)
        for count in counts
    }

    picture = Path(pairs) if pairs else folder.path / "memorisation.png" if run else None
    made_by: dict[str, Any] = {}
    if isinstance(made, Generator):
        step = _step(folder, run, made) if run else None
        made_by = {"recipe": made.recipe, "images": made.images_seen, "step": step}
    rows = []
    for (name, count), text in counted.items():
        metric, reference = components[name], references[count]
        try:
            measured = reference.measure(metric, seen.first(reference.num))
            row = reference.row(metric, measured, reference.floor(metric).values)
        except UsageError as error:
            if metrics is not None:
                raise UsageError(f"--metrics {text}: {error}") from None
            rows.append(reference.blank(metric, str(error)))
            continue
        if measured.pairs and picture:
            with nullcontext() if pairs else best_effort("the picture is not kept"):
                _write_pairs(picture, measured.pairs, fakes.images, reference.trained_on)
                row = replace(row, picture=str(picture))
        sha256 = fingerprint(fakes.images[: reference.num])
        rows.append(replace(row, **made_by, fakes_sha256=sha256))
    if run:
        with best_effort("the rows are not kept"):  # a run may lie on a medium that is only read
            folder.append_metrics([row.as_json() for row in rows if row.values])
            if isinstance(made, Generator):
                write_card(made, folder_of(place))
    return rows


def _components(asked: Sequence[Spec], run: Run | None, changes: Changes) -> dict[str, Metric]:
    """The metrics by their short names, with the settings of the run, or those given."""
    for key, _ in changes:
        section, _, rest = key.partition(".")
        metric, _, setting = rest.partition(".")
        if section != "metrics" or not setting:
            raise UsageError(
                f"--set: found '{key}'; allowed: metrics.METRIC.SETTING=VALUE; without a run "
                "also settings of data and preprocess"
            )
        if metric_named(metric) not in [spec.metric for spec in asked]:
            raise UsageError(
                f"--set: found '{key}', and {metric} is not measured; add it to --metrics"
            )
    own = {} if run is None else {name: asdict(metric) for name, metric in run.metrics.items()}
    given = config.metrics(config.override({"metrics": own}, changes)["metrics"])
    return {spec.metric: given.get(spec.metric) or METRICS.get(spec.metric)() for spec in asked}


# What is compared with what


def _device(run: Run | None) -> torch.device:
    """The run's device where this machine has it, else an accelerator, else the processor."""
    if run and run.train.device != "auto":
        try:
            torch.empty(0, device=run.train.device)
            return torch.device(run.train.device)
        except (RuntimeError, AssertionError):
            pass  # the run comes from another machine
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def _fakes(made: Generator | ImageSet, num: int, seed: int, device: torch.device) -> ImageSet:
    """The first `num` images that a seed draws; a generator draws them on the device."""
    if isinstance(made, ImageSet):
        return some(made, order(len(made), seed, "fakes")[:num])
    made.net.to(device)
    return made.labelled(num, seed)


def _as_numbered(what: str | Path, made: ImageSet, train: ImageSet) -> NDArray[np.int64] | None:
    """The labels of made images, as the data set numbers its classes; None if either has none.

    Classes go by their names, or by their places from 0 where no name is a number.
    """
    if made.labels is None or train.labels is None:
        return None
    known = places(train.named_classes.names)
    if unknown := [name for name in made.classes if name not in known]:
        raise UsageError(
            f"'{what}': label '{unknown[0]}' is no class of the data set; allowed: "
            f"{', '.join(known)}"
        )
    return np.array([known[name] for name in made.classes])[made.labels]


def _run_folder(what: Path) -> RunFolder:
    """The run folder that `what` is, or whose generator it is."""
    inside = what.name in ("best", "generator") and not RunFolder(what).config.is_file()
    return RunFolder(what.parent if inside else what)


def _step(folder: RunFolder, run: Run, made: Generator) -> int | None:
    """The step at which the generator was saved, by the images that it had been shown."""
    images = folder.read_environment()["data"].get("images")
    if not isinstance(images, int):
        return None
    lengths = Lengths.of(run, images)
    step = lengths.steps_for(made.images_seen)
    return step if lengths.images_at(step) == made.images_seen else None


def _write_pairs(path: Path, pairs: Sequence[Pair], fakes: Pixels, train: Pixels) -> None:
    """The fakes most like copies, each left of the training image nearest to it, four in a row."""
    tiles = [tile for pair in pairs for tile in (fakes[pair.fake], train[pair.train])]
    sheet = grid(np.stack(tiles), math.ceil(len(tiles) / 8), 8)
    write_png(path, sheet, scale_for(sheet.shape[1]))
