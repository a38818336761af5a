"""Which features see what two classifiers see? A rank correlation for each candidate.

    python benchmarks/features.py [--sets mnist,cifar10] [--only random,labels] [--rows FILE]

1,000 test images are compared with 1,000 others, as they are and changed: classes left out,
repeats, noise, blur, shifts. What a candidate is good for is Spearman's correlation, over these 22
sets, of its Fréchet distances with those in the features of a classifier; of two: the one that
comes with the data set, and one trained here in another way. Candidates learn from training images,
all nets but `labels` without labels, and from as many images shown. Seconds and microseconds are
of one processor core. `--rows` keeps each candidate's distances as soon as they are there, and what
is there already is not done again. Needs the data sets in GANVAS_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import platformdirs
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from torch import Tensor, nn

from ganvas.data.catalogue import open_dataset
from ganvas.data.datasets import NPZ
from ganvas.images import to_float
from ganvas.metrics.extractors import classifier_net as cn
from ganvas.metrics.extractors import taught
from ganvas.metrics.extractors.choice import choose
from ganvas.metrics.extractors.learned import SHOWN, clustered, histograms
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.metric import Views
from ganvas.pixels import ImageSet, Pixels

NUM: Final = 1_000
"""Images of each side."""
DIMS: Final = 128
"""Features left by PCA."""

Features = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [-1, 1] to features (N, d)."""
Candidate = Callable[[ImageSet], Features]
"""Training images to features."""
YARDSTICKS: Final = "its classifier", "second classifier"


# What is done to images


def changes(test: ImageSet, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    """A kind, and images that were changed in that way; `test` holds none of the reference."""
    assert test.labels is not None
    base = test.images[:NUM]
    yield "real", base
    for missing in ([1], [4], [7], [0, 5], [2, 3, 4], [5, 6, 7, 8, 9]):
        yield "classes", test.images[~np.isin(test.labels, missing)][:NUM]
    two = test.images[np.isin(test.labels, [8, 9])]
    yield "classes", two[rng.integers(0, len(two), NUM)]
    for distinct in (500, 100, 20):
        yield "repeats", base[rng.integers(0, distinct, NUM)]
    for level in (5, 10, 30, 60):
        noisy = base + rng.normal(0, level, base.shape)
        yield "noise", noisy.round().clip(0, 255).astype(np.uint8)
    for sigma in (0.5, 0.7, 1.0, 2.0):
        blurred = gaussian_filter(base.astype(np.float32), (0, 0, sigma, sigma))
        yield "blur", blurred.round().clip(0, 255).astype(np.uint8)
    for by in (1, 2, 4):
        yield "shift", np.pad(base, ((0, 0), (0, 0), (0, 0), (by, 0)), mode="edge")[..., :-by]


# Candidates


def random_net(train: ImageSet) -> Features:
    """Of a net with fixed random weights."""
    return _opened("random", train)


def pixels(train: ImageSet) -> Features:
    """Pixels, 128 principal components."""
    return _reduced(lambda images: images.flatten(1), train.images)


def gradients(train: ImageSet) -> Features:
    """Histograms of oriented gradients (Dalal & Triggs 2005), 128 principal components."""
    return _reduced(histograms, train.images)


def patches(train: ImageSet, num: int = 100, side: int = 6) -> Features:
    """Whitened patches against k-means centres, pooled in quarters (Coates & Ng 2011), likewise."""
    some = to_float(torch.from_numpy(train.images[:1000]), -1.0, 1.0)
    rng = torch.Generator().manual_seed(0)
    rows = F.unfold(some, side).transpose(1, 2).flatten(0, 1)
    rows = rows[torch.randperm(len(rows), generator=rng)[:40_000]]
    mean = rows.mean(dim=0)
    variances, directions = torch.linalg.eigh(torch.cov((rows - mean).T).double())
    scale = (variances.clamp(min=0) + 0.02 * variances.mean()).rsqrt()
    whitening = (directions * scale @ directions.T).float()
    found = KMeans(num, n_init=1, max_iter=15, random_state=0).fit((rows - mean) @ whitening)
    centres = torch.from_numpy(found.cluster_centers_).float()

    def pooled(images: Tensor) -> Tensor:
        white = (F.unfold(images, side, stride=2).transpose(1, 2) - mean) @ whitening
        away = torch.cdist(white, centres.expand(len(white), -1, -1))
        active = (away.mean(dim=2, keepdim=True) - away).clamp(min=0).transpose(1, 2)
        height, width = ((length - side) // 2 + 1 for length in images.shape[2:])
        return F.adaptive_avg_pool2d(active.unflatten(2, (height, width)), 2).flatten(1)

    return _reduced(pooled, train.images)


def rotations(train: ImageSet) -> Features:
    """Of a net that learns by how many quarters an image is turned (Gidaris et al. 2018)."""
    few = train.images[: SHOWN // 4]
    turned = np.concatenate([np.rot90(few, k, (2, 3)) for k in range(4)])
    return _fitted(turned, np.repeat(np.arange(4), len(few)))


def exemplars(train: ImageSet, num: int = 512) -> Features:
    """Of a net that tells 512 images apart, changed in many ways (Dosovitskiy et al. 2014)."""
    return _fitted(train.images[:num], np.arange(num))


def contrast(train: ImageSet) -> Features:
    """Of a net to which two views of an image are alike, others not (Chen et al. 2020, SimCLR)."""
    net = cn.untrained(train.shape, 2, 0).train()
    rng = torch.Generator().manual_seed(0)
    pixels = torch.from_numpy(train.images)
    cn.whiten(net.whitening, cn.augmented(to_float(pixels[:2000], -1.0, 1.0), taught.TRAINING, rng))
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 128))
    weights = [value for value in net.stages.parameters() if value.requires_grad]
    weights += head.parameters()
    steps, half = SHOWN // 256, 128  # images a step, each seen twice
    optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        batch = to_float(pixels[torch.randint(len(pixels), (half,), generator=rng)], -1.0, 1.0)
        views = torch.cat([cn.augmented(batch, taught.TRAINING, rng) for _ in range(2)])
        found = head(net.features(views.contiguous(memory_format=torch.channels_last)))
        alike = F.normalize(found) @ F.normalize(found).T / 0.2
        alike.fill_diagonal_(-1e9)
        optimizer.zero_grad()
        F.cross_entropy(alike, torch.arange(2 * half).roll(half)).backward()
        optimizer.step()
        schedule.step()
    return net.eval().features


def clusters_30(train: ImageSet) -> Features:
    """Of a net that learns 30 clusters of histograms of gradients (Caron et al. 2018)."""
    few = train.images[:SHOWN]
    return _fitted(few, clustered(few, 30))


def clusters_100(train: ImageSet) -> Features:
    """The same with 100 clusters."""
    few = train.images[:SHOWN]
    return _fitted(few, clustered(few, 100))


def of_photographs(train: ImageSet) -> Features:
    """Of the classifier that comes with CIFAR-10."""
    return _opened("classifier", train, "cifar10")


def of_letters(train: ImageSet) -> Features:
    """Of the classifier that comes with the EMNIST letters."""
    return _opened("classifier", train, "emnist-letters")


def labelled(train: ImageSet) -> Features:
    """Of a classifier trained on the spot, with labels."""
    return _opened("classifier", train, "")


CANDIDATES: Final[dict[str, Candidate]] = {
    "random": random_net,
    "clusters 30": clusters_30,
    "clusters 100": clusters_100,
    "exemplars": exemplars,
    "letters": of_letters,
    "gradients": gradients,
    "labels": labelled,
    "rotations": rotations,
    "contrast": contrast,
    "photographs": of_photographs,
    "pixels": pixels,
    "patches": patches,
}


def _fitted(images: Pixels, labels: np.ndarray) -> Features:
    num = int(labels.max()) + 1
    shown = SHOWN
    return cn.fit(images, labels, num, images_shown=shown, training=taught.TRAINING).features


def _opened(extractor: str, train: ImageSet, dataset: str = "mnist") -> Features:
    opened = choose(
        extractor, open_dataset(dataset) if dataset else NPZ(path="own.npz"), train, None
    )
    if dataset == "":
        print(opened.note, flush=True)

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


# The study


def distances(
    features: Features, reference: Pixels, changed: list[tuple[str, Pixels]]
) -> dict[str, list[float]]:
    metric = FrechetDistance()
    real = metric.statistics(Views(features=_in_blocks(features, reference)))
    found: dict[str, list[float]] = {}
    for kind, images in changed:
        views = Views(features=_in_blocks(features, images))
        found.setdefault(kind, []).append(metric.compare(real, views).values["distance"])
    return found


def study(
    name: str, root: Path, known: list[dict[str, Any]], only: list[str]
) -> Iterator[dict[str, Any]]:
    """A row a candidate that is not `known`; those of the classifiers first."""
    dataset = open_dataset(name)
    train, test = (
        ImageSet(np.array(raw.images), raw.labels, raw.classes)
        for raw in (dataset.load(split, root) for split in ("train", "test"))
    )
    assert train.labels is not None and test.labels is not None
    rng = np.random.default_rng(0)
    order = rng.permutation(len(test))
    reference = test.images[order[:NUM]]
    others = ImageSet(test.images[order[NUM:]], test.labels[order[NUM:]])
    changed = list(changes(others, rng))
    order = rng.permutation(len(train))
    train = ImageSet(train.images[order], train.labels[order], train.classes)

    def second(train: ImageSet) -> Features:
        assert train.labels is not None
        plain = cn.ClassifierTraining(
            turn=0, scale=0, shear=0, shift=0.04, mirror=train.shape[0] == 3
        )
        net = cn.fit(train.images, train.labels, 10, images_shown=25_000, training=plain, seed=1)
        return net.features

    yardsticks = {
        YARDSTICKS[0]: lambda train: _opened("classifier", train, name),
        YARDSTICKS[1]: second,
    }
    passed_over = {row["features"] for row in known if row["set"] == name}
    passed_over |= {"photographs"} if name == "cifar10" else set()  # the yardstick itself
    for candidate, make in {**yardsticks, **{one: CANDIDATES[one] for one in only}}.items():
        if candidate in passed_over:
            continue
        began = time.process_time()
        features = make(train)
        learning, began = time.process_time() - began, time.process_time()
        found = distances(features, reference, changed)
        passing = 1e6 * (time.process_time() - began) / NUM / (len(changed) + 1)
        yield {
            "set": name,
            "features": candidate,
            "learning": learning,
            "passing": passing,
            "found": found,
        }


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Rank correlations with both classifiers, and how many times the real images' distance."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    by = {(row["set"], row["features"]): row for row in rows}
    yield "| features | " + " | ".join(sets) + " | mean | learning, s | an image, µs |"
    yield "|---|" + "---|" * (len(sets) + 3)
    for candidate in dict.fromkeys(row["features"] for row in rows):
        mine = [by[name, candidate] for name in sets if (name, candidate) in by]
        ranks = [_ranks(row, by) for row in mine]
        cells = {
            row["set"]: " / ".join(f"{r:.2f}" for r in rank)
            for row, rank in zip(mine, ranks, strict=True)
        }
        mean = f"{np.mean(ranks):.2f}" if len(ranks) == len(sets) else ""
        learning, passing = (
            np.median([row[key] for row in mine]) for key in ("learning", "passing")
        )
        shown = " | ".join(cells.get(name, "") for name in sets)
        yield f"| {candidate} | {shown} | {mean} | {learning:.0f} | {passing:.0f} |"
    yield ""
    columns = {
        "a class missing": ("classes", slice(0, 3)),
        "five missing": ("classes", slice(5, 6)),
        "100 distinct": ("repeats", slice(1, 2)),
        "noise 10": ("noise", slice(1, 2)),
        "blur 1": ("blur", slice(2, 3)),
        "shift 2": ("shift", slice(1, 2)),
    }
    for name in sets:
        yield f"| {name}, times the distance of real images | " + " | ".join(columns) + " |"
        yield "|---|" + "---|" * len(columns)
        for row in rows:
            if row["set"] == name:
                found = row["found"]
                times = [
                    np.mean(found[kind][part]) / found["real"][0] for kind, part in columns.values()
                ]
                yield f"| {row['features']} | " + " | ".join(f"{t:.3g}" for t in times) + " |"
        yield ""


def _ranks(row: dict[str, Any], by: dict[tuple[str, str], dict[str, Any]]) -> list[float]:
    def flat(of: dict[str, Any]) -> list[float]:
        return [value for values in of["found"].values() for value in values]

    return [
        float(spearmanr(flat(row), flat(by[row["set"], yardstick])).statistic)
        for yardstick in YARDSTICKS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="mnist,fashion-mnist,cifar10")
    parser.add_argument("--only", default=",".join(CANDIDATES))
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    root = Path(os.environ["GANVAS_DATA"])
    lines = options.rows.read_text().splitlines() if options.rows and options.rows.exists() else []
    rows = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as cache:
        platformdirs.user_cache_dir = lambda app: cache  # nothing is known from an earlier time
        for name in options.sets.split(","):
            for row in study(name, root, rows, options.only.split(",")):
                rows.append(row)
                print(row["set"], row["features"], f"{row['learning']:.1f} s", flush=True)
                if options.rows:
                    with options.rows.open("a") as file:
                        file.write(json.dumps(row) + "\n")
    text = "\n".join(table(rows))
    print(text)
    if options.save:
        about = f"{platform.processor() or platform.machine()}, torch {torch.__version__}, "
        about += f"{NUM} images a side, {SHOWN:,} images shown, {date.today()}"
        options.save.write_text(f"# Which features see what classifiers see\n\n{about}\n\n{text}")


if __name__ == "__main__":
    main()
