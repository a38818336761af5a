"""Train the reference classifier of a data set, and bundle it with the package.

    python benchmarks/train_reference.py mnist [--epochs N] [--seed 0] [--data-root FOLDER]

Writes src/ganvas/pretrained/classifier-NAME/: model.safetensors, in half precision, and card.json
with its SHA-256, its accuracy on images that it was not trained on (of the weights as written) and
how it was trained. Those are the test split; of the EMNIST letters, whose train split is a large
download, the test split is the whole set here, and every fifth of its images is held out.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from ganvas.config import Preprocess
from ganvas.data.catalogue import open_dataset
from ganvas.data.datasets import EMNISTLetters
from ganvas.data.prepare import load_images
from ganvas.files import write_file
from ganvas.metrics.cache import sha256
from ganvas.metrics.extractors.classifier import of_card
from ganvas.metrics.extractors.classifier_net import (
    ClassifierTraining,
    fit,
    has_matrix_units,
    to_bytes,
)
from ganvas.pixels import ImageSet, fingerprint

TRAINING: dict[str, tuple[int, ClassifierTraining]] = {
    "alphabet": (2, ClassifierTraining(turn=0, shear=0, shift=0)),  # it comes turned and moved
    "cifar10": (
        8,
        ClassifierTraining(
            widths=(48, 160, 192), turn=0, scale=0, shear=0, shift=2 / 32, mirror=True
        ),
    ),
    "digits": (80, ClassifierTraining(batch_size=64)),
    "emnist-letters": (25, ClassifierTraining()),
    "fashion-mnist": (
        10,
        ClassifierTraining(
            widths=(32, 96, 160), turn=0, scale=0, shear=0, shift=1 / 28, mirror=True
        ),
    ),
    "mnist": (6, ClassifierTraining()),
}
"""Passes over the training images, and how they are used."""
HELD_OUT = 5
"""Of the EMNIST letters, every so many-th image tells the accuracy."""
PRETRAINED = Path(__file__).parent.parent / "src" / "ganvas" / "pretrained"


def splits(name: str, root: Path | None) -> tuple[ImageSet, ImageSet]:
    """Images to train on, and others to test on."""
    if name != "emnist-letters":
        dataset = open_dataset(name)
        return (
            load_images(dataset, Preprocess(), "train", root),
            load_images(dataset, Preprocess(), "test", root),
        )
    whole = load_images(EMNISTLetters(split="test"), Preprocess(), "train", root)
    assert whole.labels is not None
    unseen = np.arange(len(whole)) % HELD_OUT == 0
    return (
        ImageSet(whole.images[~unseen], whole.labels[~unseen], whole.classes),
        ImageSet(whole.images[unseen], whole.labels[unseen], whole.classes),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(TRAINING))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path)
    given = parser.parse_args()
    epochs, training = TRAINING[given.name]
    epochs = given.epochs or epochs

    train, test = splits(given.name, given.data_root)
    assert train.labels is not None and test.labels is not None
    start = time.perf_counter()

    def report(number: int, loss: float) -> None:
        passed = time.perf_counter() - start
        print(f"pass {number}: loss {loss:.4f}, {passed:.0f} s", flush=True)

    net = fit(
        train.images,
        train.labels,
        len(train.classes),
        images_shown=epochs * len(train),
        training=training,
        seed=given.seed,
        on_pass=report,
    )
    seconds = time.perf_counter() - start

    content = to_bytes(net)
    card = {
        "dataset": given.name,
        "shape": list(train.shape),
        "classes": list(train.classes),
        "widths": list(training.widths),
        "mirrored": training.mirror,
        "parameters": sum(value.numel() for value in net.parameters()),
        "sha256": sha256(content),
        "accuracy": None,  # of the weights as written, below
        "num_test": len(test),
        "tested_on": (
            "every fifth image of the published test split; trained on its other images"
            if given.name == "emnist-letters"
            else "the test split"
        ),
        "training": {
            **training.as_json(),
            "num_train": len(train),
            "split": "test" if given.name == "emnist-letters" else "train",  # the published one
            "train_sha256": fingerprint(train.images),
            "epochs": epochs,
            "seed": given.seed,
            "precision": "bfloat16" if has_matrix_units() else "float32",
            "torch": torch.__version__,
        },
    }
    _, probabilities = of_card(card, content, "classifier", "the classifier")(test.images)
    assert probabilities is not None
    accuracy = float(np.mean(probabilities.argmax(axis=1) == test.labels))
    card["accuracy"] = accuracy
    folder = PRETRAINED / f"classifier-{given.name}"
    write_file(folder / "model.safetensors", content)
    write_file(folder / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    print(
        f"{given.name}: {accuracy:.2%} of {len(test):,} test images, {len(content):,} bytes, "
        f"{seconds:.0f} s: {folder}"
    )


if __name__ == "__main__":
    main()
