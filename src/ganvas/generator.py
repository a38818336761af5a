"""A trained generator: saved, loaded, sampled.

Images are made in fixed groups of `GROUP`, so that a seed stands for one endless row of images:
the first ten of a hundred are the ten that one gets when asking for ten.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganvas import card, compact, config, pretrained
from ganvas.batch import Latents
from ganvas.card import Card
from ganvas.config import Run
from ganvas.errors import UsageError, printable
from ganvas.files import is_utf8, write_file, writing
from ganvas.images import to_uint8
from ganvas.models.fast.switch import use_fast
from ganvas.pixels import Pixels, Shape, numbered
from ganvas.protocols import Latent, Model, build_generator
from ganvas.registry import UnknownComponent
from ganvas.rundir.lines import content_of
from ganvas.seeds import stream

GROUP: Final = 64
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

    @property
    def num_classes(self) -> int:
        """Classes that can be asked for."""
        return len(self.classes)

    def batches(
        self, num: int, seed: int = 0, labels: Sequence[int] | None = None
    ) -> Iterator[Pixels]:
        """`num` images as uint8 arrays of at most GROUP, shape (n, C, H, W)."""
        classes = self._classes(num, seed, labels)
        rng = torch.Generator().manual_seed(stream(seed, "sample"))
        for start in range(0, num, GROUP):
            some = None if classes is None else classes[start : start + GROUP]
            yield self(self.latent.sample(GROUP, rng), some)[: num - start]

    def sample(self, num: int = 25, seed: int = 0, labels: Sequence[int] | None = None) -> Pixels:
        """`num` images, uint8 (num, C, H, W); a seed gives the same ones whatever the number.

        `labels` are the class indices that the images are to be of, one an image; without them a
        model that takes labels draws its classes at random.

        Raises:
            UsageError: `num` below 1, or so large that the images would take more than MAX_BYTES,
                where `batches` gives them one after another; labels that the model does not take,
                or not one an image.
        """
        most = MAX_BYTES // math.prod(self.shape)
        if not 1 <= num <= most:
            raise UsageError(
                f"--num: found {num:,}; allowed: 1 to {most:,}, which take {MAX_BYTES >> 30} GiB"
            )
        return np.concatenate(list(self.batches(num, seed, labels)))

    def _classes(self, num: int, seed: int, labels: Sequence[int] | None) -> Tensor | None:
        if not self.num_classes:
            if labels is not None:
                raise UsageError(f"labels: the generator of '{self.recipe}' takes none")
            return None
        if labels is None:
            rng = torch.Generator().manual_seed(stream(seed, "classes"))
            return torch.randint(self.num_classes, (num,), generator=rng)
        chosen = torch.as_tensor(labels)
        if chosen.shape != (num,) or chosen.min() < 0 or chosen.max() >= self.num_classes:
            raise UsageError(
                f"labels: found {list(labels)[:5]}…; allowed: {num} class indices from 0 to "
                f"{self.num_classes - 1}"
            )
        return chosen

    def walk(self, frames: int = 60, stops: int = 5, seed: int = 0) -> Pixels:
        """A round trip in latent space by way of `stops` random points, uint8 (frames, C, H, W)."""
        if frames < stops:
            raise UsageError(
                f"walk: found {frames} frames for {stops} stops; allowed: {stops} or more"
            )
        rng = torch.Generator().manual_seed(stream(seed, "walk"))
        points = self.latent.sample(stops, rng)
        path = [
            self.latent.between(points[int(at)], points[(int(at) + 1) % stops], at % 1)
            for at in np.arange(frames) * (stops / frames)
        ]
        groups = torch.split(torch.stack(path), GROUP)
        return np.concatenate([self(group) for group in groups])

    def __call__(self, z: Tensor, labels: Tensor | None = None) -> Pixels:
        """Latents (n, dims), n at most GROUP, and their class indices to uint8 (n, C, H, W)."""
        device = next(self.net.parameters()).device
        padded = torch.zeros(GROUP, self.latent.dims, device=device)
        padded[: len(z)] = z.to(device)
        if labels is not None:
            classes = torch.zeros(GROUP, dtype=torch.int64, device=device)
            classes[: len(labels)] = labels.to(device)
            labels = classes
        return draw(self.net, Latents(padded, labels), self.model)[: len(z)]


def generate(net: nn.Module, latents: Latents) -> Tensor:
    """A generator net's images of latents: floats (N, C, H, W). The one door to such a net."""
    images: Tensor = net(latents.z) if latents.labels is None else net(latents.z, latents.labels)
    return images


def draw(net: nn.Module, latents: Latents, model: Model) -> Pixels:
    """Images of a net in inference mode, uint8; the net's mode is put back afterwards."""
    training = net.training
    net.eval()
    with torch.inference_mode():
        images = generate(net, latents)
    net.train(training)
    return to_uint8(images, *model.value_range)


def draw_sheet(net: nn.Module, latents: Latents, model: Model) -> Pixels:
    """Images for a sample sheet, uint8: with the BatchNorm statistics that the model's ask for.

    Neither the running statistics nor the net's mode change.
    """
    if model.sample_mode == "inference":
        return draw(net, latents, model)
    norms = _norms(net)
    for norm in norms:
        norm.track_running_stats = False  # in training mode: use the batch's, keep none
    with torch.no_grad():
        images = generate(net, latents)
    for norm in norms:
        norm.track_running_stats = True
    return to_uint8(images, *model.value_range)


def with_standing_statistics(
    net: nn.Module, latent: Latent, groups: int = 16, num_classes: int = 0
) -> nn.Module:
    """A copy of a net whose running statistics are those of groups * GROUP fixed latents.

    So a net that always used batch statistics draws one image at a time, the same each time
    (standing statistics: Brock et al. 2019, appendix B).
    """
    net = copy.deepcopy(net).cpu().train()
    for norm in _norms(net):
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over all groups
    rng = torch.Generator().manual_seed(stream(0, "standing statistics"))
    with torch.no_grad():
        for _ in range(groups):
            z = latent.sample(GROUP, rng)
            drawn = torch.randint(num_classes, (GROUP,), generator=rng) if num_classes else None
            generate(net, Latents(z, drawn))
    return net


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [module for module in net.modules() if isinstance(module, _BatchNorm)]


def snapshot(
    run: Run, net: nn.Module, shape: Shape, images_seen: int, classes: tuple[str, ...] = ()
) -> Generator:
    """A copy of a net in training, on the processor: what `load` finds once it has been saved.

    `classes` are the names of those that the net is told.
    """
    if run.model.sample_mode == "batch":
        net = with_standing_statistics(net, run.latent, num_classes=len(classes))
    weights = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in net.state_dict().items()
    }
    with torch.device("meta"):
        copied = build_generator(run.model, shape, run.latent.dims, len(classes))
    copied.load_state_dict(weights, assign=True)
    copied.eval().requires_grad_(False)
    use_fast(copied, True)
    return Generator(copied, run.model, run.latent, shape, run.recipe, images_seen, classes)


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
        raise UsageError(f"'{folder / _CONFIG}' is damaged: {_first_line(error)}") from None
    images_seen = _read_weights(net, folder / WEIGHTS)
    net.eval().requires_grad_(False)
    use_fast(net, True)
    generator = Generator(net, model, latent, shape, recipe, images_seen, classes)
    _try(generator, folder)
    return generator


def _count(value: object, name: str, least: int = 0) -> int:
    if type(value) is not int or not least <= value < 2**31:
        raise ValueError(f"{name}: found {value!r:.40}")
    return value


def _classes(settings: dict[str, Any]) -> tuple[str, ...]:
    """Names of a saved generator's classes; some have only their number."""
    names = settings.get("classes", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"classes: found {names!r:.40}; a list of names is expected")
    if names:
        return tuple(printable(name) for name in names)
    num = _count(settings.get("num_classes", 0), "num_classes")
    if num > MAX_CLASSES:
        raise ValueError(f"num_classes: found {num}; allowed: {MAX_CLASSES} at most")
    return numbered((), num)


def _first_line(error: Exception) -> str:
    """What an error says, without what is only of use to those who wrote torch."""
    return printable(str(error).partition("\n")[0])


def _try(generator: Generator, folder: Path) -> None:
    """UsageError if the generator cannot make an image."""
    try:
        z = generator.latent.sample(1, torch.Generator().manual_seed(0))
        labels = torch.zeros(1, dtype=torch.int64) if generator.num_classes else None
        with torch.no_grad():
            images = generate(generator.net, Latents(z, labels))
    except Exception as error:  # whatever a net raises on settings that it was not made for
        raise UsageError(f"'{folder}' cannot make an image: {_first_line(error)}") from None
    if not images.isfinite().all():
        raise UsageError(f"'{folder}' makes images of values that are not finite; it is damaged")


def _read_weights(net: nn.Module, path: Path) -> int:
    expected = {key: list(value.shape) for key, value in net.state_dict().items()}
    types = {key: value.dtype for key, value in net.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            found = {key: file.get_slice(key).get_shape() for key in file.keys()}
            metadata = file.metadata() or {}
        form, images_seen = metadata.get(compact.FORM), metadata.get("images_seen", "0")
        found = compact.shapes(found, form)
        if found != expected:
            key = min(k for k in expected | found if expected.get(k) != found.get(k))
            raise UsageError(
                f"'{path}' does not fit its config.json: {key} has shape "
                f"{found.get(key, 'none')}, expected {expected.get(key, 'none')}"
            )
        weights = compact.unpack(load_file(path), form)
        if wrong := [key for key in weights if weights[key].dtype != types[key]]:
            raise UsageError(
                f"'{path}' does not fit its config.json: {wrong[0]} is of type "
                f"{weights[wrong[0]].dtype}, expected {types[wrong[0]]}"
            )
        if wrong := [key for key in weights if not weights[key].isfinite().all()]:
            raise UsageError(f"'{path}' is damaged: {wrong[0]} holds NaN or infinite values")
        net.load_state_dict(weights, assign=True)
    except UsageError:
        raise
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise UsageError(f"'{path}' is damaged: {_first_line(error)}") from None
    return int(images_seen) if images_seen.isdecimal() else 0
