"""Which features see what two classifiers see? A rank correlation for each candidate.

    python benchmarks/features.py [--sets mnist,fashion-mnist,cifar10] [--only NAME,NAME] [--save FILE]

1,000 test images are compared with 1,000 others, as they are and changed: classes left out, repeats,
noise, blur, shifts. What a candidate is good for is Spearman's correlation of its Fréchet distances
with those in the features of a classifier; of two: the one that comes with the data set, and one
trained here in another way. Nets learn from training images, never from labels; PCA too. `learning`
is seconds of one processor core; `an image` is microseconds. Needs the data sets in GANVAS_DATA.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from torch import Tensor, nn

from ganvas.data.catalogue import open_dataset
from ganvas.images import to_float
from ganvas.metrics.extractors import classifier_net as cn
from ganvas.metrics.extractors.choice import choose
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.metric import Views
from ganvas.pixels import ImageSet, Pixels

NUM: Final = 1_000
"""Images of each side."""
SHOWN: Final = 10_240
"""Images shown to a net that learns."""
DIMS: Final = 128
"""Features left by PCA."""

Features = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [-1, 1] to features (N, d)."""
Candidate = Callable[[Pixels, str], Features]
"""Training images and the data set's name to features."""


# What is done to images


def changes(test: ImageSet, rng: np.random.Generator) -> Iterator[tuple[str, str, Pixels]]:
    """Kind, name, and images that have been changed in that way; `test` are not the reference."""
    assert test.labels is not None
    base = test.images[:NUM]
    yield "real", "real", base
    for left_out in ([1], [4], [7], [0, 5], [2, 3, 4], [5, 6, 7, 8, 9]):
        rest = test.images[~np.isin(test.labels, left_out)]
        yield "classes", f"without {len(left_out)}", rest[:NUM]
    few = [0, 1, 2, 3, 4, 5, 6, 7]
    yield (
        "classes",
        "without 8",
        test.images[~np.isin(test.labels, few)][rng.integers(0, 1000, NUM)],
    )
    for distinct in (500, 100, 20):
        yield "repeats", f"{distinct} distinct", base[rng.integers(0, distinct, NUM)]
    for level in (5, 10, 30, 60):
        noisy = base + rng.normal(0, level, base.shape)
        yield "noise", f"noise {level}", noisy.round().clip(0, 255).astype(np.uint8)
    for sigma in (0.5, 0.7, 1.0, 2.0):
        blurred = gaussian_filter(base.astype(np.float32), (0, 0, sigma, sigma))
        yield "blur", f"blur {sigma:g}", blurred.round().clip(0, 255).astype(np.uint8)
    for by in (1, 2, 4):
        moved = np.pad(base, ((0, 0), (0, 0), (0, 0), (by, 0)), mode="edge")[..., :-by]
        yield "shift", f"shift {by}", moved


# Candidates


def random_net(train: Pixels, name: str) -> Features:
    return _opened("random", train)


def pixels(train: Pixels, name: str) -> Features:
    return _reduced(lambda images: images.flatten(1), train)


def gradients(train: Pixels, name: str) -> Features:
    """Histograms of oriented gradients (Dalal & Triggs 2005), in cells of 4, 8 and 16 pixels."""

    def histograms(images: Tensor) -> Tensor:
        padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
        right = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
        down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
        strength, channel = (right**2 + down**2).max(dim=1, keepdim=True)  # the strongest channel
        angle = torch.atan2(down.gather(1, channel), right.gather(1, channel)) % math.pi
        place = angle / math.pi * 9
        bins = torch.arange(9).view(1, 9, 1, 1)
        near = (place - bins).abs()
        votes = (1 - torch.minimum(near, 9 - near)).clamp(min=0) * strength.sqrt()
        found = []
        for cell in (4, 8, 16):
            cells = F.avg_pool2d(votes, cell, ceil_mode=True)
            around = F.avg_pool2d(cells.square().sum(1, keepdim=True), 3, 1, 1).sqrt()
            found.append((cells / (around + 0.02)).flatten(1))
        return torch.cat(found, dim=1)

    return _reduced(histograms, train)


def patches(train: Pixels, name: str, num: int = 100, side: int = 6) -> Features:
    """Whitened patches against k-means centres, pooled in quarters (Coates & Ng 2011)."""
    some = to_float(torch.from_numpy(train[:1000]), -1.0, 1.0)
    rng = torch.Generator().manual_seed(0)
    rows = F.unfold(some, side).transpose(1, 2).flatten(0, 1)
    rows = rows[torch.randperm(len(rows), generator=rng)[:40_000]]
    mean = rows.mean(dim=0)
    variances, directions = torch.linalg.eigh(torch.cov((rows - mean).T).double())
    scale = (variances.clamp(min=0) + 0.02 * variances.mean()).rsqrt()
    whitening = (directions * scale @ directions.T).float()
    rows = (rows - mean) @ whitening
    centres = rows[:num].clone()
    for _ in range(15):
        nearest = torch.cdist(rows, centres).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
        count = torch.bincount(nearest, minlength=num)
        centres[count > 0] = sums[count > 0] / count[count > 0, None]
    channels = train.shape[1]
    kernel = (whitening @ centres.T).T.reshape(num, channels, side, side)
    bias = -(mean @ whitening @ centres.T)

    def pooled(images: Tensor) -> Tensor:
        product = F.conv2d(images, kernel, bias, stride=2)
        white = (F.unfold(images, side, stride=2) - mean[:, None]).transpose(1, 2) @ whitening
        own = white.square().sum(dim=2).view(len(images), 1, *product.shape[2:])
        away = (
            (own - 2 * product + centres.square().sum(dim=1).view(1, -1, 1, 1)).clamp(min=0).sqrt()
        )
        active = (away.mean(dim=1, keepdim=True) - away).clamp(min=0)
        return F.adaptive_avg_pool2d(active, 2).flatten(1)

    return _reduced(pooled, train)


BLURRED: Final = cn.ClassifierTraining(blur=1.0, noise=0.1)
"""Images are blurred and made noisy while a net learns, too."""


def rotations(train: Pixels, name: str) -> Features:
    """A net that has learnt by how many quarters an image is turned (Gidaris et al. 2018)."""
    few = train[:SHOWN]
    turned = np.concatenate([np.rot90(few, k, (2, 3)) for k in range(4)])
    net = cn.fit(turned, np.repeat(np.arange(4), len(few)), 4, images_shown=SHOWN)
    return net.features


def exemplars(train: Pixels, name: str, num: int = 512, training: Any = BLURRED) -> Features:
    """A net that tells images apart, each turned and moved in many ways (Dosovitskiy et al. 2014)."""
    few = train[:num]
    return cn.fit(few, np.arange(num), num, images_shown=SHOWN, training=training).features


def clusters(train: Pixels, name: str, num: int = 100, training: Any = BLURRED) -> Features:
    """A net that has learnt the clusters of histograms of gradients (Caron et al. 2018)."""
    few = train[:SHOWN]
    labels = _k_means(_in_blocks(gradients(train, name), few), num)
    return cn.fit(few, labels, num, images_shown=SHOWN, training=training).features


def contrast(train: Pixels, name: str) -> Features:
    """Two views of an image are alike, those of others are not (Chen et al. 2020, SimCLR)."""

    def loss(one: Tensor, two: Tensor) -> Tensor:
        both = F.normalize(torch.cat([one, two]))
        alike = both @ both.T / 0.2
        alike.fill_diagonal_(-1e9)
        num = len(one)
        return F.cross_entropy(alike, torch.arange(2 * num).roll(num))

    return _two_views(train, loss)


def of_photographs(train: Pixels, name: str) -> Features:
    """The classifier that comes with CIFAR-10."""
    return _opened("classifier", train, "cifar10")


def of_letters(train: Pixels, name: str) -> Features:
    """The classifier that comes with the EMNIST letters."""
    return _opened("classifier", train, "emnist-letters")


CANDIDATES: Final[dict[str, Candidate]] = {
    "random": random_net,
    "CIFAR-10's classifier": of_photographs,
    "letters' classifier": of_letters,
    "gradients": gradients,
    "exemplars": exemplars,
    "patches": patches,
    "clusters": clusters,
    "rotations": rotations,
    "contrast": contrast,
    "pixels": pixels,
}


def _opened(extractor: str, train: Pixels, dataset: str = "mnist") -> Features:
    opened = choose(extractor, open_dataset(dataset), ImageSet(train), None)

    def features(images: Tensor) -> Tensor:
        uint8 = ((images + 1) * 127.5).round().to(torch.uint8).numpy()
        return torch.from_numpy(opened(uint8)[0])

    return features


def _in_blocks(features: Features, images: Pixels) -> np.ndarray:
    with torch.inference_mode():
        parts = torch.from_numpy(images).split(250)
        return np.concatenate([features(to_float(part, -1.0, 1.0)).numpy() for part in parts])


def _reduced(features: Features, train: Pixels) -> Features:
    """The principal components of features, as they vary over training images."""
    found = torch.from_numpy(_in_blocks(features, train[:5000]))
    mean = found.mean(dim=0)
    _, directions = torch.linalg.eigh(torch.cov(found.T).double())
    leading = directions[:, -DIMS:].float()
    return lambda images: (features(images) - mean) @ leading


def _k_means(rows: np.ndarray, num: int) -> np.ndarray:
    points = torch.from_numpy(rows)
    centres = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))[:num]]
    for _ in range(15):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        count = torch.bincount(nearest, minlength=num)
        centres = torch.where(count[:, None] > 0, sums / count[:, None].clamp(min=1), centres)
    labels: np.ndarray = nearest.numpy()
    return labels


def _two_views(train: Pixels, loss: Callable[[Tensor, Tensor], Tensor]) -> Features:
    training = cn.ClassifierTraining()
    channels, height, width = train.shape[1:]
    net = cn.untrained((channels, height, width), 2, 0).train()
    rng = torch.Generator().manual_seed(0)
    pixels = torch.from_numpy(train)
    cn.whiten(net.whitening, to_float(pixels[:2000], -1.0, 1.0))
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 128))
    trained = [
        value for value in (*net.stages.parameters(), *head.parameters()) if value.requires_grad
    ]
    steps = SHOWN // 256  # of 128 images, each seen twice
    optimizer = torch.optim.AdamW(trained, lr=2e-3, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        chosen = pixels[torch.randint(len(pixels), (128,), generator=rng)]
        batch = to_float(chosen, -1.0, 1.0)
        views = [cn.augmented(batch, training, rng) for _ in range(2)]
        one, two = head(
            net.features(torch.cat(views).contiguous(memory_format=torch.channels_last))
        ).chunk(2)
        optimizer.zero_grad()
        loss(one, two).backward()
        optimizer.step()
        schedule.step()
    return net.eval().features


# The study


def distances(
    features: Features, reference: Pixels, changed: list[tuple[str, str, Pixels]]
) -> dict[str, list[float]]:
    metric = FrechetDistance()
    real = metric.statistics(Views(features=_in_blocks(features, reference)))
    found: dict[str, list[float]] = {}
    for kind, _, images in changed:
        value = metric.compare(real, Views(features=_in_blocks(features, images))).values[
            "distance"
        ]
        found.setdefault(kind, []).append(value)
    return found


def flat(of: dict[str, list[float]]) -> list[float]:
    return [value for values in of.values() for value in values]


def study(name: str, only: list[str], root: Path) -> list[dict[str, Any]]:
    dataset = open_dataset(name)
    train, test = (
        ImageSet(np.array(raw.images), raw.labels, raw.classes)
        for raw in (dataset.load(split, root) for split in ("train", "test"))
    )
    rng = np.random.default_rng(0)
    order = rng.permutation(len(test))
    reference = test.images[order[:NUM]]
    others = ImageSet(test.images[order[NUM:]], test.labels[order[NUM:]])
    changed = list(changes(others, rng))
    shuffled = rng.permutation(len(train))
    plain = cn.ClassifierTraining(turn=0, scale=0, shear=0, shift=0.04, mirror=name == "cifar10")
    second = cn.fit(train.images, train.labels, 10, images_shown=25_000, training=plain, seed=1)
    with torch.inference_mode():
        logits = _in_blocks(lambda images: second(images)[1], others.images[:NUM])
    print(
        f"{name}: second classifier {np.mean(logits.argmax(1) == others.labels[:NUM]):.3f}",
        flush=True,
    )
    bundled = choose("classifier", dataset, train, test)
    both: dict[str, Features] = {
        "its classifier": _opened("classifier", train.images, name),
        "second classifier": second.features,
    }
    truths = [distances(features, reference, changed) for features in both.values()]
    rows = []
    for candidate, make in (CANDIDATES | dict.fromkeys(both)).items():  # type: ignore[operator]
        if only and candidate not in only and make is not None:
            continue
        began = time.process_time()
        if make is None:
            features, found = both[candidate], truths[list(both).index(candidate)]
        elif candidate == f"{name}'s classifier" or (name, candidate) == (
            "cifar10",
            "CIFAR-10's classifier",
        ):
            continue  # the yardstick itself
        else:
            features = make(train.images[shuffled], name)
        learning = time.process_time() - began
        began = time.process_time()
        if make is not None:
            found = distances(features, reference, changed)
        took = time.process_time() - began
        ranks = [spearmanr(flat(found), flat(truth)).statistic for truth in truths]
        row = {
            "data set": name,
            "features": candidate,
            "rank": [float(rank) for rank in ranks],
            "learning": learning,
            "an image": 1e6 * took / NUM / (1 + len(flat(found))),
            "found": found,
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="mnist,fashion-mnist,cifar10")
    parser.add_argument("--only", default="")
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    root = Path(os.environ["GANVAS_DATA"])
    only = [name for name in options.only.split(",") if name]
    sets = options.sets.split(",")
    rows = [row for name in sets for row in study(name, only, root)]


if __name__ == "__main__":
    main()
