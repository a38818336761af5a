"""A generator that takes labels: which classes it knows, by what names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from ganvas.generator import load

GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")


def test_a_saved_generator_knows_the_names_of_its_classes(labelled_generator: Path) -> None:
    saved = json.loads((labelled_generator / "config.json").read_text())
    assert saved["classes"] == list(GARMENTS)
    assert load(labelled_generator).classes == GARMENTS
    assert load(labelled_generator).num_classes == 5


def test_one_that_was_saved_without_names_has_numbers(
    labelled_generator: Path, tmp_path: Path
) -> None:
    older = Path(shutil.copytree(labelled_generator, tmp_path / "older"))
    settings = json.loads((older / "config.json").read_text())
    del settings["classes"]
    (older / "config.json").write_text(json.dumps(settings | {"num_classes": 5}))
    assert load(older).classes == ("0", "1", "2", "3", "4")
    labels = [4, 0, 2]
    images = load(labelled_generator).sample(3, labels=labels)
    assert np.array_equal(load(older).sample(3, labels=labels), images)
