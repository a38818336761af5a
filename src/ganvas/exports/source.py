"""The generator that is exported, and what its exports are held against."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ganvas.batch import Latents
from ganvas.card import Card
from ganvas.drawing import generate
from ganvas.errors import UsageError
from ganvas.generator import WEIGHTS, Generator, card_of, folder_of, load
from ganvas.models.fast.switch import use_fast
from ganvas.seeds import stream

Floats = NDArray[np.float32]

BATCHES: Final = (1, 2, 7)
"""The sizes of batch that an export is tried with."""


@dataclass(frozen=True)
class Source:
    """A saved generator with what is known of it."""

    generator: Generator
    folder: Path
    card: Card
    weights_sha256: str
    """Of the file of weights."""

    @property
    def value_range(self) -> tuple[float, float]:
        return self.generator.model.value_range

    def latents(self, num: int) -> Latents:
        """Fixed latents to compare with, and classes in turn where the model takes labels."""
        rng = torch.Generator().manual_seed(stream(0, "export"))
        classes = self.generator.num_classes
        labels = torch.arange(num) % classes if classes else None
        return Latents(self.generator.latent.sample(num, rng), labels)

    def images(self, latents: Latents) -> Floats:
        """What the net itself draws, float32 (N, C, H, W) in the model's value range."""
        with torch.inference_mode():
            images: Floats = generate(self.generator.net, latents).numpy()
        return images

    def plain_net(self) -> nn.Module:
        """A copy of the net, each layer in its plain form."""
        net = copy.deepcopy(self.generator.net)
        use_fast(net, False)
        return net

    def facts(self) -> dict[str, str]:
        """What an export keeps of where it comes from."""
        low, high = self.value_range
        classes = self.generator.classes
        named = {"classes": json.dumps(classes, ensure_ascii=False)} if classes else {}
        origin = {"origin": self.card.origin} if self.card.origin else {}
        return {
            **origin,
            "recipe": self.card.recipe,
            "seed": str(self.card.seed),
            "data": self.card.data,
            "data_sha256": self.card.data_sha256,
            "images_seen": str(self.card.images_seen),
            "latent": repr(self.generator.latent),
            **named,
            "value_range": f"{low:g} {high:g}",
            "weights_sha256": self.weights_sha256,
        }


def open_source(what: str | Path, licence: str | None = None) -> Source:
    """The generator of a run folder or a saved generator's folder, under a licence if one is given.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    folder = folder_of(what)
    generator = load(folder)
    if not all(value.isfinite().all() for value in generator.net.state_dict().values()):
        raise UsageError(f"'{folder / WEIGHTS}' is damaged: it holds values that are not finite")
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    found = card_of(generator, folder)
    card = found if licence is None else dataclasses.replace(found, licence=licence)
    return Source(generator, folder, card, digest)


def largest_difference(source: Source, draw: Callable[[Latents], NDArray[Any]]) -> float:
    """How far images that `draw` makes of latents are from the source's, in its value range.

    Images in uint8 may be off by half a step for being whole numbers; that does not count.
    """
    low, high = source.value_range
    largest, start = [], 0
    latents = source.latents(sum(BATCHES))
    for size in BATCHES:
        z, labels = latents.z[start : start + size], latents.labels
        batch = Latents(z, None if labels is None else labels[start : start + size])
        start += size
        expected, found = source.images(batch), draw(batch)
        if found.dtype == np.uint8:
            step = (high - low) / 255
            images = low + step * found.astype(np.float64)
            off = np.abs(images - np.clip(expected, low, high)) - step / 2
        else:
            off = np.abs(found.astype(np.float64) - expected)
        largest.append(off.max())
    return float(np.maximum(0.0, np.max(largest)))  # NaN stays NaN
