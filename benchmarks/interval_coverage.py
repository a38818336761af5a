"""How often the stated 95 % intervals hold: precision, recall, density, coverage and the score.

    python benchmarks/interval_coverage.py [--num N] [--pairs N] [--kinds real,blur]

Draws pairs of a set of real images and a set of fakes from MNIST's 70,000, no image in both, and
measures each pair. An interval should hold the mean over all pairs in 95 of 100 of them. Five kinds
of fakes: other real images; those without the threes; with noise of 60 grey levels; blurred by one
pixel; and 50 images, each again and again. Features and probabilities are those of the bundled
classifier, which was trained on 60,000 of the images. Sets are drawn from the same images, so the
spread between pairs is too small, by 2 % at 1,000 images and 7 % at 5,000 (in variance).

A line for each value: its mean, its spread over the pairs (standard deviation), the mean of what
the intervals say of it (half their width over 1.96), in how many pairs there is an interval, and
how many of these hold the mean. Needs scipy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from ganvas.config import Preprocess
from ganvas.data.catalogue import open_dataset
from ganvas.data.prepare import load_images
from ganvas.metrics.classes import ScoreAndShares
from ganvas.metrics.extractors.classifier import ClassifierFeatures
from ganvas.metrics.metric import Views
from ganvas.metrics.prdc import PrecisionRecallDensityCoverage

Seen = tuple[np.ndarray, np.ndarray]
"""Features and probabilities."""
DROPPED, REPEATED, NOISE, BLUR = 3, 50, 60, 1
KINDS = ("real", "dropped", "noise", "blur", "repeats")
VALUES = ("precision", "recall", "density", "coverage", "score")


def seen(cache: Path | None) -> tuple[dict[str, Seen], np.ndarray]:
    """All images as they are, with noise and blurred, and their labels."""
    dataset = open_dataset("mnist")
    train, test = (load_images(dataset, Preprocess(), split, None) for split in ("train", "test"))
    images = np.concatenate([train.images, test.images])
    extractor = ClassifierFeatures().open(dataset, train, test, None)
    rng = np.random.default_rng(0)
    made: dict[str, Callable[[], np.ndarray]] = {
        "plain": lambda: images,
        "noise": lambda: np.clip(images + rng.normal(0, NOISE, images.shape), 0, 255).round(),
        "blur": lambda: ndimage.gaussian_filter(images.astype(np.float32), (0, 0, BLUR, BLUR)),
    }
    found = {}
    for kind, make in made.items():
        file = cache / f"{kind}.npz" if cache else None
        if file and file.is_file():
            kept = np.load(file)
            found[kind] = kept["features"], kept["probabilities"]
            continue
        features, probabilities = extractor(np.asarray(make()).astype(np.uint8))
        assert probabilities is not None
        found[kind] = features, probabilities
        if file:
            np.savez(file, features=features, probabilities=probabilities)
    assert train.labels is not None and test.labels is not None
    return found, np.concatenate([train.labels, test.labels])


def pair(
    kind: str, num: int, rng: np.random.Generator, found: dict[str, Seen], labels: np.ndarray
) -> tuple[Seen, Seen]:
    """Real images and fakes of a kind."""
    order = rng.permutation(len(labels))
    if kind == "repeats":  # what a generator makes stays the same from pair to pair
        pool = np.random.default_rng(99).choice(len(labels), REPEATED, replace=False)
        order, fakes = order[~np.isin(order, pool)], rng.choice(pool, num)
    else:
        rest = order[num:]
        fakes = (rest[labels[rest] != DROPPED] if kind == "dropped" else rest)[:num]
    source = kind if kind in ("noise", "blur") else "plain"
    real, fake = found["plain"], found[source]
    return (real[0][order[:num]], real[1][order[:num]]), (fake[0][fakes], fake[1][fakes])


def measured(real: Seen, fake: Seen) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    metric, score = PrecisionRecallDensityCoverage(), ScoreAndShares()
    prdc = metric.compare(metric.statistics(Views(features=real[0])), Views(features=fake[0]))
    classes = score.compare(None, Views(probabilities=fake[1]))
    return prdc.values | classes.values, prdc.intervals | classes.intervals


def line(kind: str, num: int, key: str, values: list[float], intervals: list) -> str:
    mean, spread = np.mean(values), np.std(values, ddof=1)
    given = [interval for interval in intervals if interval is not None]
    start = f"| {num:,} | {kind} | {key} | {mean:.4f} | {spread:.4f} |"
    if not given:
        return f"{start} | 0 | |"
    stated = np.mean([(high - low) / 2 / 1.96 for low, high in given])
    held = np.mean([low <= mean <= high for low, high in given])
    return f"{start} {stated:.4f} | {len(given)} | {held:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--cache", type=Path, help="a folder that keeps what the classifier made")
    given = parser.parse_args()
    found, labels = seen(given.cache)
    print("| images | fakes | value | mean | spread | stated | with an interval | held |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in given.kinds.split(","):
        rows = []
        for number in range(given.pairs):
            rng = np.random.default_rng([number, given.num])
            rows.append(measured(*pair(kind, given.num, rng, found, labels)))
        for key in VALUES:
            of_key = [values[key] for values, _ in rows], [found.get(key) for _, found in rows]
            print(line(kind, given.num, key, *of_key), flush=True)


if __name__ == "__main__":
    main()
