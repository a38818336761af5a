"""Generators to play with: loaded on use, a few kept, one drawing at a time."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ganvas import config
from ganvas.batch import Latents
from ganvas.classes import chosen
from ganvas.data.download import find
from ganvas.data.prepare import load_images
from ganvas.data.sources import SOURCES
from ganvas.drawing import draw, round_trip, with_standing_statistics
from ganvas.errors import RunError, UsageError, first_line
from ganvas.generator import Generator, load
from ganvas.models.fast.switch import use_fast
from ganvas.pixels import ImageSet, Pixels
from ganvas.registry import DATASETS, UnknownComponent

KEPT: Final = 6
"""Generators that are held in memory."""
PART: Final = 4096
"""Training images that are looked at together."""
NEIGHBOURS: Final = 8
"""Training images that are shown beside a sample."""


@dataclass(frozen=True)
class Source:
    """Which weights to draw with."""

    folder: Path
    """A saved generator's."""
    checkpoint: Path | None = None
    """A checkpoint's folder, whose G takes the place of the saved one."""
    raw: bool = False
    """G as it is trained, where the checkpoint holds an average of it too."""

    @property
    def stamp(self) -> tuple[Any, ...]:
        """Changes with the weights."""
        path = self.weights
        try:
            found = path.stat()
        except OSError:
            raise UsageError(f"'{path.parent.name}' is gone; choose another generator") from None
        return (str(path), found.st_mtime_ns, found.st_size, self.raw)

    @property
    def weights(self) -> Path:
        if self.checkpoint is not None:
            return self.checkpoint / "state.safetensors"
        return self.folder / "model.safetensors"


class Playroom:
    """Loads and draws. One thing at a time, so that training beside it keeps its cores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[Any, ...], Generator] = OrderedDict()
        self._real: tuple[str, Pixels] | None = None

    # Loading

    def facts(self, source: Source) -> dict[str, Any]:
        """What there is to ask of a generator."""
        generator = self.generator(source)
        latent = type(generator.latent).__name__
        return {
            "recipe": generator.recipe,
            "images": generator.images_seen or None,
            "shape": list(generator.shape),
            "dims": generator.latent.dims,
            "spherical": latent == "Normal",
            "uniform": latent == "Uniform",
            "bound": _bound(generator),
            "classes": list(generator.classes),
            "parameters": sum(value.numel() for value in generator.net.parameters()),
            "averaged": source.checkpoint is not None and _is_averaged(source.weights),
        }

    def generator(self, source: Source) -> Generator:
        """The generator, loaded if it is new or has changed.

        Raises:
            UsageError: it is damaged, gone, or made of components that are not imported.
        """
        with self._lock:
            key = source.stamp
            if key not in self._loaded:
                self._loaded[key] = _load(source)
                while len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    # Drawing

    def sample(
        self, source: Source, num: int, seed: int, label: str | None, truncation: float
    ) -> ImageSet:
        """The images that `ganvas sample` makes of a seed, uint8 (num, C, H, W)."""
        generator = self.generator(source)
        with self._lock:
            if label is None:
                return generator.labelled(num, seed, truncation)
            (index,) = chosen(label, generator.classes, "class")[:1]
            images = generator.sample(num, seed, index, truncation)
        return ImageSet(images, np.full(num, index), generator.classes)

    def latents(
        self, source: Source, num: int, seed: int, truncation: float
    ) -> dict[str, list[Any] | None]:
        """The latents of those images, and the classes that are drawn where none is asked for."""
        generator = self.generator(source)
        found = generator.latents(num, seed, truncation=truncation)
        labels = None if found.labels is None else found.labels.tolist()
        return {"z": found.z.tolist(), "classes": labels}

    def draw(self, source: Source, z: list[list[float]], labels: Sequence[int] | None) -> Pixels:
        """Images of latents, uint8 (n, C, H, W)."""
        generator = self.generator(source)
        latents = Latents(torch.tensor(z, dtype=torch.float32), _given(generator, labels, len(z)))
        with self._lock:
            return draw(generator.net, latents, generator.model)

    def walk(self, source: Source, seed: int, label: str | None, truncation: float) -> Pixels:
        """The frames of `ganvas sample --walk`."""
        generator = self.generator(source)
        with self._lock:
            return generator.walk(seed=seed, labels=label, truncation=truncation)

    def way(
        self, source: Source, points: list[list[float]], frames: int, labels: Sequence[int] | None
    ) -> Pixels:
        """A round trip through latents, uint8 (frames, C, H, W), as `Generator.walk` goes."""
        generator = self.generator(source)
        trip = round_trip(generator.latent, Latents(torch.tensor(points)), frames)
        return self.draw(source, trip.z.tolist(), list(labels[:1]) if labels else None)

    def nearest(self, source: Source, run: Path, image: Pixels) -> tuple[Pixels, list[float]]:
        """The training images nearest to one, (C, H, W), by their pixels, and how far they are.

        Distances are root mean squares of the difference, 0 to 1.

        Raises:
            UsageError: the data are not on this machine; nothing is downloaded for it.
        """
        with self._lock:
            real = self._training_images(run)
            if real.shape[1:] != image.shape:
                raise UsageError("the run's data have another shape than its generator's images")
            distances = np.concatenate(
                [_differences(real[i : i + PART], image) for i in range(0, len(real), PART)]
            )
            nearest = np.argsort(distances, kind="stable")[:NEIGHBOURS]
            return real[nearest], distances[nearest].tolist()

    def _training_images(self, run: Path) -> Pixels:
        if self._real is None or self._real[0] != str(run):
            self._real = None  # before the next is read, for two may be too much
            self._real = str(run), _training_images(run)
        return self._real[1]


def _load(source: Source) -> Generator:
    try:
        generator = load(source.folder)
    except UnknownComponent as error:
        raise UsageError(
            f"{error}; components of your own are made known by `ganvas studio --import FILE`"
        ) from None
    return generator if source.checkpoint is None else _of_checkpoint(generator, source)


def _of_checkpoint(generator: Generator, source: Source) -> Generator:
    """The generator with the weights that a checkpoint has of G, or of G's average."""
    path = source.weights
    net = copy.deepcopy(generator.net)
    expected = net.state_dict()
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            averaged = not source.raw and any(name.startswith("average.") for name in names)
            prefix = "average." if averaged else "G."
            shapes = {
                key: file.get_slice(prefix + key).get_shape()
                for key in expected
                if prefix + key in names
            }
            if shapes != {key: list(value.shape) for key, value in expected.items()}:
                raise UsageError(f"checkpoint '{path.parent.name}' does not fit its generator")
            weights = {key: file.get_tensor(prefix + key) for key in expected}
    except (OSError, SafetensorError, RuntimeError) as error:
        why = first_line(error)
        raise UsageError(f"checkpoint '{path.parent.name}' cannot be read: {why}") from None
    if any(not value.isfinite().all() for value in weights.values()):
        raise UsageError(f"checkpoint '{path.parent.name}' holds NaN or infinite values")
    net.load_state_dict({key: value.to(expected[key].dtype) for key, value in weights.items()})
    if generator.model.sample_mode == "batch":
        net = with_standing_statistics(net, generator.latent, classes=generator.named_classes)
        net.eval().requires_grad_(False)
        use_fast(net, True)
    return replace(generator, net=net, images_seen=0)


def _differences(images: Pixels, image: Pixels) -> NDArray[np.float64]:
    """Root mean squares of the differences between images and one, 0 to 1."""
    apart = images.astype(np.float32) - image
    squares: NDArray[np.float64] = np.square(apart, dtype=np.float64).mean(axis=(1, 2, 3))
    return np.sqrt(squares) / 255


def _is_averaged(weights: Path) -> bool:
    try:
        with safe_open(weights, "pt") as file:
            return any(name.startswith("average.") for name in file.keys())
    except (OSError, SafetensorError):
        return False


def _given(generator: Generator, labels: Sequence[int] | None, num: int) -> Tensor | None:
    """Class indices for a net that takes them; class 0 where none are asked for."""
    if not generator.num_classes:
        if labels:
            raise UsageError(f"classes: the generator of '{generator.recipe}' takes none")
        return None
    given = list(labels) if labels else [0]
    given = given * num if len(given) == 1 else given
    if len(given) != num or not all(0 <= one < generator.num_classes for one in given):
        raise UsageError(
            f"classes: allowed: one, or one a latent, from 0 to {generator.num_classes - 1}"
        )
    return torch.tensor(given)


def _bound(generator: Generator) -> float:
    """How far a latent's values go, for sliders."""
    latent: Any = generator.latent
    limit = getattr(latent, "limit", None) or getattr(latent, "high", None)
    return float(limit) if limit else 3.0


def _training_images(run: Path) -> Pixels:
    try:
        settings = config.load(run / "config.toml", to_train=False)
        name = DATASETS.name_of(settings.data)
        missing = [
            file.name
            for file in (SOURCES[name].files if name in SOURCES else ())
            if file.split == "train" and find(SOURCES[name], file, None) is None
        ]
        if missing:
            raise UsageError(
                f"the training images of '{name}' are not on this machine; "
                f"`ganvas data fetch {name}` brings them"
            )
        return load_images(settings.data, settings.preprocess, "train").images
    except RunError as error:
        raise UsageError(str(error)) from None
