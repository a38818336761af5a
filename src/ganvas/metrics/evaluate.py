"""Measure a generator, or a set of images, against a data set; every number with its protocol."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from ganvas import config
from ganvas.config import Preprocess, Run
from ganvas.config.length import Lengths
from ganvas.data.catalogue import open_dataset
from ganvas.data.prepare import load_images
from ganvas.errors import UsageError
from ganvas.generator import Generator, load
from ganvas.images import grid, scale_for, write_png
from ganvas.metrics import features as extraction
from ganvas.metrics.features import Choice
from ganvas.metrics.measures import (
    IN_INCEPTION,
    MEASURES,
    ON_PIXELS,
    Measured,
    Side,
    drawn,
)
from ganvas.metrics.neighbours import Memory
from ganvas.metrics.progress import watched
from ganvas.metrics.rows import Comparison, Row, most, named, some
from ganvas.pixels import ImageSet, Pixels
from ganvas.protocols import Dataset, Split
from ganvas.registry import closest
from ganvas.rundir import RunFolder

DEFAULT: Final = ("fd", "kd", "prdc", "classes", "memorisation")


def evaluate(
    what: str | Path,
    *,
    data: str | Path | None = None,
    metrics: str | Sequence[str] | None = None,
    num: int = 10_000,
    split: Split = "test",
    seed: int = 0,
    features: Choice = "auto",
    pairs: str | Path | None = None,
    data_root: str | Path | None = None,
    progress: bool = False,
) -> list[Row]:
    """Measure images against a data set; a run folder keeps the rows in its metrics.jsonl.

    Args:
        what: a run folder, a saved generator, an .npz file or a folder of pictures.
        data: a data set's name, a folder of pictures or an .npz file; a run, and the generators
            in its folder, have their own.
        metrics: short names, as "fd,prdc" or a sequence; without them fd, kd, prdc, classes and
            memorisation, and those of them that cannot be measured say why. In Inception's
            features fd, kd and classes are fid, kid and is, by either name.
        num: fakes, and as many reference images; fewer if there are not as many of both.
        split: the reference images' split.
        seed: which latents and which reference images are drawn.
        features: the extractor; auto takes a classifier if there are labels; inception takes a
            quarter of an hour for 10,000 images on two processor cores.
        pairs: PNG of the fakes most like training images, each beside the nearest one; a run
            folder has it as memorisation.png.
        data_root: where data files and Inception's weights are looked for first.
        progress: show on standard error how far features are, if they take more than a moment.

    Raises:
        UsageError: images or options are wrong, or a metric asked for cannot be measured.
        RunError: a data file is nowhere to be found.
    """
    names = _names(metrics, features)
    if num < 2:
        raise UsageError(f"--num: found {num}; allowed: 2 or more")
    if split not in get_args(Split):
        raise UsageError(f"--split: found '{split}'; allowed: test or train")
    check_features(features, "--features")
    if pairs is not None and "memorisation" not in names:
        raise UsageError("--pairs: found without memorisation; add it to --metrics")
    root = Path(data_root) if data_root else None
    folder = _run_folder(Path(what))
    run = config.load(folder.config, to_train=False) if folder.config.is_file() else None
    made = _open(what)
    if data is None and run is None:
        raise UsageError(f"--data: '{what}' does not say what to compare with; name a data set")
    dataset: Dataset = run.data if run and data is None else open_dataset(data or "")
    preprocess = run.preprocess if run else Preprocess()
    train, test = splits(dataset, preprocess, split, root)
    for images in (train, test):
        if images is not None and images.shape != made.shape:
            raise UsageError(
                f"'{what}': found images of {_size(made.shape)}, those of {named(dataset)} have "
                f"{_size(images.shape)}; compare images of one size"
            )

    # so many of each: fakes, reference images, and real ones that stand in for fakes
    available = num if isinstance(made, Generator) else len(made)
    num = min(num, available, most(train, test))
    if num < 2:
        raise UsageError(f"'{what}': found {num} images to compare; at least 2 are needed")
    on_pixels = set(names) <= set(ON_PIXELS)  # then none is needed, let alone trained
    chosen: Choice = "pixels" if on_pixels else features
    extractor = extraction.choose(chosen, dataset, train, test, root)
    if progress:
        extractor = dataclasses.replace(extractor, watch=watched)
    if isinstance(made, Generator):
        fakes, labels = made.sample(num, seed), None
    else:
        chosen_fakes = some(made, drawn(len(made), num, seed, "fakes"))
        fakes = chosen_fakes.images
        labels = _as_numbered(what, chosen_fakes, train) if "1nn-labels" in names else None
    comparison = Comparison(dataset, preprocess, train, test, split, seed, extractor, num)
    side = Side(fakes, extractor, is_real=False, labels=labels)
    picture = Path(pairs) if pairs else folder.path / "memorisation.png" if run else None

    rows = []
    for name in names:
        try:
            row, memory = comparison.measure(name, side)
        except UsageError as error:
            if metrics is not None:
                raise UsageError(f"--metrics {name}: {error}") from None
            row, memory = comparison.row(name, Measured({}, {}, ()), {}, str(error)), None
        if memory is not None and picture is not None:
            _write_pairs(picture, memory, fakes, comparison.bench.train.images)
            row = replace(row, picture=str(picture))
        if isinstance(made, Generator):
            step = _step(folder, run, made) if run else None
            row = replace(row, recipe=made.recipe, images=made.images_seen, step=step)
        rows.append(row)
    if run:
        folder.append_metrics([row.as_json() for row in rows if row.values])
    return rows


def check_features(choice: str, option: str) -> None:
    if choice not in get_args(Choice):
        raise UsageError(f"{option}: found '{choice}'; {closest('', get_args(Choice))}")


# What is compared with what


def _names(metrics: str | Sequence[str] | None, features: Choice) -> list[str]:
    if metrics is None:
        return list(DEFAULT)
    given = metrics.split(",") if isinstance(metrics, str) else metrics
    return list(dict.fromkeys(own_name(name.strip(), features, "--metrics") for name in given))


def own_name(name: str, features: str, option: str) -> str:
    """A metric's name in MEASURES: that of fid is fd; UsageError if there is none in `features`."""
    own = {inception: plain for plain, inception in IN_INCEPTION.items()}
    if name in own and features == "inception":
        return own[name]
    if name in own:
        raise UsageError(
            f"{option}: '{name}' is measured in Inception's features; choose the features "
            f"inception, or take {own[name]}"
        )
    if name not in MEASURES:
        raise UsageError(f"{option}: unknown metric '{name}'; {closest(name, MEASURES)}")
    return name


def _open(what: str | Path) -> Generator | ImageSet:
    path = Path(what)
    is_generator = any((path / part).exists() for part in ("config.json", "config.toml"))
    if path.suffix == ".npz" or (path.is_dir() and not is_generator):
        return load_images(open_dataset(path), Preprocess())
    return load(what)


def splits(
    dataset: Dataset, preprocess: Preprocess, split: Split, root: Path | None
) -> tuple[ImageSet, ImageSet | None]:
    """All training images, and the test images if there are any."""
    whole = dataclasses.replace(preprocess, first=None)
    train = load_images(dataset, whole, "train", root)
    try:
        return train, load_images(dataset, whole, "test", root)
    except UsageError as error:
        if split == "test":
            raise UsageError(f"--split test: {error}; or compare with --split train") from None
        return train, None


def _as_numbered(what: str | Path, made: ImageSet, train: ImageSet) -> NDArray[np.int64] | None:
    """The labels of made images, as the data set numbers its classes; None if either has none.

    Classes go by their names, or by their places from 0 where no name is a number.
    """
    if made.labels is None or train.labels is None:
        return None
    places = {name: i for i, name in enumerate(train.classes)}
    if not any(name.isdecimal() for name in train.classes):
        places |= {str(i): i for i in range(len(train.classes))}
    if unknown := [name for name in made.classes if name not in places]:
        raise UsageError(
            f"'{what}': label '{unknown[0]}' is no class of the data set; allowed: "
            f"{', '.join(places)}"
        )
    return np.array([places[name] for name in made.classes])[made.labels]


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{height}x{width} with {channels} channel{'s' if channels > 1 else ''}"


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


def _write_pairs(path: Path, memory: Memory, fakes: Pixels, train: Pixels) -> None:
    """The fakes most like copies, each left of the training image nearest to it, four in a row."""
    tiles = [tile for pair in memory.pairs for tile in (fakes[pair.fake], train[pair.train])]
    sheet = grid(np.stack(tiles), math.ceil(len(tiles) / 8), 8)
    write_png(path, sheet, scale_for(sheet.shape[1]))
