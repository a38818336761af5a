"""A small convolutional classifier whose features the metrics are measured in: net and training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ganvas.errors import UsageError
from ganvas.images import to_float
from ganvas.pixels import Pixels, Shape
from ganvas.seeds import stream

Widths = tuple[int, int, int]
"""Channels of a net's three blocks; the last is also the number of features."""

SMALLEST: Final = 8
"""Least height and width of an image."""
LEARNING_RATE: Final = 0.375
"""At its peak, for the weights; the shifts of BatchNorm take 64 times as much."""
PATCHES: Final = 5000 * 32 * 32
"""Most patches that the first layer is fitted to."""
LOOKAHEAD: Final = 5
"""Steps between two averagings of the weights."""


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """The widths of a net and how it is trained; the defaults suit digits and letters."""

    widths: Widths = (24, 64, 128)
    batch_size: int = 256
    turn: float = 12.0
    """Images are turned by up to so many degrees,"""
    scale: float = 0.12
    """made larger or smaller by up to this exponent of e,"""
    shear: float = 0.1
    """sheared by up to this slope,"""
    shift: float = 0.08
    """and moved by up to this share of their sides, in whole pixels."""
    blur: float = 0.0
    """Images are mixed with up to this share of themselves blurred by one pixel,"""
    noise: float = 0.0
    """and noise of up to this standard deviation is added, as a share of white less black."""
    mirror: bool = False
    """Each image is seen mirrored every other time; features are means over both views."""

    def as_json(self) -> dict[str, Any]:
        """Everything that training does, for a card."""
        return {
            "optimizer": "SGD, Nesterov momentum 0.85, weight decay 0.0013, learning rate up to "
            f"{LEARNING_RATE} in a triangle, 64 times that for BatchNorm's shifts",
            "batch_size": self.batch_size,
            "averaging": f"Lookahead, every {LOOKAHEAD} steps",
            "first_layer": "whitening of 2x2 patches, not trained",
            "label_smoothing": 0.2,
            "temperature": "fitted on augmented training images",
            "augmentation": {
                "turn_degrees": self.turn,
                "scale": self.scale,
                "shear": self.shear,
                "shift": self.shift,
                "blur": self.blur,
                "noise": self.noise,
                "mirror": self.mirror,
            },
        }


class Classifier(nn.Module):
    """Whitened patches, three blocks of two 3x3 convolutions, each halved early, and the maximum.

    The form is that of Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024),
    arXiv:2404.00498, section 3. Images (N, C, H, W) in [-1, 1] -> features (N, widths[2]) and
    logits (N, classes). Images larger than 32 pixels are halved by convolutions before the first
    block until they are not.
    """

    def __init__(
        self, shape: Shape, num_classes: int, widths: Widths = ClassifierTraining.widths
    ) -> None:
        super().__init__()
        channels, height, width = shape
        patches = 8 * channels  # each of the 4 * channels directions, and its negative
        self.whitening = nn.Conv2d(channels, patches, 2).requires_grad_(False)
        halvings = max(0, math.ceil(math.log2(max(height, width) / 32)))
        stages: list[nn.Module] = [nn.GELU()]
        for _ in range(halvings):
            stages += _unit(patches, patches, halved=True)
        for inputs, outputs in zip((patches, *widths), widths, strict=False):
            stages += _unit(inputs, outputs, halved=True)
            stages += _unit(outputs, outputs)
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(widths[-1], num_classes, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return features, self.logits(features)

    def features(self, images: Tensor) -> Tensor:
        found: Tensor = self.stages(self.whitening(images)).amax(dim=(2, 3))
        return found

    def logits(self, features: Tensor) -> Tensor:
        found: Tensor = self.head(features) / 9  # so that the first logits are small
        return found


class _Halved(nn.Module):
    """The maximum of 2x2 values, or of as many as there are."""

    def forward(self, values: Tensor) -> Tensor:
        return F.max_pool2d(values, [min(2, side) for side in values.shape[2:]])


def _unit(inputs: int, outputs: int, halved: bool = False) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    if inputs <= outputs:
        nn.init.dirac_(convolution.weight[:inputs])
    norm = nn.BatchNorm2d(outputs, momentum=0.4)
    norm.weight.requires_grad_(False)
    return [convolution, *([_Halved()] if halved else []), norm, nn.GELU()]


def untrained(
    shape: Shape, num_classes: int, seed: int, widths: Widths = ClassifierTraining.widths
) -> Classifier:
    """A classifier with the random weights that a seed stands for."""
    if min(shape[1:]) < SMALLEST:
        raise UsageError(
            f"--features: found images of {shape[1]}x{shape[2]} pixels; the nets need at least "
            f"{SMALLEST}x{SMALLEST}; use --features pixels"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "classifier"))
        return Classifier(shape, num_classes, widths).eval()


def has_matrix_units() -> bool:
    """Whether the processor computes products of bfloat16 matrices faster; training uses it."""
    return torch.cpu._is_amx_tile_supported()


def fit(
    images: Pixels,
    labels: NDArray[np.int64],
    num_classes: int,
    *,
    images_shown: int,
    training: ClassifierTraining = ClassifierTraining(),
    seed: int = 0,
    on_pass: Callable[[int, float], None] = lambda number, loss: None,
    watch: Callable[[range, int], Iterable[int]] = lambda starts, num: starts,
) -> Classifier:
    """A classifier trained on uint8 images (N, C, H, W) with class indices (N,).

    The training is that of Jordan (2024), section 3, in batches that suit a CPU. `on_pass` is
    told the number of each pass over the images, and its mean loss; `watch` is given how many
    images have been shown before each step, and how many will be.
    """
    channels, height, width = images.shape[1:]
    net = untrained((channels, height, width), num_classes, seed, training.widths).train()
    rng = torch.Generator().manual_seed(stream(seed, "classifier", "batches"))
    pixels, targets = torch.from_numpy(images), torch.from_numpy(labels)
    num_whitened = max(1, min(5000, PATCHES // (height * width)))
    some = torch.randperm(len(images), generator=rng)[:num_whitened]
    patches = to_float(pixels[some], -1.0, 1.0)
    if training.noise:  # else detail that the images hardly have is blown up
        patches = augmented(patches, training, rng)
    whiten(net.whitening, patches)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    size = min(training.batch_size, len(images))
    total = math.ceil(images_shown / size)
    optimizer = _optimizer(net)
    triangle = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: float(np.interp(step / total, [0, 0.23, 1], [0.2, 1, 0.05]))
    )
    average = {key: value.clone() for key, value in net.state_dict().items()}
    order = torch.empty(0, dtype=torch.int64)
    mirrored = torch.rand(len(images), generator=rng) < 0.5
    passes, losses = 0, []
    for shown in watch(range(0, total * size, size), total * size):
        step = shown // size + 1
        if len(order) < size:
            order = torch.randperm(len(images), generator=rng)
            mirrored = ~mirrored  # alternating flip: Jordan (2024), section 3.6
        chosen, order = order[:size], order[size:]
        batch = augmented(to_float(pixels[chosen], -1.0, 1.0), training, rng, mirrored[chosen])
        with torch.autocast("cpu", torch.bfloat16, enabled=has_matrix_units()):
            _, logits = net(batch.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), targets[chosen], label_smoothing=0.2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        triangle.step()
        if step % LOOKAHEAD == 0 or step == total:
            keep = 0.95**LOOKAHEAD * (step / total) ** 3 if step < total else 1.0
            _look_ahead(net, average, keep)
        losses.append(loss.item())
        if len(order) < size or step == total:
            passes += 1
            on_pass(passes, float(np.mean(losses)))
            losses = []
    return calibrated(net.eval(), images, labels, training, seed)


def whiten(layer: nn.Conv2d, images: Tensor) -> None:
    """Set a layer of 2x2 patches so that its outputs on the images are uncorrelated.

    They are the patches' principal components scaled to variance one, and their negatives.
    Directions that hardly vary are not blown up.
    """
    patches = F.unfold(images, 2).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(dim=0)
    patches = patches - mean
    variances, directions = torch.linalg.eigh((patches.T @ patches / len(patches)).double())
    least = 5e-4 * variances.mean().clamp(min=1e-4)
    filters = (directions / (variances.clamp(min=0) + least).sqrt()).T
    filters = torch.cat([filters, -filters])
    layer.weight.data.copy_(filters.view_as(layer.weight))
    assert layer.bias is not None
    layer.bias.data.copy_(-filters @ mean.double())


def _optimizer(net: Classifier) -> torch.optim.SGD:
    """Weight decay times learning rate is the same for both groups."""
    trained = [value for value in net.parameters() if value.requires_grad]
    weights = [value for value in trained if value.ndim > 1]
    shifts = [value for value in trained if value.ndim == 1]
    groups = [
        {"params": weights, "lr": LEARNING_RATE, "weight_decay": 0.0013},
        {"params": shifts, "lr": 64 * LEARNING_RATE, "weight_decay": 0.0013 / 64},
    ]
    return torch.optim.SGD(groups, momentum=0.85, nesterov=True)


def _look_ahead(net: Classifier, average: dict[str, Tensor], keep: float) -> None:
    """Both the slow average and the net become `keep` of the one and the rest of the other."""
    with torch.no_grad():
        for key, value in net.state_dict().items():
            if value.is_floating_point():
                value.copy_(average[key].lerp_(value, 1 - keep))


def calibrated(
    net: Classifier,
    images: Pixels,
    labels: NDArray[np.int64],
    training: ClassifierTraining,
    seed: int,
) -> Classifier:
    """The net with its logits over one temperature (Guo et al. 2017, section 4.2), in place.

    Label smoothing leaves probabilities too flat. The temperature is the likeliest on augmented
    training images, up to 4,096.
    """
    rng = torch.Generator().manual_seed(stream(seed, "classifier", "temperature"))
    chosen = torch.randperm(len(images), generator=rng)[:4096]
    targets = torch.from_numpy(labels)[chosen]
    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(images)[chosen], training.batch_size)
        batches = [augmented(to_float(part, -1.0, 1.0), training, rng) for part in parts]
        logits = torch.cat([net(batch)[1] for batch in batches])
    temperatures = torch.logspace(-1, 1, 81)
    losses = torch.stack([F.cross_entropy(logits / t, targets) for t in temperatures])
    with torch.no_grad():
        for value in net.head.parameters():
            value.div_(temperatures[losses.argmin()])
    return net


def augmented(
    images: Tensor,
    training: ClassifierTraining,
    rng: torch.Generator,
    mirrored: Tensor | None = None,
) -> Tensor:
    """Images turned, moved, blurred and so on, each in its own way; some mirrored."""

    def drawn(reach: float) -> Tensor:
        return (torch.rand(len(images), generator=rng) * 2 - 1) * reach

    def moved(side: int) -> Tensor:
        return drawn(training.shift * side + 0.5).round() * (2 / side)  # an image is 2 wide

    turn, shear = drawn(math.radians(training.turn)), drawn(training.shear)
    scale = torch.exp(drawn(training.scale))
    cos, sin = scale * turn.cos(), scale * turn.sin()
    right, down = moved(images.shape[3]), moved(images.shape[2])
    flip = torch.ones(len(images))
    if training.mirror and mirrored is not None:
        flip[mirrored] = -1
    rows = torch.stack([flip * cos, shear - sin, right, flip * sin, cos, down], dim=1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    if training.blur:
        share = torch.rand(len(images), 1, 1, 1, generator=rng) * training.blur
        images = images.lerp(_blurred(images), share)
    if training.noise:
        level = torch.rand(len(images), 1, 1, 1, generator=rng) * 2 * training.noise
        images = images + level * torch.randn(images.shape, generator=rng)
    return images


def _blurred(images: Tensor) -> Tensor:
    """By binomial weights over 5x5 pixels, whose standard deviation is one pixel."""
    weights = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    channels = images.shape[1]
    kernel = torch.outer(weights, weights).expand(channels, 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), kernel, groups=channels)


def to_bytes(net: nn.Module) -> bytes:
    """The weights as a safetensors file, in half precision."""
    return save(
        {
            key: (value.half() if value.is_floating_point() else value).contiguous()
            for key, value in net.state_dict().items()
        }
    )


def from_bytes(
    content: bytes,
    shape: Shape,
    num_classes: int,
    what: str,
    widths: Widths = ClassifierTraining.widths,
) -> Classifier:
    """The classifier in `content`, in single precision; UsageError if it does not fit."""
    with torch.device("meta"):
        net = Classifier(shape, num_classes, widths)
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
