"""What is done to images, real ones and fakes alike, before D judges them."""

from __future__ import annotations

from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.registry import AUGMENTATIONS, CHECKED


@AUGMENTATIONS.register("none")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NoAugmentation:
    """D sees images as they are (Goodfellow et al. 2014, algorithm 1)."""

    def __call__(self, images: Tensor) -> Tensor:
        return images
