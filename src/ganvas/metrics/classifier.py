"""A small convolutional classifier whose features the metrics are measured in: net and training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ganvas.errors import UsageError
from ganvas.images import Pixels, Shape, to_float
from ganvas.seeds import stream

DIMS: Final = 128
"""Features an image."""
BATCH: Final = 128
"""Images in a training batch, if there are as many."""
SMALLEST: Final = 8
"""Least height and width of an image."""
RECIPE: Final[Mapping[str, Any]] = {
    "optimizer": "AdamW, weight decay 0.02, one-cycle learning rate up to 0.004",
    "batch_size": BATCH,
    "label_smoothing": 0.05,
    "temperature": "fitted on augmented training images",
    "augmentation": "turned by up to 12 degrees, scaled by up to 12 %, sheared by up to 0.1, "
    "shifted by up to 8 %",
}


class Classifier(nn.Module):
    """3x3 convolutions with batch normalisation, halved between stages, averaged over the image.

    Images (N, C, H, W) in [-1, 1] -> features (N, 128), not negative, and logits (N, classes).
    Images larger than 32 pixels pass one more stage for each halving that brings them there.
    """

    def __init__(self, shape: Shape, num_classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        halvings = max(0, math.ceil(math.log2(max(height, width) / 32)))
        stages: list[nn.Module] = [_unit(channels, 32), nn.MaxPool2d(2, ceil_mode=True)]
        for _ in range(halvings):
            stages += [_unit(32, 32), nn.MaxPool2d(2, ceil_mode=True)]
        stages += [_unit(32, 64), _unit(64, 64), nn.MaxPool2d(2, ceil_mode=True)]
        stages += [_unit(64, DIMS), _unit(DIMS, DIMS)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(DIMS, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.stages(images).mean(dim=(2, 3))
        return features, self.head(features)


def _unit(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def untrained(shape: Shape, num_classes: int, seed: int) -> Classifier:
    """A classifier with the random weights that a seed stands for."""
    if min(shape[1:]) < SMALLEST:
        raise UsageError(
            f"--features: found images of {shape[1]}x{shape[2]} pixels; the nets need at least "
            f"{SMALLEST}x{SMALLEST}; use --features pixels"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "classifier"))
        return Classifier(shape, num_classes).eval()


def has_matrix_units() -> bool:
    """Whether the processor computes products of bfloat16 matrices faster; training uses it."""
    return torch.cpu._is_amx_tile_supported()


def fit(
    images: Pixels,
    labels: NDArray[np.int64],
    num_classes: int,
    *,
    images_shown: int,
    seed: int = 0,
) -> Classifier:
    """A classifier trained on uint8 images (N, C, H, W) with class indices (N,)."""
    channels, height, width = images.shape[1:]
    net = untrained((channels, height, width), num_classes, seed).train()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = torch.Generator().manual_seed(stream(seed, "classifier", "batches"))
    size = min(BATCH, len(images))
    steps = math.ceil(images_shown / size)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.004, total_steps=steps + 1)
    pixels, targets = torch.from_numpy(images), torch.from_numpy(labels)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(len(images), generator=rng)
        chosen, order = order[:size], order[size:]
        batch = _augmented(to_float(pixels[chosen], -1.0, 1.0), rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_matrix_units()):
            _, logits = net(batch.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), targets[chosen], label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return calibrated(net.eval(), images, labels, seed)


def calibrated(net: Classifier, images: Pixels, labels: NDArray[np.int64], seed: int) -> Classifier:
    """The net with its logits over one temperature (Guo et al. 2017, section 4.2), in place.

    Label smoothing leaves probabilities too flat. The temperature is the likeliest on augmented
    training images, up to 4,096.
    """
    rng = torch.Generator().manual_seed(stream(seed, "classifier", "temperature"))
    chosen = torch.randperm(len(images), generator=rng)[:4096]
    targets = torch.from_numpy(labels)[chosen]
    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(images)[chosen], BATCH)
        batches = [_augmented(to_float(part, -1.0, 1.0), rng) for part in parts]
        logits = torch.cat([net(batch)[1] for batch in batches])
    temperatures = torch.logspace(-1, 1, 81)
    losses = torch.stack([F.cross_entropy(logits / t, targets) for t in temperatures])
    with torch.no_grad():
        for value in net.head.parameters():
            value.div_(temperatures[losses.argmin()])
    return net


def _augmented(images: Tensor, rng: torch.Generator) -> Tensor:
    """Images turned, scaled, sheared and shifted a little, each in its own way."""

    def drawn(reach: float) -> Tensor:
        return (torch.rand(len(images), generator=rng) * 2 - 1) * reach

    turn, shear = drawn(math.radians(12)), drawn(0.1)
    scale = torch.exp(drawn(0.12))
    cos, sin = scale * turn.cos(), scale * turn.sin()
    right, down = drawn(0.16), drawn(0.16)  # an image is 2 wide
    rows = torch.stack([cos, shear - sin, right, sin, cos, down], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def to_bytes(net: nn.Module) -> bytes:
    """The weights as a safetensors file, in half precision."""
    return save(
        {
            key: (value.half() if value.is_floating_point() else value).contiguous()
            for key, value in net.state_dict().items()
        }
    )


def from_bytes(content: bytes, shape: Shape, num_classes: int, what: str) -> Classifier:
    """The classifier in `content`, in single precision; UsageError if it does not fit."""
    with torch.device("meta"):
        net = Classifier(shape, num_classes)
    try:
        weights = load(content)
        net.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in weights.items()},
            strict=True,
            assign=True,
        )
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise UsageError(f"{what} is damaged: {error}") from None
    return net.eval().requires_grad_(False)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
