"""Inception-v3 as FID uses it: its net and its resize."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import torch
from torch import Tensor, nn

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
        position = torch.arange(SIDE, dtype=torch.float32, device=images.device) * (size / SIDE)
        low = position.long()
        share = (position - low).view(-1, *[1] * (3 - dim))
        before = images.index_select(dim, low)
        after = images.index_select(dim, (low + 1).clamp_max(size - 1))
        images = before + (after - before) * share
    return images
