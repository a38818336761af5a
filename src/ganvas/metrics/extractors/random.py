"""Features of a net with fixed random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.metrics.cache import sha256
from ganvas.metrics.extractors import classifier_net
from ganvas.metrics.extractors.extractor import Extractor
from ganvas.pixels import ImageSet
from ganvas.registry import CHECKED, EXTRACTORS

NOTE: Final = "a fixed random net: distances say little of meaning"


@EXTRACTORS.register("random")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class RandomFeatures:
    """128 features of the classifier's convolutions with fixed random weights."""

    def open(
        self, dataset: object, train: ImageSet, test: ImageSet | None, root: Path | None
    ) -> Extractor:
        net = classifier_net.untrained(train.shape, 2, 0).requires_grad_(False)
        rng = torch.Generator().manual_seed(0)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):  # so that features neither fade nor grow with depth
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
        content = classifier_net.to_bytes(net)
        return Extractor("random", sha256(content), Convolutions(net), note=NOTE)


class Convolutions(nn.Module):
    """A classifier's features alone."""

    def __init__(self, net: classifier_net.Classifier) -> None:
        super().__init__()
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        return self.net(images.contiguous(memory_format=torch.channels_last))[0], None
