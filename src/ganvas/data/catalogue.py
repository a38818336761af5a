"""The data sets there are: what is at hand of each, fetching them, and opening one by name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganvas import config
from ganvas.data import mnist_classes, stacked
from ganvas.data.datasets import NPZ, Folder
from ganvas.data.download import find, obtain, read, state
from ganvas.data.names import GIVEN_BY_PATH, no_data
from ganvas.data.sources import SOURCES
from ganvas.errors import UsageError
from ganvas.protocols import Dataset
from ganvas.registry import DATASETS, described, settings

Status = Literal[
    "verified", "unverified", "missing", "corrupt", "embedded", "drawn on first use"
]  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """What is known of a data set without loading it."""

    dataset: str
    about: str
    """One line on what it is."""
    path: Path | None
    """The folder in which its files were found; None if there are none."""
    status: Status
    """verified: every file that was found is the published one, by its SHA-256; unverified: no
    SHA-256 is known of a file; corrupt: a file is not the published one."""
    num_images: int | None
    """Images in the splits at hand, or in those it would have; None if that is not known."""
    splits: dict[str, int]
    """Images in each split that is at hand."""
    missing: tuple[str, ...] = ()
    """Published files that were not found."""
    corrupt: tuple[Path, ...] = ()
    """Files that were found and are not the published ones."""


@dataclass(frozen=True)
class Fetched:
    """A data set that is complete on this machine."""

    dataset: str
    files: tuple[Path, ...]
    """Where its files are; empty if it needs none."""


def list_datasets(root: Path | None = None) -> list[Listing]:
    """Every registered data set and where it is; files that are found are checked.

    Raises:
        UsageError: `root` or GANVAS_DATA is no folder.
    """
    return [_list_one(name, root) for name in DATASETS.names() if name not in GIVEN_BY_PATH]


def show(name: str, root: Path | None = None) -> dict[str, Any]:
    """What a data set is: its images, its files and where they are, its settings, its recipes.

    Raises:
        UsageError: no such data set; `root` or GANVAS_DATA is no folder.
    """
    cls = DATASETS.get(name)
    files = [vars(file) for file in SOURCES[name].files] if name in SOURCES else []
    found: dict[str, Any] = {}
    if name not in GIVEN_BY_PATH:
        found = vars(_list_one(name, root))
        complete = not any(field.is_required() for field in settings(cls).values())
        known = cls().known if complete else None
        found["shape"] = known and list(known[1])
    recipes = [
        recipe
        for recipe in config.recipe_names()
        if config.read_recipe(recipe).tables["data"]["name"] == name
    ]
    about = inspect.cleandoc(cls.__doc__ or "")
    return (
        {"dataset": name}
        | found
        | {
            "about": about,
            "files": files,
            "settings": described(cls),
            "recipes": recipes,
        }
    )


def fetch(name: str, root: Path | None = None) -> Fetched:
    """Make sure that every file of a data set is on this machine, fetching what is not.

    "inception" is no data set; its files are the weights of that net.

    Raises:
        UsageError: no such data set, or a file that was found is not the published one.
        RunError: a file is nowhere, and no mirror answers.
    """
    if name in GIVEN_BY_PATH:
        raise UsageError(f"data set '{name}' is made of your own files; there is nothing to fetch")
    if name not in SOURCES:
        DATASETS.get(name)
    if name == "stacked-mnist":
        return Fetched(name, fetch("mnist", root).files)
    if name == "mnist-classes":
        if folder := mnist_classes.find_folder(root):
            return Fetched(name, (folder,))
        return Fetched(name, fetch("mnist", root).files)
    if name not in SOURCES:
        return Fetched(name, ())
    for file in SOURCES[name].files:
        read(name, file.name, root)
    return Fetched(name, tuple(obtain(name, file.name, root) for file in SOURCES[name].files))


def open_dataset(what: str | Path, skip_broken: bool = False) -> Dataset:
    """The data set of that name with its default settings, or the user's own folder or NPZ file.

    `skip_broken` lets a folder go on without its broken pictures.

    Raises:
        UsageError: neither a data set nor a folder nor an .npz file.
    """
    name, path = str(what), Path(what)
    if isinstance(what, str) and name in DATASETS.names() and name not in GIVEN_BY_PATH:
        component: Dataset = DATASETS.get(name)()
        return component
    if path.is_dir():
        return Folder(path=name, skip_broken=skip_broken)
    if path.suffix == ".npz" and path.is_file():
        return NPZ(path=name)
    raise no_data(what, DATASETS.names())


def _list_one(name: str, root: Path | None) -> Listing:
    about = (DATASETS.get(name).__doc__ or "").partition("\n")[0]
    if name == "stacked-mnist":
        return _list_stacked(name, about, root)
    if name == "mnist-classes":
        return _list_mnist_classes(name, about, root)
    if name in SOURCES:
        return _list_files(name, about, root)
    if name == "alphabet":
        num_images = DATASETS.get(name)().num_images
        splits = {"train": num_images, "test": num_images // 10}
        return Listing(name, about, None, "drawn on first use", sum(splits.values()), splits)
    if name == "digits":
        splits = {"train": 1498, "test": 299}
        return Listing(name, about, None, "embedded", 1797, splits)
    return Listing(name, about, None, "unverified", None, {})  # a component kept elsewhere


def _list_files(name: str, about: str, root: Path | None) -> Listing:
    source = SOURCES[name]
    found = {file: path for file in source.files if (path := find(source, file, root))}
    missing = tuple(file.name for file in source.files if file not in found)
    if not found:
        num_images = sum(file.num_images for file in source.files)
        return Listing(name, about, None, "missing", num_images, {}, missing)
    states = {path: state(path, file) for file, path in found.items()}
    corrupt = tuple(path for path, verdict in states.items() if verdict == "corrupt")
    splits = {
        split: sum(file.num_images for file in source.files if file.split == split)
        for split in ("train", "test")
        if all(file in found for file in source.files if file.split == split)
    }
    verdicts = set(states.values())
    status: Status = "verified"
    if corrupt:
        status = "corrupt"
    elif "unverified" in verdicts:
        status = "unverified"
    folder = next(iter(found.values())).parent
    return Listing(name, about, folder, status, sum(splits.values()), splits, missing, corrupt)


def _list_mnist_classes(name: str, about: str, root: Path | None) -> Listing:
    splits = {"train": sum(mnist_classes.COUNTS)}
    folder = mnist_classes.find_folder(root)
    if folder is not None:
        good = mnist_classes.digest(folder) == mnist_classes.SHA256
        status: Status = "verified" if good else "corrupt"
        bad = () if good else (folder,)
        return Listing(name, about, folder, status, splits["train"], splits, corrupt=bad)
    if "train" in _list_files("mnist", "", root).splits:
        return Listing(name, about, None, "drawn on first use", splits["train"], splits)
    return Listing(name, about, None, "missing", splits["train"], {})


def _list_stacked(name: str, about: str, root: Path | None) -> Listing:
    there = _list_files("mnist", "", root).splits
    splits = {str(split): num for split, num in stacked.COUNTS.items() if split in there}
    status: Status = "drawn on first use" if splits else "missing"
    return Listing(name, about, None, status, sum(stacked.COUNTS.values()), splits)
