"""Measure a generator, or a set of images, against a data set; every number with its protocol."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from ganvas import config
from ganvas.config import Preprocess
from ganvas.data.catalogue import open_dataset
from ganvas.data.prepare import fingerprint, load_images
from ganvas.errors import UsageError
from ganvas.files import write_file
from ganvas.images import ImageSet, Pixels, grid, scale_for, write_png
from ganvas.metrics import features as extraction
from ganvas.metrics.features import Choice, Extractor
from ganvas.metrics.measures import MEASURES, ON_PIXELS, SIDE, Bench, Measured, Side, drawn
from ganvas.metrics.measures import floor as floor_of
from ganvas.metrics.neighbours import Memory
from ganvas.protocols import Dataset, Split
from ganvas.registry import DATASETS, METRICS, closest
from ganvas.sampling import Generator, load
from ganvas.training.rundir import RunFolder

DEFAULT: Final = ("fd", "kd", "prdc", "classes", "memorisation")


@dataclass(frozen=True)
class Row:
    """A metric's numbers and how they were measured."""

    metric: str
    """Its short name and the number of images: fd10k."""
    values: dict[str, float]
    """Empty if it could not be measured."""
    intervals: dict[str, tuple[float, float]]
    """95 % intervals, of those values that have one."""
    floor: dict[str, float]
    """The same, with real images of the other split in place of the fakes."""
    reason: str
    """Why it could not be measured; empty if it was."""
    settings: dict[str, dict[str, Any]]
    """The settings of the components that compute it, by their names."""
    num_fake: int
    num_reference: int
    data: str
    split: str
    fingerprint: str
    """SHA-256 of the reference images."""
    extractor: str
    extractor_sha256: str
    extractor_accuracy: float | None
    """A classifier's, on images that it was not trained on."""
    note: str
    """What a reader should know of the extractor."""
    resize: str
    """How images were resized on the way, with the filter."""
    seed: int
    recipe: str
    images: int | None
    """Real images that the generator was shown in training."""
    step: int | None
    """Steps after which the generator was saved."""
    picture: str
    """The picture that goes with the numbers, if there is one."""

    def as_json(self) -> dict[str, Any]:
        """The row for JSON: what is not finite becomes null."""
        return {key: _finite(value) for key, value in dataclasses.asdict(self).items()}


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
) -> list[Row]:
    """Measure images against a data set; a run folder keeps the rows in its metrics.jsonl.

    Args:
        what: a run folder, a saved generator, an .npz file or a folder of pictures.
        data: a data set's name, a folder of pictures or an .npz file; a run has its own.
        metrics: short names, as "fd,prdc" or a sequence; without them fd, kd, prdc, classes and
            memorisation, and those of them that cannot be measured say why.
        num: fakes, and as many reference images; fewer if there are not as many of both.
        split: the reference images' split.
        seed: which latents and which reference images are drawn.
        features: the extractor; auto takes a classifier if there are labels.
        pairs: PNG of the fakes most like training images, each beside the nearest one; a run
            folder has it as memorisation.png.
        data_root: where data files are looked for first.

    Raises:
        UsageError: images or options are wrong, or a metric asked for cannot be measured.
        RunError: a data file is nowhere to be found.
    """
    names = _names(metrics)
    if num < 2:
        raise UsageError(f"--num: found {num}; allowed: 2 or more")
    if split not in get_args(Split):
        raise UsageError(f"--split: found '{split}'; allowed: test or train")
    if features not in get_args(Choice):
        raise UsageError(f"--features: found '{features}'; {closest('', get_args(Choice))}")
    if pairs is not None and "memorisation" not in names:
        raise UsageError("--pairs: found without memorisation; add it to --metrics")
    root = Path(data_root) if data_root else None
    folder = RunFolder(Path(what))
    run = config.load(folder.config) if folder.config.is_file() else None
    made = _open(what)
    if data is None and run is None:
        raise UsageError(f"--data: '{what}' does not say what to compare with; name a data set")
    dataset: Dataset = run.data if run and data is None else open_dataset(data or "")
    preprocess = run.preprocess if run else Preprocess()
    train, test = _splits(dataset, preprocess, split, root)
    for images in (train, test):
        if images is not None and images.shape != made.shape:
            raise UsageError(
                f"'{what}': found images of {_size(made.shape)}, those of {_named(dataset)} have "
                f"{_size(images.shape)}; compare images of one size"
            )

    # so many of each: fakes, reference images, and real ones that stand in for fakes
    reference, stand_ins = _parts(train, test, split, seed)
    available = num if isinstance(made, Generator) else len(made)
    num = min(num, available, len(reference), len(stand_ins))
    if num < 2:
        raise UsageError(f"'{what}': found {num} images to compare; at least 2 are needed")
    if isinstance(made, Generator):
        fakes, labels = made.sample(num, seed), None
    else:
        some = _some(made, drawn(len(made), num, seed, "fakes"))
        fakes = some.images
        labels = _as_numbered(what, some, train) if "1nn-labels" in names else None
    on_pixels = set(names) <= set(ON_PIXELS)  # then none is needed, let alone trained
    extractor = extraction.choose("pixels" if on_pixels else features, dataset, train, test)
    real, other = (
        Side(x.images[:num], extractor, labels=None if x.labels is None else x.labels[:num])
        for x in (reference, stand_ins)
    )
    side = Side(fakes, extractor, is_real=False, labels=labels)
    bench = Bench(
        real,
        _first(train, preprocess.first),
        real if split == "test" else other if test is not None else None,
        train.images[-10_000:][:1000] if split == "test" else train.images[:0],
    )
    picture = Path(pairs) if pairs else folder.path / "memorisation.png" if run else None

    rows = []
    for name in names:
        try:
            measured = MEASURES[name](bench, side)
            floor = floor_of(name, bench, other, measured, seed)
        except UsageError as error:
            if metrics is not None:
                raise UsageError(f"--metrics {name}: {error}") from None
            measured, floor = Measured({}, {}, ()), {}
            reason = str(error)
        else:
            reason = ""
        if measured.pairs is not None and picture is not None:
            _write_pairs(picture, measured.pairs, fakes, bench.train.images)
        used = extraction.pixels() if name in ON_PIXELS else extractor
        rows.append(
            Row(
                metric=f"{name}{_short(num)}",
                values=measured.values,
                intervals=measured.intervals,
                floor=floor,
                reason=reason,
                settings={METRICS.name_of(c): dataclasses.asdict(c) for c in measured.components},
                num_fake=num,
                num_reference=num,
                data=_named(dataset),
                split=split if split == "test" or test is not None else "train, one half",
                fingerprint=fingerprint(real.images),
                extractor=used.name,
                extractor_sha256=used.sha256,
                extractor_accuracy=used.accuracy,
                note=used.note,
                resize=_resizing(preprocess, used, name, real.images),
                seed=seed,
                recipe=made.recipe if isinstance(made, Generator) else "",
                images=made.images_seen if isinstance(made, Generator) else None,
                step=_step(folder, made) if run else None,
                picture=str(picture) if measured.pairs and picture else "",
            )
        )
    if run:
        _append(folder.path / "metrics.jsonl", [row for row in rows if row.values])
    return rows


# What is compared with what


def _names(metrics: str | Sequence[str] | None) -> list[str]:
    if metrics is None:
        return list(DEFAULT)
    given = metrics.split(",") if isinstance(metrics, str) else metrics
    names = list(dict.fromkeys(name.strip() for name in given))
    for name in names:
        if name not in MEASURES:
            raise UsageError(f"--metrics: unknown metric '{name}'; {closest(name, MEASURES)}")
    return names


def _open(what: str | Path) -> Generator | ImageSet:
    path = Path(what)
    is_generator = any((path / part).exists() for part in ("config.json", "config.toml"))
    if path.suffix == ".npz" or (path.is_dir() and not is_generator):
        return load_images(open_dataset(path), Preprocess())
    return load(what)


def _splits(
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


def _parts(
    train: ImageSet, test: ImageSet | None, split: Split, seed: int
) -> tuple[ImageSet, ImageSet]:
    """Reference images, and real images that stand in for fakes, each in a random order."""
    if test is None:
        order = drawn(len(train), len(train), seed, "halves")
        half = len(order) // 2
        return _some(train, order[:half]), _some(train, order[half:])
    two = (test, train) if split == "test" else (train, test)
    reference, stand_ins = (
        _some(real, drawn(len(real), len(real), seed, purpose))
        for real, purpose in zip(two, ("reference", "floor"), strict=True)
    )
    return reference, stand_ins


def _some(of: ImageSet, rows: NDArray[np.int64]) -> ImageSet:
    return ImageSet(of.images[rows], None if of.labels is None else of.labels[rows], of.classes)


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


def _first(images: ImageSet, num: int | None) -> ImageSet:
    return ImageSet(images.images[:num])


# Rows


def _short(num: int) -> str:
    return f"{num // 1000}k" if num % 1000 == 0 else str(num)


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{height}x{width} with {channels} channel{'s' if channels > 1 else ''}"


def _named(dataset: Dataset) -> str:
    name = DATASETS.name_of(dataset)
    return f"{name} {dataset.path}" if hasattr(dataset, "path") else name


def _resizing(preprocess: Preprocess, extractor: Extractor, name: str, images: Pixels) -> str:
    channels, height, width = images.shape[1:]
    steps = []
    if preprocess.image_size:
        steps.append(f"data: {preprocess.filter} to {height}x{width}")
    if name not in ON_PIXELS:
        steps.append(f"features: {extractor.resizing((channels, height, width))}")
    elif name != "parzen" and max(height, width) > SIDE:
        steps.append(f"pixels: box to {SIDE} at most")
    return "; ".join(step for step in steps if not step.endswith("none")) or "none"


def _step(folder: RunFolder, made: Generator | ImageSet) -> int | None:
    """The step at which the generator was saved, by the images that it had been shown."""
    if not isinstance(made, Generator) or not folder.log.is_file():
        return None
    steps = [line["step"] for line in folder.read_log() if line.get("images") == made.images_seen]
    return int(steps[-1]) if steps and steps[-1] else None


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _append(path: Path, rows: list[Row]) -> None:
    old = path.read_bytes() if path.is_file() else b""
    if old and not old.endswith(b"\n"):
        old += b"\n"
    write_file(path, old + b"".join(json.dumps(r.as_json()).encode() + b"\n" for r in rows))


def _write_pairs(path: Path, memory: Memory, fakes: Pixels, train: Pixels) -> None:
    """The fakes most like copies, each left of the training image nearest to it, four in a row."""
    tiles = [tile for pair in memory.pairs for tile in (fakes[pair.fake], train[pair.train])]
    sheet = grid(np.stack(tiles), math.ceil(len(tiles) / 8), 8)
    write_png(path, sheet, scale_for(sheet.shape[1]))
