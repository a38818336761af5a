"""Inception-v3 with the weights by which FID is defined: its net, its resize, its weights."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ganvas.data import download
from ganvas.data.sources import SOURCES, DataFile
from ganvas.errors import RunError, UsageError
from ganvas.files import write_file

DIMS: Final = 2048
"""Features an image: the last average pooling, which TensorFlow's graph calls pool_3."""
CLASSES: Final = 1008
"""The graph's logits; 1,000 of them are ImageNet's classes."""
SIDE: Final = 299
"""Height and width of the images that enter the net."""
RESIZING: Final = f"TensorFlow 1 bilinear to {SIDE}x{SIDE}, no antialiasing, no half-pixel shift"

Convolution = tuple[int, int, int]
"""Channels that leave it, height and width of its kernel."""
Pool = Literal["average", "max", "halving"]


def _a(pooled: int) -> dict[str, list[Convolution]]:
    return {
        "branch1x1": [(64, 1, 1)],
        "branch5x5": [(48, 1, 1), (64, 5, 5)],
        "branch3x3dbl": [(64, 1, 1), (96, 3, 3), (96, 3, 3)],
        "branch_pool": [(pooled, 1, 1)],
    }


def _c(inner: int) -> dict[str, list[Convolution]]:
    return {
        "branch1x1": [(192, 1, 1)],
        "branch7x7": [(inner, 1, 1), (inner, 1, 7), (192, 7, 1)],
        "branch7x7dbl": [
            *((inner, 1, 1), (inner, 7, 1), (inner, 1, 7), (inner, 7, 1)),
            (192, 1, 7),
        ],
        "branch_pool": [(192, 1, 1)],
    }


_B: Final = {
    "branch3x3": [(384, 3, 3)],
    "branch3x3dbl": [(64, 1, 1), (96, 3, 3), (96, 3, 3)],
}
_D: Final = {
    "branch3x3": [(192, 1, 1), (320, 3, 3)],
    "branch7x7x3": [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)],
}
_E: Final = {
    "branch1x1": [(320, 1, 1)],
    "branch3x3": [(384, 1, 1)],
    "branch3x3dbl": [(448, 1, 1), (384, 3, 3)],
    "branch_pool": [(192, 1, 1)],
}
_FORKED: Final = 384
"""Channels of each of the 1x3 and 3x1 convolutions in which two branches of _E end."""


class Inception(nn.Module):
    """Inception-v3 (Szegedy et al. 2016, table 1) as in TensorFlow's graph of 2015-12-05.

    That graph differs from later ones: average pooling leaves the padding out of its count, the
    last block pools by maximum, and there are 1,008 logits. Images (N, 3, H, W) from 0 to 255 ->
    features (N, 2048), not negative, and logits (N, 1008). Names of the modules are those in the
    published weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, (32, 3, 3), stride=2, padded=False)
        self.Conv2d_2a_3x3 = Unit(32, (32, 3, 3), padded=False)
        self.Conv2d_2b_3x3 = Unit(32, (64, 3, 3))
        self.Conv2d_3b_1x1 = Unit(64, (80, 1, 1))
        self.Conv2d_4a_3x3 = Unit(80, (192, 3, 3), padded=False)
        self.Mixed_5b = Block(192, _a(32), "average")
        self.Mixed_5c = Block(256, _a(64), "average")
        self.Mixed_5d = Block(288, _a(64), "average")
        self.Mixed_6a = Block(288, _B, "halving")
        self.Mixed_6b = Block(768, _c(128), "average")
        self.Mixed_6c = Block(768, _c(160), "average")
        self.Mixed_6d = Block(768, _c(160), "average")
        self.Mixed_6e = Block(768, _c(192), "average")
        self.Mixed_7a = Block(768, _D, "halving")
        self.Mixed_7b = Block(1280, _E, "average", forked=("branch3x3", "branch3x3dbl"))
        self.Mixed_7c = Block(DIMS, _E, "max", forked=("branch3x3", "branch3x3dbl"))
        self.fc = nn.Linear(DIMS, CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = (resized(images) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = nn.functional.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = nn.functional.max_pool2d(x, 3, stride=2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        features = x.mean(dim=(2, 3))
        return features, self.fc(features)


class Block(nn.Module):
    """Branches of convolutions side by side, and one that begins by pooling; outputs joined.

    A branch of one convolution has its own name, those of more have numbers behind it. A block
    that halves height and width does so in the last convolution of each branch, without padding.
    """

    def __init__(
        self,
        inputs: int,
        branches: Mapping[str, Sequence[Convolution]],
        pool: Pool,
        *,
        forked: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._pool = pool
        self._branches: dict[str, list[str]] = {}
        self._forks: dict[str, list[str]] = {}
        for name, convolutions in branches.items():
            channels, last = inputs, len(convolutions)
            numbered = last > 1 or name in forked
            self._branches[name] = []
            for number, convolution in enumerate(convolutions, 1):
                halves = pool == "halving" and number == last
                unit = Unit(channels, convolution, stride=2 if halves else 1, padded=not halves)
                self._branches[name].append(f"{name}_{number}" if numbered else name)
                self.add_module(self._branches[name][-1], unit)
                channels = convolution[0]
            self._forks[name] = []
            if name in forked:
                self._forks[name] = [f"{name}_{last + 1}a", f"{name}_{last + 1}b"]
                for fork, kernel in zip(self._forks[name], ((1, 3), (3, 1)), strict=True):
                    self.add_module(fork, Unit(channels, (_FORKED, *kernel)))

    def forward(self, images: Tensor) -> Tensor:
        outputs = []
        for name, units in self._branches.items():
            x = self._pooled(images) if name == "branch_pool" else images
            for unit in units:
                x = self.get_submodule(unit)(x)
            forks = self._forks[name]
            outputs += [self.get_submodule(fork)(x) for fork in forks] if forks else [x]
        if self._pool == "halving":
            outputs.append(self._pooled(images))
        return torch.cat(outputs, dim=1)

    def _pooled(self, images: Tensor) -> Tensor:
        if self._pool == "average":
            return nn.functional.avg_pool2d(images, 3, 1, padding=1, count_include_pad=False)
        if self._pool == "max":
            return nn.functional.max_pool2d(images, 3, 1, padding=1)
        return nn.functional.max_pool2d(images, 3, stride=2)


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, inputs: int, convolution: Convolution, *, stride: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        outputs, height, width = convolution
        padding = (height // 2, width // 2) if padded else 0
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, images: Tensor) -> Tensor:
        normalised: Tensor = self.bn(self.conv(images))
        return normalised.relu_()


def resized(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 299, 299), floats, as TensorFlow 1 does without align_corners.

    Pixel i of the output lies at i * H / 299 of the input, between the two pixels about it.
    """
    for dim in (3, 2):
        size = images.shape[dim]
        position = torch.arange(SIDE, dtype=torch.float32) * (size / SIDE)
        low = position.long()
        share = (position - low).view(-1, *[1] * (3 - dim))
        before = images.index_select(dim, low)
        after = images.index_select(dim, (low + 1).clamp_max(size - 1))
        images = before + (after - before) * share
    return images


# Weights


@dataclass(frozen=True)
class Weights:
    """A trained Inception and where it is from."""

    net: Inception
    sha256: str
    """Of the published file; of the user's own where it is none."""
    note: str = ""


def read(root: Path | None) -> Weights:
    """The net with the published weights, from disk or fetched once.

    They are read from the published .pth file, after its SHA-256 matched and without running what
    a pickle may hold, and kept as safetensors in the user's cache. Where there is no .pth, a
    .safetensors file of that name is taken as it is.

    Raises:
        UsageError: a file is not the published one, or its weights are not those of this net.
        RunError: there is no file, and it cannot be fetched.
    """
    source = SOURCES["inception"]
    file = source.files[0]
    assert file.sha256 is not None
    kept = download.user_cache() / source.folder / "converted"
    for path in kept.glob(f"{file.sha256[:16]}-*.safetensors"):
        content = path.read_bytes()
        if path.stem.endswith(hashlib.sha256(content).hexdigest()[:16]):
            return Weights(_net(_from_safetensors(path, content), path), file.sha256)
    own = download.find(source, DataFile(Path(file.name).stem + ".safetensors"), root)
    if own and download.find(source, file, root) is None:
        content = own.read_bytes()
        note = f"weights of '{own}', which nothing shows to be the published ones"
        net = _net(_from_safetensors(own, content), own)
        return Weights(net, hashlib.sha256(content).hexdigest(), note)
    path, content = download.read("inception", file.name, root)
    tensors = _from_pickle(path, content)
    net = _net(tensors, path)
    content = save(tensors)
    digests = f"{file.sha256[:16]}-{hashlib.sha256(content).hexdigest()[:16]}"
    try:
        write_file(kept / f"{digests}.safetensors", content)
    except RunError as error:
        warnings.warn(f"not kept for next time: {error}", stacklevel=2)
    return Weights(net, file.sha256)


def _from_pickle(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"'{path}' does not hold tensors alone: {reason}") from None
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise UsageError(f"'{path}' does not hold tensors alone")
    return {str(name): value.contiguous() for name, value in tensors.items()}


def _from_safetensors(path: Path, content: bytes) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load(content)
    except (SafetensorError, ValueError) as error:
        raise UsageError(f"'{path}' is no safetensors file: {error}") from None
    return tensors


def _net(tensors: Mapping[str, Tensor], path: Path) -> Inception:
    """The net with these weights, for inference only."""
    with torch.device("meta"):
        net = Inception()
    given = {key: value for key, value in tensors.items() if not key.endswith("_tracked")}
    wanted = {k: v for k, v in net.state_dict().items() if not k.endswith("_tracked")}
    for key, value in wanted.items():
        found = given.get(key)
        if found is None or found.shape != value.shape or not found.is_floating_point():
            has = "nothing" if found is None else f"{tuple(found.shape)} of {found.dtype}"
            raise UsageError(
                f"'{path}' does not hold the weights of Inception-v3 as FID uses it: {key} is "
                f"{has}, expected {tuple(value.shape)}"
            )
    net.load_state_dict({key: given[key].float() for key in wanted}, strict=False, assign=True)
    return net.eval().requires_grad_(False)
