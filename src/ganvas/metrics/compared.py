"""What is compared with what: made images, the data set they are held against, and how both are
brought to one size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ganvas import config
from ganvas.config import Preprocess, Run
from ganvas.data.catalogue import open_dataset
from ganvas.data.datasets import Folder
from ganvas.data.holdout import whole
from ganvas.data.prepare import load_images
from ganvas.errors import UsageError
from ganvas.generator import Generator, card_of, folder_of, load
from ganvas.metrics.reference import named
from ganvas.pixels import ImageSet, fingerprint
from ganvas.protocols import Dataset
from ganvas.registry import DATASETS
from ganvas.rundir import RunFolder

MAKES_ALIKE: Final = ("image_size", "filter", "channels")
"""Settings of `preprocess` that bring images to one form."""

Changes = Sequence[tuple[str, Any]]
"""Settings with their values."""


@dataclass(frozen=True)
class Looks:
    """The options that say how images are looked at; a run has all of this itself."""

    data: str | Path | None = None
    image_size: str | int | None = None
    skip_broken: bool = False
    changes: Changes = ()
    """Settings of the sections `data` and `preprocess`."""

    def preprocess(self, otherwise: Preprocess) -> Preprocess:
        """What both sides go through where there is no run; `otherwise` is where nothing is said.

        Raises:
            UsageError: an option is wrong.
        """
        table = {key.partition(".")[2]: value for key, value in self.of("preprocess")}
        if wrong := [key for key in table if key not in MAKES_ALIKE]:
            allowed = ", ".join(f"preprocess.{key}" for key in MAKES_ALIKE)
            raise UsageError(f"--set: found 'preprocess.{wrong[0]}'; allowed here: {allowed}")
        if self.image_size is not None:
            if "image_size" in table:
                raise UsageError(
                    "--image-size and --set preprocess.image_size: found together; give one of them"
                )
            table["image_size"] = self.image_size
        given: Preprocess = config.component("preprocess", table)
        return replace(otherwise, **{key: getattr(given, key) for key in table})

    def refuse_for(self, run: Run) -> None:
        """UsageError if an option would change what a run is measured with."""
        given = ["--image-size"] if self.image_size is not None else []
        given += [f"--set {key}" for key, _ in self.of("preprocess")]
        if self.data is None:
            given += ["--skip-broken"] if self.skip_broken else []
            given += [f"--set {key}" for key, _ in self.of("data")]
        if given:
            size = run.preprocess.image_size
            at = f", at {size[0]}x{size[1]}" if size else ""
            raise UsageError(
                f"{given[0]}: found with a run, which is measured as it was trained{at}; leave it "
                "out"
            )

    def dataset(self) -> Dataset:
        """The data set of `data`; one of no test split is taken whole, unless a setting says so."""
        opened = whole(open_dataset(self.data or "", self.skip_broken))
        if not (changes := self.of("data")):
            return opened
        table: dict[str, Any] = {"name": DATASETS.name_of(opened)}
        table |= dataclasses.asdict(opened)  # type: ignore[call-overload]
        changed: Dataset = config.component(
            "data", config.override({"data": table}, changes)["data"]
        )
        return changed

    def of(self, section: str) -> Changes:
        """The settings of a section."""
        return [change for change in self.changes if change[0].startswith(f"{section}.")]


@dataclass(frozen=True)
class Compared:
    """Made images, or their generator, and the data set that they are held against."""

    made: Generator | ImageSet
    dataset: Dataset
    preprocess: Preprocess


def compared(
    what: Path, run: Run | None, folder: RunFolder, looks: Looks, root: Path | None
) -> Compared:
    """Open what is measured, and what it is compared with.

    Raises:
        UsageError: there is neither a run nor `data`, or options that do not fit.
        RunError: a data file is nowhere to be found.
    """
    if run is not None:
        looks.refuse_for(run)
        if looks.data is None:
            return Compared(load(what), run.data, run.preprocess)
        given = looks.dataset()
        return Compared(load(what), _moved(run, folder, given, root) or given, run.preprocess)

    made, is_folder = _open(what, looks)
    recipe = _recipe_of(made, what) if isinstance(made, Generator) else None
    preprocess = looks.preprocess(recipe.preprocess if recipe else Preprocess())
    if looks.data is None and recipe is None:
        raise UsageError(f"--data: '{what}' does not say what to compare with; name a data set")
    if looks.data is None and (of_data := looks.of("data")):
        raise UsageError(f"--set {of_data[0][0]}: found without --data")
    dataset = looks.dataset() if looks.data is not None or recipe is None else recipe.data
    if looks.skip_broken and not (is_folder or isinstance(dataset, Folder)):
        raise UsageError("--skip-broken: found where nothing is a folder of pictures")
    return Compared(made, dataset, preprocess)


def _open(what: Path, looks: Looks) -> tuple[Generator | ImageSet, bool]:
    """Made images or a generator, and whether it is a folder of pictures."""
    is_generator = any((what / part).exists() for part in ("config.json", "config.toml"))
    if what.suffix == ".npz" or (what.is_dir() and not is_generator):
        images = whole(open_dataset(what, looks.skip_broken))
        return load_images(images, looks.preprocess(Preprocess())), what.is_dir()
    return load(what), False


def _recipe_of(made: Generator, folder: Path) -> Run | None:
    """The recipe that a generator outside its run's folder was trained by, on the recipe's data."""
    card = card_of(made, folder_of(folder))
    if card.recipe not in config.recipe_names():
        return None
    recipe = config.build(config.read_recipe(card.recipe).tables)
    as_usual = not any(key.startswith(("data.", "preprocess.")) for key in card.changed)
    return recipe if as_usual and card.data == DATASETS.name_of(recipe.data) else None


def _moved(run: Run, folder: RunFolder, given: Dataset, root: Path | None) -> Dataset | None:
    """The run's own data set in another place, with what was held out; None if it is another."""
    if type(given) is not type(run.data) or not hasattr(given, "path"):
        return None
    own = replace(run.data, path=given.path)  # type: ignore[type-var]
    try:
        images = load_images(own, run.preprocess, "train", root).images
    except UsageError:
        return None
    trained_on = folder.read_environment()["data"].get("sha256")
    return own if fingerprint(images) == trained_on else None


def check_sizes(
    what: str | Path, run: Run | None, of: Compared, train: ImageSet, test: ImageSet | None
) -> None:
    """UsageError unless all images are of one shape."""
    for images in (train, test):
        if images is None or images.shape == of.made.shape:
            continue
        hint = "compare images of one size"
        if run is None:
            channels, height, width = of.made.shape
            hint = f"--image-size {height}x{width} makes them alike"
            if images.shape[1:] == (height, width):
                hint = f"--set preprocess.channels={channels} makes them alike"
        raise UsageError(
            f"'{what}': found images of {_size(of.made.shape)}, those of {named(of.dataset)} have "
            f"{_size(images.shape)}; {hint}"
        )


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{height}x{width} with {channels} channel{'s' if channels > 1 else ''}"
