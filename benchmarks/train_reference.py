"""Train the reference classifier of a data set, and bundle it with the package.

    python benchmarks/train_reference.py mnist [--epochs 12] [--seed 0] [--data-root FOLDER]

Writes src/ganvas/pretrained/classifier-NAME/: model.safetensors, in half precision, and card.json
with its SHA-256, its accuracy on the test split (of the weights as written) and how it was trained.
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
from ganvas.data.prepare import fingerprint, load_images
from ganvas.files import write_file
from ganvas.metrics import classifier
from ganvas.metrics.features import Extractor

PRETRAINED = Path(__file__).parent.parent / "src" / "ganvas" / "pretrained"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path)
    given = parser.parse_args()

    dataset = open_dataset(given.name)
    train, test = (
        load_images(dataset, Preprocess(), split, given.data_root) for split in ("train", "test")
    )
    assert train.labels is not None and test.labels is not None
    start = time.perf_counter()
    net = classifier.fit(
        train.images,
        train.labels,
        len(train.classes),
        images_shown=given.epochs * len(train),
        seed=given.seed,
    )
    seconds = time.perf_counter() - start

    content = classifier.to_bytes(net)
    written = classifier.from_bytes(content, train.shape, len(train.classes), "the classifier")
    found = Extractor.of_classifier(written, content, "classifier", train.shape)(test.images)
    assert found.probabilities is not None
    accuracy = float(np.mean(found.probabilities.argmax(axis=1) == test.labels))
    card = {
        "dataset": given.name,
        "shape": list(train.shape),
        "classes": list(train.classes),
        "features": classifier.DIMS,
        "parameters": sum(value.numel() for value in net.parameters()),
        "sha256": classifier.sha256(content),
        "accuracy": accuracy,
        "num_test": len(test),
        "training": {
            **classifier.RECIPE,
            "num_train": len(train),
            "train_sha256": fingerprint(train.images),
            "epochs": given.epochs,
            "seed": given.seed,
            "precision": "bfloat16" if classifier.has_matrix_units() else "float32",
            "torch": torch.__version__,
        },
    }
    folder = PRETRAINED / f"classifier-{given.name}"
    write_file(folder / "model.safetensors", content)
    write_file(folder / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    print(
        f"{given.name}: {accuracy:.2%} of {len(test):,} test images, {len(content):,} bytes, "
        f"{seconds:.0f} s: {folder}"
    )


if __name__ == "__main__":
    main()
