"""What a feature extractor is: a net that images pass in blocks, and how they are made ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from ganvas.images import to_float
from ganvas.pixels import ImageSet, Pixels, Shape, resize, to_channels

Array = NDArray[np.float32]

BLOCK: Final = 64
"""Images that pass a net together; the last block is filled up, so that every block is alike."""
CPU: Final = torch.device("cpu")


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
    note: str = ""
    """What a reader should know of it."""
    is_inception: bool = False
    """Whether numbers have the names that are kept for Inception's features."""
    block: int = BLOCK
    """Images that pass it together."""
    device: torch.device = CPU
    watch: Callable[[range, int], Iterable[int]] | None = None
    """Is given the first image of each block and the number of images, and shows how far it is."""

    def on(self, device: torch.device) -> Extractor:
        """The same extractor on a device."""
        return replace(self, net=self.net.to(device), device=device)

    def __call__(self, images: Pixels) -> tuple[Array, Array | None]:
        """Features (N, d), and probabilities (N, classes), which only classifiers have."""
        features, probabilities = [], []
        starts = range(0, len(images), self.block)
        with torch.inference_mode(), _exact(self.device):
            for start in self.watch(starts, len(images)) if self.watch else starts:
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
        if images.shape[1:] == self.shape:
            return images
        channels, height, width = self.shape
        images = to_channels(images, channels)
        bicubic = Image.Resampling.BICUBIC
        return np.stack([resize(image, height, width, bicubic) for image in images])

    def resizing(self, shape: Shape) -> str:
        """How images of a shape are brought to that of the net, in words; or 'none'."""
        if self.own_resize:
            alike = self.channels in (None, shape[0])
            return self.own_resize + ("" if alike else f", {shape[0]} to {self.channels} channels")
        if self.shape is None or shape == self.shape:
            return "none"
        own = "x".join(map(str, self.shape[1:]))
        return f"bicubic {'x'.join(map(str, shape[1:]))} to {own}, {self.shape[0]} channels"


def _exact(device: torch.device) -> AbstractContextManager[object]:
    """Single precision, whatever training computes in, and the same sums each time."""
    if device.type != "cuda":
        return nullcontext()
    context: AbstractContextManager[object] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return context
