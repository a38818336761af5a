"""Features of a small net that learns from the training images without labels."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.errors import UsageError
from ganvas.images import to_float
from ganvas.metrics import cache
from ganvas.metrics.extractors import classifier_net, taught
from ganvas.metrics.extractors.extractor import Extractor, Watch, unwatched
from ganvas.metrics.extractors.random import Convolutions
from ganvas.pixels import ImageSet, Pixels, fingerprint
from ganvas.registry import CHECKED, EXTRACTORS

CLUSTERS: Final = 30
"""Kinds of images that the net tells apart, fewer where there are not ten images of each."""
CELLS: Final = (4, 8, 16)
"""Sides in pixels of the cells that have a histogram each."""
BINS: Final = 9
"""Directions that a histogram counts, over half a turn."""
SHOWN: Final = 12_000
"""Images shown in training: a quarter of a minute of one processor core."""
FEWEST: Final = 40
"""Least training images to learn from."""


@EXTRACTORS.register("learned")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class LearnedFeatures:
    """128 features of a net that learnt to which cluster of images one belongs (Caron 2018).

    The clusters are those of histograms of oriented gradients (Dalal & Triggs 2005), by k-means.
    Unlike Caron et al., "Deep Clustering for Unsupervised Learning of Visual Features" (2018), the
    images are clustered once.
    """

    learns: ClassVar[bool] = True

    def open(
        self,
        dataset: object,
        train: ImageSet,
        test: ImageSet | None,
        root: Path | None,
        *,
        watch: Watch = unwatched,
    ) -> Extractor:
        """Raises UsageError where there are too few images."""
        if len(train) < FEWEST:
            raise UsageError(
                f"--features learned: found {len(train)} training images; at least {FEWEST} are "
                "needed; use --features random"
            )

        def teach() -> tuple[dict[str, Any], bytes]:
            images = taught.lesson(train, test is not None, SHOWN).images
            kinds = clustered(images)
            num = int(kinds.max()) + 1
            card, content = taught.learnt(images, kinds, num, SHOWN, watch)
            return card | {"clusters": num}, content

        key = (
            fingerprint(train.images),
            repr((test is not None, CLUSTERS, SHOWN, taught.PASSES)),
            cache.source_of(__name__),
        )
        card, content = taught.kept("learned", key, teach)
        channels, height, width = card["shape"]
        shape = (channels, height, width)
        net = classifier_net.from_bytes(content, shape, card["clusters"], "the net in the cache")
        note = (
            f"a net trained here to tell {card['clusters']} clusters of {card['num_train']:,} "
            "training images apart"
        )
        extractor = Extractor("learned", card["sha256"], Convolutions(net), shape, note=note)
        return replace(extractor, learnt="train", spares=True)


def clustered(images: Pixels, most: int = CLUSTERS) -> NDArray[np.int64]:
    """(N,): to which of some clusters each image (N, C, H, W) belongs."""
    from sklearn.cluster import KMeans  # imported here: it takes a second
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(images), 250)
        found = torch.cat([histograms(to_float(part, -1.0, 1.0)) for part in parts]).numpy()
    num = max(2, min(most, len(images) // 10))
    with threadpool_limits(1), warnings.catch_warnings():  # several threads may differ in a bit
        warnings.simplefilter("ignore", ConvergenceWarning)  # of images that are all alike
        labels = KMeans(num, n_init=1, max_iter=30, random_state=0).fit_predict(found)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def histograms(images: Tensor) -> Tensor:
    """Histograms of oriented gradients of (N, C, H, W), in cells of several sizes: (N, d).

    A pixel counts by its gradient, in its strongest channel, for the two directions next to its
    own. A cell is scaled by the strength of the cells about it.
    """
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    right = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    strength, channel = (right.square() + down.square()).max(dim=1, keepdim=True)
    angle = torch.atan2(down.gather(1, channel), right.gather(1, channel)) % math.pi
    away = (angle * (BINS / math.pi) - torch.arange(BINS).view(1, BINS, 1, 1)).abs()
    votes = (1 - torch.minimum(away, BINS - away)).clamp(min=0) * strength.sqrt()
    found = []
    for side in CELLS:
        cells = F.avg_pool2d(votes, side, ceil_mode=True)
        around = F.avg_pool2d(cells.square().sum(dim=1, keepdim=True), 3, 1, 1).sqrt()
        found.append((cells / (around + 0.02)).flatten(1))
    return torch.cat(found, dim=1)
