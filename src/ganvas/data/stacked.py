"""Stacked MNIST: three digits in the channels of one image, a thousand classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.data.datasets import MNIST
from ganvas.protocols import RawImages, Split
from ganvas.registry import CHECKED, DATASETS
from ganvas.seeds import stream

if TYPE_CHECKING:
    from ganvas.pixels import Shape

COUNTS: Final[dict[Split, int]] = {"train": 128_000, "test": 26_000}
"""Stacks in each split. 26,000 fakes is what numbers of modes are usually measured on."""
CLASSES: Final = tuple(f"{number:03d}" for number in range(1000))


@DATASETS.register("stacked-mnist")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class StackedMNIST:
    """Three MNIST digits as red, green and blue, 28x28, 1,000 classes: 128,000 train, 26,000 test.

    Source: Metz et al., Unrolled GANs (2017), section 3.3.1; Srivastava et al., VEEGAN (2017). Each
    digit of a stack is drawn at random from MNIST's training images, or from its test images; the
    class is the number that the digits make, red first. Stacks are made when they are loaded: 301
    MB of memory for the training split, 61 MB for the test split.
    """

    known: ClassVar[tuple[int, Shape] | None] = (COUNTS["train"], (3, 28, 28))

    seed: Annotated[int, Field(ge=0)] = 0
    """Which digits come together."""

    def load(self, split: Split, root: Path | None) -> RawImages:
        digits = MNIST().load(split, root)
        assert isinstance(digits.images, np.ndarray) and digits.labels is not None
        rng = np.random.default_rng(stream(self.seed, "stacked-mnist", split))
        drawn = rng.integers(0, len(digits.images), (COUNTS[split], 3))
        images = np.empty((COUNTS[split], 3, 28, 28), np.uint8)
        for channel in range(3):
            images[:, channel] = digits.images[drawn[:, channel], 0]
        labels = digits.labels[drawn] @ np.array([100, 10, 1])
        return RawImages(images, labels, CLASSES)
