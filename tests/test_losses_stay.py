"""The first losses of every recipe stay what they are, within what machines may differ by.

Each recipe takes six steps on the embedded digits. `python tests/test_losses_stay.py` writes the
stored losses anew, which is done when a change to the method is meant, and said in the changelog.
Equality to the bit, on one machine, is what tests/golden.py looks at.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ganvas
from ganvas import config
from ganvas.config.length import Lengths
from ganvas.data.loader import Loader
from ganvas.data.prepare import load_images
from ganvas.data.store import Store
from ganvas.training.joint import fewest_passes
from ganvas.training.state import new_state

STORED = Path(__file__).parent / "fixtures" / "first-losses.json"
STEPS = 6


def first_losses(recipe: str) -> dict[str, list[float]]:
    """D's and G's loss at each of the first steps, in float32."""
    settings: dict[str, object] = {"train.precision": "float32", "train.device": "cpu"}
    if "stacked" in recipe:
        settings |= {"penalty.weight": 1.0, "preprocess.channels": 3}  # where its ramp begins
    if "cifar10" in recipe:
        settings |= {"preprocess.image_size": 32, "preprocess.channels": 3}
    run = ganvas.resolve(recipe, data="digits", batch_size=8, settings=settings)
    data = load_images(run.data, run.preprocess, "train", None)
    device = torch.device("cpu")
    with torch.random.fork_rng():
        state = new_state(run, data.shape, device)
        store = Store(data, device, with_labels=False)
        lengths = Lengths.of(run, len(data))
        loader = Loader(store, lengths, run.train.order, run.seed, run.model.value_range)
        step = fewest_passes(run.update, run.loss, run.penalty, state.players.D)
        found: dict[str, list[float]] = {"D/loss": [], "G/loss": []}
        for _, indices in zip(range(STEPS), loader.indices(0), strict=False):
            scalars = step(state.players, run.loss, run.penalty, loader.batch(indices))
            for key, values in found.items():
                values.append(round(float(scalars[key]), 6))
    return found


@pytest.mark.slow_after(5)
@pytest.mark.parametrize("recipe", config.recipe_names())
def test_first_losses_stay(recipe: str) -> None:
    stored = json.loads(STORED.read_text())[recipe]
    for key, values in first_losses(recipe).items():
        assert values == pytest.approx(stored[key], rel=2e-3, abs=2e-3), key


if __name__ == "__main__":
    found = {recipe: first_losses(recipe) for recipe in config.recipe_names()}
    STORED.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} recipes in {STORED}")
