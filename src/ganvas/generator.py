"""A trained generator: saved, loaded, sampled.

Images are made in fixed groups of `GROUP`, so that a seed stands for one endless row of images:
the first ten of a hundred are the ten that one gets when asking for ten.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganvas import card, config
from ganvas.card import Card
from ganvas.config import Run
from ganvas.errors import UsageError
from ganvas.files import write_file
from ganvas.images import to_uint8
from ganvas.pixels import Pixels, Shape
from ganvas.protocols import Latent, Model
from ganvas.seeds import stream

GROUP: Final = 64
FORMAT: Final = 1
_CONFIG: Final = card.CONFIG
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

    def batches(self, num: int, seed: int = 0) -> Iterator[Pixels]:
        """`num` images as uint8 arrays of at most GROUP, shape (n, C, H, W)."""
        rng = torch.Generator().manual_seed(stream(seed, "sample"))
        for start in range(0, num, GROUP):
            yield self(self.latent.sample(GROUP, rng))[: num - start]

    def sample(self, num: int = 25, seed: int = 0) -> Pixels:
        """`num` images, uint8 (num, C, H, W); a seed gives the same ones whatever the number."""
        if num < 1:
            raise UsageError(f"--num: found {num}; allowed: 1 or more")
        return np.concatenate(list(self.batches(num, seed)))

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

    def __call__(self, latents: Tensor) -> Pixels:
        """Latents (n, dims), n at most GROUP, to uint8 images (n, C, H, W)."""
        padded = torch.zeros(GROUP, self.latent.dims)
        padded[: len(latents)] = latents
        device = next(self.net.parameters()).device
        return draw(self.net, padded.to(device), self.model)[: len(latents)]


def draw(net: nn.Module, latents: Tensor, model: Model) -> Pixels:
    """Images of a net in inference mode, uint8; the net's mode is put back afterwards."""
    training = net.training
    net.eval()
    with torch.inference_mode():
        images = net(latents)
    net.train(training)
    return to_uint8(images, *model.value_range)


def draw_sheet(net: nn.Module, latents: Tensor, model: Model) -> Pixels:
    """Images for a sample sheet, uint8: with the BatchNorm statistics that the model's ask for.

    Neither the running statistics nor the net's mode change.
    """
    if model.sample_mode == "inference":
        return draw(net, latents, model)
    norms = _norms(net)
    for norm in norms:
        norm.track_running_stats = False  # in training mode: use the batch's, keep none
    with torch.no_grad():
        images = net(latents)
    for norm in norms:
        norm.track_running_stats = True
    return to_uint8(images, *model.value_range)


def with_standing_statistics(net: nn.Module, latent: Latent, groups: int = 16) -> nn.Module:
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
            net(latent.sample(GROUP, rng))
    return net


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [module for module in net.modules() if isinstance(module, _BatchNorm)]


def snapshot(run: Run, net: nn.Module, shape: Shape, images_seen: int) -> Generator:
    """A copy of a net in training, on the processor: what `load` finds once it has been saved."""
    if run.model.sample_mode == "batch":
        net = with_standing_statistics(net, run.latent)
    weights = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in net.state_dict().items()
    }
    with torch.device("meta"):
        copied = run.model.generator(shape, run.latent.dims)
    copied.load_state_dict(weights, assign=True)
    copied.eval().requires_grad_(False)
    return Generator(copied, run.model, run.latent, shape, run.recipe, images_seen)


def save_generator(
    folder: Path, run: Run, generator: Generator, training: dict[str, Any] | None = None
) -> None:
    """Write a run's generator as `load` reads it: config.json, model.safetensors and a card.

    `training` is what config.json says of its training, if it was not trained by `run`.
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
    content = save(generator.net.state_dict(), {"images_seen": str(generator.images_seen)})
    write_file(folder / WEIGHTS, content)
    write_file(folder / _CONFIG, json.dumps(settings, indent=1).encode())
    write_card(generator, folder)


def write_card(generator: Generator, folder: Path) -> None:
    """Write README.md of a generator that is saved in `folder`, with what was measured by now."""
    write_file(folder / "README.md", card_of(generator, folder).text().encode())


def card_of(generator: Generator, folder: Path) -> Card:
    """The card of a generator that is saved in `folder`."""
    parameters = sum(value.numel() for value in generator.net.parameters())
    return card.read(folder, parameters, generator.images_seen)


def folder_of(what: str | Path) -> Path:
    """Where the generator of a run folder, or of a saved generator's, has its files.

    Raises:
        UsageError: there is none.
    """
    folder = Path(what)
    if not folder.exists():
        raise UsageError(f"'{what}' does not exist; allowed: a run folder or a saved generator")
    if (folder / "generator").is_dir():
        folder = folder / "generator"
    if not (folder / _CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise UsageError(
            f"'{what}' holds no generator ({_CONFIG} and {WEIGHTS}); "
            "allowed: a run folder or a saved generator"
        )
    return folder


def load(what: str | Path) -> Generator:
    """The generator in a run folder or a saved generator's folder, ready to sample.

    Nothing in the folder is executed, and the weights' sizes are checked before they are read.

    Raises:
        UsageError: there is no generator, or it is damaged.
    """
    folder = folder_of(what)
    try:
        settings = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        model = config.component("model", settings["model"])
        latent = config.component("latent", settings["latent"])
        channels, height, width = (int(size) for size in settings["shape"])
        recipe = str(settings["recipe"])
        if settings["format"] != FORMAT:
            raise ValueError(f"format {settings['format']}; this version reads {FORMAT}")
        if min(channels, height, width) < 1:
            raise ValueError(f"shape {settings['shape']}")
        shape = (channels, height, width)
        with torch.device("meta"):  # shapes only: no memory yet
            net = model.generator(shape, latent.dims)
    except KeyError as error:
        raise UsageError(f"'{folder / _CONFIG}' is damaged: it lacks {error}") from None
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise UsageError(f"'{folder / _CONFIG}' is damaged: {error}") from None
    images_seen = _read_weights(net, folder / WEIGHTS)
    return Generator(net.eval().requires_grad_(False), model, latent, shape, recipe, images_seen)


def _read_weights(net: nn.Module, path: Path) -> int:
    expected = {key: list(value.shape) for key, value in net.state_dict().items()}
    types = {key: value.dtype for key, value in net.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            found = {key: file.get_slice(key).get_shape() for key in file.keys()}
            images_seen = (file.metadata() or {}).get("images_seen", "0")
        if found != expected:
            key = min(k for k in expected | found if expected.get(k) != found.get(k))
            raise UsageError(
                f"'{path}' does not fit its config.json: {key} has shape "
                f"{found.get(key, 'none')}, expected {expected.get(key, 'none')}"
            )
        weights = load_file(path)
        if wrong := [key for key in weights if weights[key].dtype != types[key]]:
            raise UsageError(
                f"'{path}' does not fit its config.json: {wrong[0]} is of type "
                f"{weights[wrong[0]].dtype}, expected {types[wrong[0]]}"
            )
        net.load_state_dict(weights, assign=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UsageError(f"'{path}' is damaged: {error}") from None
    return int(images_seen) if images_seen.isdecimal() else 0
