"""The data sets that are files: published ones, a folder of pictures, an NPZ; and the digits."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic.dataclasses import dataclass

from ganvas.data import formats, pictures
from ganvas.data.download import find, read
from ganvas.data.holdout import AUTO, Holdout, none_held_out, part, refuse
from ganvas.data.sources import SOURCES
from ganvas.errors import NoSplit, RunError, UsageError
from ganvas.protocols import RawImages, Split
from ganvas.registry import CHECKED, DATASETS

if TYPE_CHECKING:
    from ganvas.pixels import Shape

DIGITS: Final = tuple(string.digits)
GARMENTS: Final = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
CIFAR_CLASSES: Final = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


@DATASETS.register("mnist")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MNIST:
    """Handwritten digits, 28x28 grey: 60,000 to train on, 10,000 to test on.

    Source: LeCun, Cortes & Burges, The MNIST database of handwritten digits (1998).
    """

    known: ClassVar[tuple[int, Shape] | None] = (60_000, (1, 28, 28))

    def load(self, split: Split, root: Path | None) -> RawImages:
        prefix = "train" if split == "train" else "t10k"
        return RawImages(*_idx_pair("mnist", prefix, DIGITS, root), DIGITS)


@DATASETS.register("fashion-mnist")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class FashionMNIST:
    """Clothing, 28x28 grey: 60,000 to train on, 10,000 to test on.

    Source: Xiao, Rasul & Vollgraf, Fashion-MNIST (2017), arXiv:1708.07747.
    """

    known: ClassVar[tuple[int, Shape] | None] = (60_000, (1, 28, 28))

    def load(self, split: Split, root: Path | None) -> RawImages:
        prefix = "train" if split == "train" else "t10k"
        return RawImages(*_idx_pair("fashion-mnist", prefix, GARMENTS, root), GARMENTS)


@DATASETS.register("emnist-letters")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class EMNISTLetters:
    """Handwritten letters, both cases in one class, 28x28 grey: 124,800 train, 20,800 test.

    Source: Cohen, Afshar, Tapson & van Schaik, EMNIST (2017), arXiv:1702.05373. The images are
    published transposed and sorted by class; here they are upright, in the published order.
    """

    split: Literal["train", "test"] = "train"
    """The published split to train on; the small test split is often the only one at hand."""

    @property
    def known(self) -> tuple[int, Shape]:
        return (124_800 if self.split == "train" else 20_800), (1, 28, 28)

    def load(self, split: Split, root: Path | None) -> RawImages:
        if split == "test" and self.split == "test":
            raise NoSplit(
                "emnist-letters: data.split=test trains on the test split, so there is none to "
                "test on; set data.split=train"
            )
        letters = tuple(string.ascii_uppercase)
        published = self.split if split == "train" else "test"
        try:
            images, labels = _idx_pair(
                "emnist-letters", f"emnist-letters-{published}", letters, root, first_label=1
            )
        except RunError as error:
            files = [f for f in SOURCES["emnist-letters"].files if f.split == "test"]
            if published == "train" and all(
                find(SOURCES["emnist-letters"], f, root) for f in files
            ):
                raise RunError(
                    f"{error}; the test split is there: train on it with --set data.split=test"
                ) from None
            raise
        return RawImages(np.ascontiguousarray(images.swapaxes(2, 3)), labels, letters)


@DATASETS.register("cifar10")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class CIFAR10:
    """Photographs of ten kinds of things, 32x32 RGB: 50,000 to train on, 10,000 to test on.

    Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).
    """

    known: ClassVar[tuple[int, Shape] | None] = (50_000, (3, 32, 32))

    def load(self, split: Split, root: Path | None) -> RawImages:
        batches = []
        for file in SOURCES["cifar10"].files:
            if file.split == split:
                path, content = read("cifar10", file.name, root)
                batches.append(formats.read_cifar(content, path))
        images = np.concatenate([images for images, _ in batches])
        labels = np.concatenate([labels for _, labels in batches])
        return RawImages(images, labels, CIFAR_CLASSES)


@DATASETS.register("digits")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Digits:
    """Real 8x8 scans of digits that come with scikit-learn, enlarged to look like MNIST.

    Source: Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI (1998). 1,797 scans;
    each is enlarged to 20x20 and centred on 28x28, white on black. Every sixth is the test split.
    """

    known: ClassVar[tuple[int, Shape] | None] = (1_498, (1, 28, 28))

    def load(self, split: Split, root: Path | None) -> RawImages:
        from sklearn.datasets import load_digits

        scans = load_digits()
        is_test = np.arange(len(scans.target)) % 6 == 5
        chosen = np.flatnonzero(is_test == (split == "test"))
        images = np.zeros((len(chosen), 1, 28, 28), np.uint8)
        for image, scan in zip(images, scans.images[chosen], strict=True):
            smooth = Image.fromarray((scan * (255 / 16)).astype(np.float32))
            enlarged = np.asarray(smooth.resize((20, 20), Image.Resampling.BICUBIC))
            image[0, 4:24, 4:24] = np.rint(enlarged).clip(0, 255)
        return RawImages(images, scans.target[chosen].astype(np.int64), DIGITS)


@DATASETS.register("folder")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Folder:
    """A folder of pictures, or of one folder a class; any sizes, grey, RGB or with alpha.

    Source: your own pictures. Subfolders `train` and `test`, if there are both, are the splits;
    otherwise some are held out of training as the test split.
    """

    known: ClassVar[tuple[int, Shape] | None] = None

    path: str
    """The folder, as an absolute path or from the current folder."""

    skip_broken: bool = False
    """Go on without the pictures that cannot be read, instead of stopping."""

    holdout: Holdout = AUTO
    """Pictures to keep out of training, to measure with, where there is no folder `test`: a share
    such as 0.1, a number, or 0; auto: a tenth, but at least 100 up to a fifth, none below 200."""

    def load(self, split: Split, root: Path | None) -> RawImages:
        named = f"'{self.path}'"
        if self.is_split:
            refuse(self.holdout, named)
        elif split == "test" and not self.holdout:
            raise none_held_out(named, 0)
        found = self.read(split)
        if found.broken and (not self.skip_broken or not found.images):
            total = len(found.broken) + len(found.images)
            some = ", ".join(f"{broken.file} ({broken.reason})" for broken in found.broken[:5])
            more = ", ..." if len(found.broken) > 5 else ""
            go_on = "" if self.skip_broken else ", or go on without them with --skip-broken"
            raise UsageError(
                f"{len(found.broken)} of {total} pictures in '{self.path}' are broken: "
                f"{some}{more}; repair or delete them{go_on}"
            )
        raw = RawImages(found.images, found.labels, found.classes, found.remarks)
        return raw if self.is_split else part(raw, self.holdout, split, named)

    @property
    def is_split(self) -> bool:
        """Whether there are subfolders `train` and `test`."""
        return all((Path(self.path) / split).is_dir() for split in ("train", "test"))

    def read(self, split: Split) -> pictures.Pictures:
        """The pictures of a split with what is broken among them, whatever `skip_broken` says.

        Of a folder that is not split, all pictures.
        """
        folder = Path(self.path)
        train, test = folder / "train", folder / "test"
        if self.is_split:
            both = {*pictures.class_folders(train), *pictures.class_folders(test)}
            classes = sorted(both, key=pictures.natural)
            found = pictures.read_pictures(train if split == "train" else test, classes)
            beside = pictures.passed_over(folder, [train, test], whole=True)
            return replace(found, remarks=found.remarks + beside)
        return pictures.read_pictures(folder)


@DATASETS.register("npz")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NPZ:
    """Arrays in an .npz file: `images` or `x_train` to train on, `x_test` to test on, and labels.

    Source: your own arrays, as numpy.savez writes them.
    """

    known: ClassVar[tuple[int, Shape] | None] = None

    path: str
    """The file, as an absolute path or from the current folder."""

    holdout: Holdout = AUTO
    """Images to keep out of training, to measure with, where there is no `x_test`: a share such as
    0.1, a number, or 0; auto: a tenth, but at least 100 up to a fifth, none below 200."""

    def load(self, split: Split, root: Path | None) -> RawImages:
        named = f"'{self.path}'"
        if formats.has_split(Path(self.path), "test"):
            refuse(self.holdout, named)
            return formats.read_npz(Path(self.path), split)
        if split == "test" and not self.holdout:
            raise none_held_out(named, 0)
        raw = formats.read_npz(Path(self.path), "train")
        return part(raw, self.holdout, split, named)


def _idx_pair(
    dataset: str,
    prefix: str,
    classes: Sequence[str],
    root: Path | None,
    first_label: int = 0,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(N, 1, H, W) images and (N,) labels from 0, of the two IDX files that start with `prefix`."""
    name = f"{prefix}-images-idx3-ubyte.gz"
    path, content = read(dataset, name, root)
    images = formats.read_idx(content, path, 3)
    labels_path, content = read(dataset, f"{prefix}-labels-idx1-ubyte.gz", root)
    labels = formats.read_idx(content, labels_path, 1).astype(np.int64) - first_label
    expected = SOURCES[dataset].file(name).num_images
    if len(images) != expected or len(labels) != expected:
        raise UsageError(
            f"{dataset}: found {len(images):,} images in '{path}' and {len(labels):,} labels in "
            f"'{labels_path}', expected {expected:,} of each; delete them and run "
            f"`ganvas data fetch {dataset}`"
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise UsageError(
            f"{dataset}: '{labels_path}' has labels from {labels.min() + first_label} to "
            f"{labels.max() + first_label}, expected {first_label} to "
            f"{first_label + len(classes) - 1}; delete it and run `ganvas data fetch {dataset}`"
        )
    return images[:, None], labels
