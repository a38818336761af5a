"""A trained generator: saved, loaded, sampled.

Images are made in fixed groups of `GROUP`, so that a seed stands for one endless row of images:
the first ten of a hundred are the ten that one gets when asking for ten.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ganvas import card, compact, config, pretrained
from ganvas.batch import Latents
from ganvas.card import Card
from ganvas.classes import Classes, chosen, numbered
from ganvas.config import Run
from ganvas.drawing import (
    GROUP,
    NONE,
    draw,
    generate,
    random_classes,
    round_trip,
    truncated,
    with_standing_statistics,
)
from ganvas.errors import UsageError, first_line, printable
from ganvas.files import is_utf8, write_file, writing
from ganvas.models.fast.switch import use_fast
from ganvas.models.layers import ClassEmbedding
from ganvas.pixels import ImageSet, Pixels, Shape
from ganvas.protocols import Latent, Model, build_generator
from ganvas.registry import UnknownComponent
from ganvas.rundir.lines import content_of
from ganvas.seeds import stream

Labels = str | int | Sequence[str | int] | None
"""One class for all images or one an image, by name or number."""
MAX_BYTES: Final = 4 << 30
"""The most that the images of one call may take in memory."""
MAX_CLASSES: Final = 1 << 20
"""So that a damaged number takes no memory."""
FORMAT: Final = 1
_CONFIG: Final = card.CONFIG
_CARD: Final = "README.md"
WEIGHTS: Final = "model.safetensors"


@dataclass(frozen=True)
class Generator:
    """A generator that makes images."""

    net: nn.Module
    model: Model
    latent: Latent
    shape: Shape
    """Channels, height and width of an image."""
    recipe: str
    images_seen: int
    """Real images shown in training."""
    classes: tuple[str, ...] = ()
    """Names of the classes that can be asked for; none if the model takes no labels."""
    class_counts: tuple[int, ...] = ()
    """Training images of each class; none where that is not known."""

    @property
    def num_classes(self) -> int:
        """Classes that can be asked for."""
        return len(self.classes)

    @property
    def named_classes(self) -> Classes:
        """Those that can be asked for, with the number of training images of each."""
        return Classes(self.classes, self.class_counts)

    def batches(
        self, num: int, seed: int = 0, labels: Labels = None, truncation: float = 1.0
    ) -> Iterator[Pixels]:
        """`num` images as uint8 arrays of at most GROUP, shape (n, C, H, W)."""
        for start, group in zip(
            range(0, num, GROUP), self._groups(num, seed, labels, truncation), strict=True
        ):
            yield self(group.z, group.labels)[: num - start]

    def latents(
        self, num: int, seed: int = 0, labels: Labels = None, truncation: float = 1.0
    ) -> Latents:
        """What `sample` draws its images from; raises as it does."""
        self._check_num(num)
        groups = list(self._groups(num, seed, labels, truncation))
        classes = [group.labels for group in groups if group.labels is not None]
        z = torch.cat([group.z for group in groups])[:num]
        return Latents(z, torch.cat(classes) if classes else None)

    def _groups(self, num: int, seed: int, labels: Labels, truncation: float) -> Iterator[Latents]:
        """GROUP latents at a time, also at the end, and the classes of those that are wanted."""
        classes = self._labels(num, seed, labels)
        rng = torch.Generator().manual_seed(stream(seed, "sample"))
        for start in range(0, num, GROUP):
            some = None if classes is None else classes[start : start + GROUP]
            yield Latents(truncated(self.latent, self.latent.sample(GROUP, rng), truncation), some)

    def sample(
        self, num: int = 25, seed: int = 0, labels: Labels = None, truncation: float = 1.0
    ) -> Pixels:
        """`num` images, uint8 (num, C, H, W); a seed gives the same ones whatever the number.

        `labels` are the classes that the images are to be of, by name or number: one for all, or
        one an image. Without them a model that takes labels draws its classes at random, each as
        often as in its training data. `truncation` below 1 takes latents so much nearer to their
        mean: fewer kinds of images, and more typical ones.

        Raises:
            UsageError: `num` below 1, or so large that the images would take more than MAX_BYTES,
                where `batches` gives them one after another; labels that the model does not take,
                or not one an image; a truncation outside [0, 1].
        """
        self._check_num(num)
        return np.concatenate(list(self.batches(num, seed, labels, truncation)))

    def labelled(self, num: int, seed: int = 0, truncation: float = 1.0) -> ImageSet:
        """The images that `sample` makes without being given labels, and the classes drawn."""
        self._check_num(num)
        labels = self._labels(num, seed, None)
        images = np.concatenate(list(self.batches(num, seed, truncation=truncation)))
        return ImageSet(images, None if labels is None else labels.numpy(), self.classes)

    def _check_num(self, num: int) -> None:
        most = MAX_BYTES // math.prod(self.shape)
        if not 1 <= num <= most:
            raise UsageError(
                f"--num: found {num:,}; allowed: 1 to {most:,}, which take {MAX_BYTES >> 30} GiB"
            )

    def _labels(self, num: int, seed: int, labels: Labels) -> Tensor | None:
        if labels is None:
            rng = torch.Generator().manual_seed(stream(seed, "classes"))
            return random_classes(num, self.named_classes, rng) if self.classes else None
        if isinstance(labels, str | int | np.integer):
            return torch.full((num,), chosen(labels, self.classes, "labels")[0])
        if len(labels) != num:
            raise UsageError(f"labels: found {len(labels)}; allowed: one, or {num}, one an image")
        return torch.tensor(chosen(labels, self.classes, "labels"))

    def walk(
        self,
        frames: int = 60,
        stops: int = 5,
        seed: int = 0,
        labels: Labels = None,
        truncation: float = 1.0,
    ) -> Pixels:
        """A round trip in latent space by way of `stops` random points, uint8 (frames, C, H, W).

        With one class in `labels` all images are of it. With several the latent stays as it is, and
        the trip goes from class to class in the place of `stops`. With none a model that takes
        labels has a class drawn at random at each stop. Between two classes their embeddings are
        mixed.
        """
        classes = [] if labels is None else chosen(labels, self.classes, "labels")
        tour = len(classes) > 1
        stops = len(classes) if tour else stops
        if frames < stops:
            raise UsageError(
                f"walk: found {frames} frames for {stops} stops; allowed: {stops} or more"
            )
        rng = torch.Generator().manual_seed(stream(seed, "walk"))
        points = truncated(self.latent, self.latent.sample(1 if tour else stops, rng), truncation)
        at = Latents(points.expand(stops, -1), self._shares(classes, stops, rng))
        trip = round_trip(self.latent, at, frames)
        groups = torch.split(trip.z, GROUP)
        if trip.labels is None:
            return np.concatenate([self(group) for group in groups])
        pairs = zip(groups, torch.split(trip.labels, GROUP), strict=True)
        return np.concatenate([self(*pair) for pair in pairs])

    def _shares(self, classes: list[int], stops: int, rng: torch.Generator) -> Tensor | None:
        """(stops, classes): which class is meant at each stop, as 1 in its place."""
        if not self.classes:
            return None
        if not any(isinstance(module, ClassEmbedding) for module in self.net.modules()):
            raise UsageError(
                f"walk: the generator of '{self.recipe}' takes whole classes only; its nets need "
                "ganvas.models.layers.ClassEmbedding to mix them"
            )
        if classes:
            at = torch.tensor(classes).expand(stops)
        else:
            at = random_classes(stops, self.named_classes, rng)
        return nn.functional.one_hot(at, len(self.classes)).float()

    def __call__(self, z: Tensor, labels: Tensor | None = None) -> Pixels:
        """Latents (n, dims), n at most GROUP, to uint8 (n, C, H, W).

        `labels` are class indices (n,), or how much of each class, (n, classes).
        """
        device = next(self.net.parameters()).device
        padded = torch.zeros(GROUP, self.latent.dims, device=device)
        padded[: len(z)] = z.to(device)
        if labels is not None:
            classes = torch.zeros(GROUP, *labels.shape[1:], dtype=labels.dtype, device=device)
            classes[: len(labels)] = labels.to(device)
            labels = classes
        return draw(self.net, Latents(padded, labels), self.model)[: len(z)]


def snapshot(
    run: Run, net: nn.Module, shape: Shape, images_seen: int, classes: Classes = NONE
) -> Generator:
    """A copy of a net in training, on the processor: what `load` finds once it has been saved.

    `classes` are those that the net is told.
    """
    if run.model.sample_mode == "batch":
        net = with_standing_statistics(net, run.latent, classes=classes)
    weights = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in net.state_dict().items()
    }
    with torch.device("meta"):
        copied = build_generator(run.model, shape, run.latent.dims, len(classes))
    copied.load_state_dict(weights, assign=True)
    copied.eval().requires_grad_(False)
    use_fast(copied, True)
    known = classes.names, classes.counts
    return Generator(copied, run.model, run.latent, shape, run.recipe, images_seen, *known)


def save_generator(
    folder: Path, run: Run, generator: Generator, training: dict[str, Any] | None = None
) -> None:
    """Write a run's generator as `load` reads it: config.json, model.safetensors and a card.

    `training` is what config.json says of its training, if it was not trained by `run`. Nothing is
    written if it is there already, and whole. Otherwise the old card goes first, so that a kill
    leaves none rather than that of other weights.
    """
    tables = config.to_tables(run)
    settings = {
        "format": FORMAT,
        "recipe": run.recipe,
        "model": tables["model"],
        "latent": tables["latent"],
        "shape": list(generator.shape),
        "training": training or card.provenance(run, folder),
    }
    if run.imports:
        settings["imports"] = list(run.imports)
    if generator.classes:
        settings["classes"] = list(generator.classes)
        if generator.class_counts:
            settings["class_counts"] = list(generator.class_counts)
    weights = save(generator.net.state_dict(), {"images_seen": str(generator.images_seen)})
    contents = {WEIGHTS: weights, _CONFIG: json.dumps(settings, indent=1).encode()}
    if any(content_of(folder / name) != content for name, content in contents.items()):
        with writing(folder):
            (folder / _CARD).unlink(missing_ok=True)
        for name, content in contents.items():
            write_file(folder / name, content)
    write_card(generator, folder)


def write_card(generator: Generator, folder: Path) -> None:
    """Write README.md of a generator that is saved in `folder`, with what was measured by now."""
    text = card_of(generator, folder).text().encode()
    if content_of(folder / _CARD) != text:
        write_file(folder / _CARD, text)


def card_of(generator: Generator, folder: Path) -> Card:
    """The card of a generator that is saved in `folder`."""
    parameters = sum(value.numel() for value in generator.net.parameters())
    return card.read(folder, parameters, generator.images_seen, generator.classes)


def folder_of(what: str | Path) -> Path:
    """Where the generator of a run folder, a saved, a pretrained or a hub's one has its files.

    Raises:
        UsageError: there is none.
        RunError: the hub cannot be reached.
    """
    folder = pretrained.located(what)
    if not folder.exists():
        raise pretrained.missing(what)
    if (folder / "generator").is_dir():
        folder = folder / "generator"
    if not (folder / _CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise UsageError(
            f"'{what}' holds no generator ({_CONFIG} and {WEIGHTS}); allowed: {pretrained.ALLOWED}"
        )
    return folder


def load(what: str | Path) -> Generator:
    """The generator of a run folder or a saved generator's folder, a pretrained one by its name or
    one of the Hugging Face hub as hf:OWNER/NAME, ready to sample.

    Nothing in the folder is executed, and the weights' sizes are checked before they are read.

    Raises:
        UsageError: there is no generator, or it is damaged.
        UnknownComponent: its model or latent is not ganvas's own, and has not been imported.
    """
    if not is_utf8(what):
        named = printable(str(what))
        raise UsageError(f"'{named}' has a name that is not UTF-8, as weights need; rename it")
    folder = folder_of(what)
    try:
        settings = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        if settings["format"] != FORMAT:
            raise ValueError(f"format {settings['format']}; this version reads {FORMAT}")
        model = config.component("model", settings["model"])
        latent = config.component("latent", settings["latent"])
        channels, height, width = (_count(size, "shape", least=1) for size in settings["shape"])
        recipe = printable(str(settings["recipe"]))
        classes = _classes(settings)
        shape = (channels, height, width)
        with torch.device("meta"):  # shapes only: no memory yet
            net = build_generator(model, shape, latent.dims, len(classes))
    except UnknownComponent:
        raise  # one of the user's own, which is not imported
    except KeyError as error:
        raise UsageError(f"'{folder / _CONFIG}' is damaged: it lacks {error}") from None
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        raise UsageError(f"'{folder / _CONFIG}' is damaged: {first_line(error)}") from None
    images_seen = compact.load_into(net, folder / WEIGHTS)
    net.eval().requires_grad_(False)
    use_fast(net, True)
    known = classes.names, classes.counts
    generator = Generator(net, model, latent, shape, recipe, images_seen, *known)
    _try(generator, folder)
    return generator


def _count(value: object, name: str, least: int = 0) -> int:
    if type(value) is not int or not least <= value < 2**31:
        raise ValueError(f"{name}: found {value!r:.40}")
    return value


def _classes(settings: dict[str, Any]) -> Classes:
    """A saved generator's classes; older ones have only their number."""
    names, counts = settings.get("classes", []), settings.get("class_counts", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"classes: found {names!r:.40}; a list of names is expected")
    if not isinstance(counts, list) or len(counts) not in (0, len(names)):
        raise ValueError(f"class_counts: found {counts!r:.40}; a number for each class is expected")
    if names:
        found = tuple(_count(count, "class_counts") for count in counts)
        if counts and not sum(found):
            raise ValueError("class_counts: found 0 images of each")
        return Classes(tuple(printable(name) for name in names), found)
    num = _count(settings.get("num_classes", 0), "num_classes")
    if num > MAX_CLASSES:
        raise ValueError(f"num_classes: found {num}; allowed: {MAX_CLASSES} at most")
    return Classes(numbered((), num))


def _try(generator: Generator, folder: Path) -> None:
    """UsageError if the generator cannot make an image."""
    try:
        z = generator.latent.sample(1, torch.Generator().manual_seed(0))
        labels = torch.zeros(1, dtype=torch.int64) if generator.num_classes else None
        with torch.no_grad():
            images = generate(generator.net, Latents(z, labels))
    except Exception as error:  # whatever a net raises on settings that it was not made for
        raise UsageError(f"'{folder}' cannot make an image: {first_line(error)}") from None
    if not images.isfinite().all():
        raise UsageError(f"'{folder}' makes images of values that are not finite; it is damaged")
