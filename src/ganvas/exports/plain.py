"""A generator as a list of plain layers: what its web page runs.

The page's runtime has a function for each `kind`. `apply` says here what that function must give,
and so checks the list against the net before a page is written. `order` is how the runtime has the
weights: which of their dimensions count its rows, and which lie along them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.batch import Latents
from ganvas.errors import UsageError
from ganvas.models.layers import KerasBatchNorm1d, SameConv2d, SameConvTranspose2d, ToImage
from ganvas.models.mnist_classes import Enlarge2x, Enlarging
from ganvas.models.modern import Conditional, Crop
from ganvas.models.quickstart import Smooth
from ganvas.pixels import Shape


@dataclass(frozen=True, eq=False)
class Dense:
    """(N, inputs) -> (N, outputs)."""

    kind: ClassVar = "dense"
    order: ClassVar = (0,), (1,)
    weight: Tensor
    """(outputs, inputs)."""
    bias: Tensor

    def apply(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class Convolution:
    """(N, C, H, W) -> (N, outputs, *size): zeros before, and enough of them after."""

    kind: ClassVar = "convolution"
    order: ClassVar = (0,), (2, 3, 1)
    weight: Tensor
    """(outputs, C, kernel, kernel)."""
    bias: Tensor
    stride: int
    before: tuple[int, int]
    """Rows and columns of zeros."""
    size: tuple[int, int]
    """Height and width of what comes out."""

    def apply(self, x: Tensor) -> Tensor:
        kernel = self.weight.shape[2]
        (top, below), (left, right) = (
            (before, (size - 1) * self.stride + kernel - before - side)
            for before, size, side in zip(self.before, self.size, x.shape[2:], strict=True)
        )
        padded = F.pad(x, (left, right, top, below))
        return F.conv2d(padded, self.weight, self.bias, self.stride)


@dataclass(frozen=True, eq=False)
class Transposed:
    """(N, C, H, W) -> (N, outputs, *size): the rows and columns before are cut off, as after."""

    kind: ClassVar = "transposed"
    order: ClassVar = (2, 3, 1), (0,)
    weight: Tensor
    """(C, outputs, kernel, kernel)."""
    bias: Tensor
    stride: int
    before: tuple[int, int]
    size: tuple[int, int]

    def apply(self, x: Tensor) -> Tensor:
        whole = F.conv_transpose2d(x, self.weight, self.bias, self.stride)
        (top, left), (height, width) = self.before, self.size
        return whole[:, :, top : top + height, left : left + width]


@dataclass(frozen=True, eq=False)
class Affine:
    """Each channel times its scale plus its shift; of (N, C) or (N, C, H, W)."""

    kind: ClassVar = "affine"
    scale: Tensor
    shift: Tensor

    def apply(self, x: Tensor) -> Tensor:
        shape = (-1,) + (1,) * (x.dim() - 2)
        return x * self.scale.view(shape) + self.shift.view(shape)


@dataclass(frozen=True)
class Leaky:
    """Values below zero times `slope`: ReLU if that is 0."""

    kind: ClassVar = "leaky"
    slope: float

    def apply(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope)


@dataclass(frozen=True)
class Tanh:
    kind: ClassVar = "tanh"

    def apply(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


@dataclass(frozen=True)
class Sigmoid:
    kind: ClassVar = "sigmoid"

    def apply(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)


@dataclass(frozen=True)
class Reshape:
    """(N, C * H * W) -> (N, C, H, W)."""

    kind: ClassVar = "reshape"
    shape: Shape

    def apply(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.shape)


@dataclass(frozen=True)
class Smoothing:
    """Each channel smoothed by [1 2 1] / 4 along both sides, with zeros around."""

    kind: ClassVar = "smooth"

    def apply(self, x: Tensor) -> Tensor:
        kernel = torch.tensor([0.25, 0.5, 0.25])
        kernels = torch.outer(kernel, kernel).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(x, kernels, padding=1, groups=x.shape[1])


@dataclass(frozen=True)
class Doubling:
    """(N, C, H, W) -> (N, C, 2H, 2W): between two pixels their mean, the last one repeated."""

    kind: ClassVar = "double"

    def apply(self, x: Tensor) -> Tensor:
        for dim in (2, 3):
            last = x.narrow(dim, x.shape[dim] - 1, 1)
            following = torch.cat([x, last], dim).narrow(dim, 1, x.shape[dim])
            x = torch.stack([x, (x + following) / 2], dim + 1).flatten(dim, dim + 1)
        return x


@dataclass(frozen=True, eq=False)
class Classes:
    """(N, dims + 3), latents each with two class indices and a share, -> (N, dims + width).

    Behind each latent comes the point that share of the way between the rows of the two classes.
    """

    kind: ClassVar = "classes"
    table: Tensor
    """(classes, width)."""
    width: int

    def apply(self, x: Tensor) -> Tensor:
        z, (a, b), share = x[:, :-3], x[:, -3:-1].long().T, x[:, -1:]
        return torch.cat([z, torch.lerp(self.table[a], self.table[b], share)], dim=1)


@dataclass(frozen=True)
class Cropping:
    """The first rows and columns of each channel."""

    kind: ClassVar = "crop"
    size: tuple[int, int]
    """Height and width of what comes out."""

    def apply(self, x: Tensor) -> Tensor:
        height, width = self.size
        return x[:, :, :height, :width]


Weighted = Dense | Convolution | Transposed
Layer = (
    Weighted | Affine | Leaky | Tanh | Sigmoid | Reshape | Smoothing | Doubling | Classes | Cropping
)
LABEL_VALUES: Final = 3
"""Values behind each latent of a net with classes."""
Sizes = tuple[int, ...]
"""The shape that a layer is given, without the batch."""


def plain_layers(net: nn.Module, dims: int) -> list[Layer]:
    """The layers of a generator for latents of `dims` values, in order, BatchNorm folded.

    Raises:
        UsageError: a layer that is not known here.
    """
    layers: list[Layer] = []
    x = torch.zeros(1, dims)
    if type(net) is Conditional:
        table = net.classes.table
        layers.append(Classes(table, table.shape[1]))
        x = layers[0].apply(torch.zeros(1, dims + LABEL_VALUES))
        net = net.net
    for module in _leaves(net):
        for layer in _translated(module, tuple(x.shape[1:])):
            x = layer.apply(x)
            layers.append(layer)
    return list(_folded(layers))


def inputs(latents: Latents) -> Tensor:
    """What the first layer is given: latents, with labels each with its class, twice, and 0."""
    if latents.labels is None:
        return latents.z
    label = latents.labels[:, None].float()
    return torch.cat([latents.z, label, label, torch.zeros_like(label)], dim=1)


def draw(layers: list[Layer], x: Tensor) -> Tensor:
    """What the layers make of inputs."""
    for layer in layers:
        x = layer.apply(x)
    return x


def _leaves(net: nn.Module) -> Iterator[nn.Module]:
    if type(net) in (nn.Sequential, Enlarging):
        for child in net.children():
            yield from _leaves(child)
    else:
        yield net


def _folded(layers: list[Layer]) -> Iterator[Layer]:
    """The layers with each Affine that follows weights taken into them."""
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, Weighted) and isinstance(following, Affine):
            outputs = (1, -1, 1, 1) if isinstance(layer, Transposed) else (-1, 1, 1, 1)
            scale = following.scale.view(outputs[: layer.weight.dim()])
            bias = layer.bias * following.scale + following.shift
            yield replace(layer, weight=layer.weight * scale, bias=bias)
        elif not (isinstance(layer, Affine) and _has_weights_before(layers, layer)):
            yield layer


def _has_weights_before(layers: list[Layer], affine: Affine) -> bool:
    place = layers.index(affine)
    return place > 0 and isinstance(layers[place - 1], Weighted)


# From modules


def _translated(module: nn.Module, shape: Sizes) -> list[Layer]:
    if type(module) not in _TRANSLATIONS:
        known = ", ".join(sorted({cls.__name__ for cls in _TRANSLATIONS}))
        raise UsageError(
            f"--to page: the generator has a layer {type(module).__name__}, which the page does "
            f"not know; it knows: {known}; --to onnx takes others too"
        )
    return _TRANSLATIONS[type(module)](module, shape)


def _dense(module: nn.Linear, shape: Sizes) -> list[Layer]:
    return [Dense(module.weight, _bias(module, module.out_features))]


def _convolution(module: nn.Conv2d, shape: Sizes) -> list[Layer]:
    kernel, stride, (top, left) = _sides(module)
    height, width = (
        (side + 2 * before - kernel) // stride + 1
        for side, before in zip(shape[1:], (top, left), strict=True)
    )
    bias = _bias(module, module.out_channels)
    return [Convolution(module.weight, bias, stride, (top, left), (height, width))]


def _same_convolution(module: SameConv2d, shape: Sizes) -> list[Layer]:
    kernel, stride, _ = _sides(module)
    height, width = (-(-side // stride) for side in shape[1:])
    top, left = (
        max(0, (size - 1) * stride + kernel - side) // 2
        for size, side in zip((height, width), shape[1:], strict=True)
    )
    bias = _bias(module, module.out_channels)
    return [Convolution(module.weight, bias, stride, (top, left), (height, width))]


def _transposed(module: nn.ConvTranspose2d, shape: Sizes) -> list[Layer]:
    kernel, stride, before = _sides(module)
    height, width = (
        (side - 1) * stride + kernel - 2 * cut for side, cut in zip(shape[1:], before, strict=True)
    )
    bias = _bias(module, module.out_channels)
    return [Transposed(module.weight, bias, stride, before, (height, width))]


def _same_transposed(module: SameConvTranspose2d, shape: Sizes) -> list[Layer]:
    _, stride, before = _sides(module)
    size = (shape[1] * stride, shape[2] * stride)
    bias = _bias(module, module.out_channels)
    return [Transposed(module.weight, bias, stride, before, size)]


def _sides(module: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, tuple[int, int]]:
    """Kernel, stride and padding of a convolution with square kernels."""
    (kernel, wide), (stride, across) = module.kernel_size, module.stride
    plain = kernel == wide and stride == across and module.groups == 1
    plain &= module.dilation == (1, 1) and module.padding_mode == "zeros"
    if isinstance(module, nn.ConvTranspose2d):
        plain &= module.output_padding == (0, 0)
    if not plain or isinstance(module.padding, str):
        raise UsageError(f"--to page: the page does not know a layer like {module}")
    top, left = module.padding
    return kernel, stride, (int(top), int(left))


def _bias(module: Any, outputs: int) -> Tensor:
    return torch.zeros(outputs) if module.bias is None else module.bias


def _batch_norm(module: nn.BatchNorm1d | nn.BatchNorm2d, shape: Sizes) -> list[Layer]:
    assert module.running_mean is not None and module.running_var is not None
    scale = torch.rsqrt(module.running_var.double() + module.eps)
    shift = -module.running_mean.double() * scale
    if module.affine:
        scale, shift = scale * module.weight, shift * module.weight + module.bias
    return [Affine(scale.float(), shift.float())]


def _nothing(module: nn.Module, shape: Sizes) -> list[Layer]:
    return []


_TRANSLATIONS: Final[dict[type[nn.Module], Callable[[Any, Sizes], list[Layer]]]] = {
    nn.Linear: _dense,
    nn.Conv2d: _convolution,
    SameConv2d: _same_convolution,
    nn.ConvTranspose2d: _transposed,
    SameConvTranspose2d: _same_transposed,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    KerasBatchNorm1d: _batch_norm,
    nn.ReLU: lambda module, shape: [Leaky(0.0)],
    nn.LeakyReLU: lambda module, shape: [Leaky(module.negative_slope)],
    nn.Tanh: lambda module, shape: [Tanh()],
    nn.Sigmoid: lambda module, shape: [Sigmoid()],
    nn.Identity: _nothing,
    ToImage: lambda module, shape: [Reshape(module.shape)],
    Smooth: lambda module, shape: [Smoothing()],
    Enlarge2x: lambda module, shape: [Doubling()],
    Crop: lambda module, shape: [Cropping((module.height, module.width))],
}
