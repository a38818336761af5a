"""The pixels themselves as features."""

from __future__ import annotations

from pathlib import Path

from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.metrics.cache import sha256
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.pixels import ImageSet
from ganvas.registry import CHECKED, EXTRACTORS


@EXTRACTORS.register("pixels")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class PixelFeatures:
    """The pixels themselves, as numbers from 0 to 1."""

    def open(
        self, dataset: object, train: ImageSet, test: ImageSet | None, root: Path | None
    ) -> Extractor:
        return pixels()


def pixels() -> Extractor:
    return Extractor("pixels", sha256(b"pixels / 255"), _Flat())


class _Flat(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        return (images.flatten(1) + 1) / 2, None
