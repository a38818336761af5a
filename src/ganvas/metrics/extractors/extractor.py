"""What a feature extractor is: a net that images pass in blocks, and how they are made ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from ganvas.images import to_float
from ganvas.pixels import ImageSet, Pixels, Shape, resize, to_channels
from ganvas.protocols import Split

Array = NDArray[np.float32]

BLOCK: Final = 64
"""Images that pass a net together; the last block is filled up, so that every block is alike."""
CPU: Final = torch.device("cpu")

Watch = Callable[[range, int], Iterable[int]]
"""Is given the first image of each block and the number of images; says how far the loop is."""


def unwatched(starts: range, num: int) -> Iterable[int]:
    """A watch that says nothing."""
    return starts


class Opener(Protocol):
    """A registered extractor: its fields are its settings."""

    def open(
        self, dataset: object, train: ImageSet, test: ImageSet | None, root: Path | None
    ) -> Extractor:
        """The extractor for a data set's images; `root` is where files are looked for first.

        Raises:
            UsageError: these images do not allow it, or a file is wrong.
            RunError: a file is nowhere to be found.
        """


class Learner(Protocol):
    """An extractor whose net may have to be trained first; `watch` shows how far that is."""

    learns: ClassVar[bool]

    def open(
        self,
        dataset: object,
        train: ImageSet,
        test: ImageSet | None,
        root: Path | None,
        *,
        watch: Watch = unwatched,
    ) -> Extractor:
        """As an opener's."""


@dataclass(frozen=True)
class Extractor:
    """From uint8 images (N, C, H, W) to features (N, d), and a classifier's probabilities."""

    name: str
    sha256: str
    """Of its weights; of its name where it has none."""
    net: nn.Module
    """A block of images in [-1, 1] to features and probabilities; None for these if it has none."""
    shape: Shape | None = None
    """The images it is made for; others are converted. None: any."""
    channels: int | None = None
    """The channels it is made for, where it takes images of any size. None: any."""
    own_resize: str = ""
    """How the net itself resizes images, in words."""
    accuracy: float | None = None
    """A classifier's, on images that it was not trained on."""
    num_test: int | None = None
    """The number of these images."""
    note: str = ""
    """What a reader should know of it."""
    is_inception: bool = False
    """Whether numbers have the names that are kept for Inception's features."""
    learnt: Split | None = None
    """The split of the data set, as it is opened, whose images its net was trained on."""
    spares: bool = False
    """Those of the training images that `spared` names were left out there."""
    block: int = BLOCK
    """Images that pass it together."""
    device: torch.device = CPU
    watch: Watch = unwatched
    """Shows how far a pass is."""

    @property
    def described(self) -> str:
        """Its name, what a reader should know of it, and how often a classifier is right."""
        right = ""
        if self.accuracy is not None and self.num_test:
            right = f"right on {100 * self.accuracy:.3g} % of {self.num_test:,} others"
        return ": ".join(filter(None, (self.name, ", ".join(filter(None, (self.note, right))))))

    def on(self, device: torch.device) -> Extractor:
        """The same extractor on a device."""
        return replace(self, net=self.net.to(device), device=device)

    def __call__(self, images: Pixels) -> tuple[Array, Array | None]:
        """Features (N, d), and probabilities (N, classes), which only classifiers have."""
        features, probabilities = [], []
        starts = range(0, len(images), self.block)
        with torch.inference_mode(), _exact(self.device):
            for start in self.watch(starts, len(images)):
                some = self.prepared(images[start : start + self.block])
                block = np.zeros((self.block, *some.shape[1:]), np.uint8)
                block[: len(some)] = some
                pixels = torch.from_numpy(block).to(self.device)
                of_block, shares = self.net(to_float(pixels, -1.0, 1.0))
                features.append(of_block[: len(some)].float().cpu().numpy())
                if shares is not None:
                    probabilities.append(shares[: len(some)].float().cpu().numpy())
        return np.concatenate(features), np.concatenate(probabilities) if probabilities else None

    def prepared(self, images: Pixels) -> Pixels:
        """Images in the channels and the size that the net takes."""
        if self.shape is None:
            return images if self.channels is None else to_channels(images, self.channels)
        return in_shape(images, self.shape)

    def resizing(self, shape: Shape) -> str:
        """How images of a shape are brought to that of the net, in words; or 'none'."""
        if self.own_resize:
            alike = self.channels in (None, shape[0])
            return self.own_resize + ("" if alike else f", {shape[0]} to {self.channels} channels")
        if self.shape is None or shape == self.shape:
            return "none"
        own = "x".join(map(str, self.shape[1:]))
        return f"bicubic {'x'.join(map(str, shape[1:]))} to {own}, {self.shape[0]} channels"


def in_shape(images: Pixels, shape: Shape) -> Pixels:
    """Images (N, C, H, W) in the channels and the size of `shape`."""
    if images.shape[1:] == shape:
        return images
    channels, height, width = shape
    bicubic = Image.Resampling.BICUBIC
    images = to_channels(images, channels)
    return np.stack([resize(image, height, width, bicubic) for image in images])


def _exact(device: torch.device) -> AbstractContextManager[object]:
    """Single precision, whatever training computes in, and the same sums each time."""
    if device.type != "cuda":
        return nullcontext()
    context: AbstractContextManager[object] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return context
