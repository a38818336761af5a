"""Foreign weights in a recipe's generator: which belongs where, turned as PyTorch has them."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganvas.errors import UsageError
from ganvas.imports import keras
from ganvas.models.layers import ToImage

Weights = dict[str, Tensor]


def read(path: Path, net: nn.Module) -> Weights:
    """The state dict of `net`, which may be on the meta device, from a file of Keras or PyTorch.

    A net in PyTorch may have other names: tensors belong together by their order.

    Raises:
        UsageError: the file is damaged, not known, or of another net.
    """
    if path.suffix in (".h5", ".hdf5", ".keras"):
        with keras.opened(path) as layers:
            return dict(_from_keras(net, layers))
    if path.suffix in (".pt", ".pth", ".ckpt"):
        return _from_state_dict(path, net, _state_dict(path))
    raise UsageError(f"'{path}' is not known; allowed: .h5, .keras, .pt, .pth")


# Keras


def _from_keras(net: nn.Module, layers: list[keras.Layer]) -> Iterator[tuple[str, Tensor]]:
    """Of each layer of the net its tensors, from the first layer of its kind that is left."""
    left = list(layers)
    for name, module in net.named_modules():
        kind = _kind(module)
        if kind is None:
            continue
        found = next((layer for layer in left if kind in layer.kinds), None)
        if found is None:
            raise UsageError(f"is of another net: it has too few layers {kind}")
        left.remove(found)
        order = _channels_first(net, module)
        for ours, theirs in _names(module).items():
            if theirs not in found.arrays:
                raise UsageError(f"is of another net: its layer {found.name} has no {theirs}")
            expected = getattr(module, ours).shape
            array = found.arrays[theirs]
            if math.prod(array.shape) != expected.numel():  # before memory is taken
                raise UsageError(_unlike(found.name, theirs, array.shape, expected))
            tensor = _turned(torch.from_numpy(np.asarray(array, np.float32)), kind)
            if tensor.shape != expected:
                raise UsageError(_unlike(found.name, theirs, array.shape, expected))
            yield f"{name}.{ours}", (tensor if order is None else tensor[order]).contiguous()
        if isinstance(module, _BatchNorm):
            yield f"{name}.num_batches_tracked", torch.zeros((), dtype=torch.long)
        if unused := set(found.arrays) - set(_names(module).values()):
            raise UsageError(
                f"is of another net: its layer {found.name} has a {min(unused)}, ours has none"
            )
    if left:
        raise UsageError(f"is of another net: it has a layer {left[0].name} too many")


def _unlike(layer: str, name: str, found: Any, expected: Any) -> str:
    return (
        f"is of another net: {name} of its layer {layer} has shape {list(found)}, "
        f"which is not that of {list(expected)} in PyTorch"
    )


def _kind(module: nn.Module) -> str | None:
    if isinstance(module, nn.Linear):
        return "dense"
    if isinstance(module, nn.ConvTranspose2d):
        return "conv2d_transpose"
    if isinstance(module, nn.Conv2d):
        return "conv2d"
    return "batch_normalization" if isinstance(module, _BatchNorm) else None


def _names(module: nn.Module) -> dict[str, str]:
    """Our tensors of a layer, and Keras's names of them."""
    if isinstance(module, _BatchNorm):
        norm = {"weight": "gamma", "bias": "beta"} if module.affine else {}
        return norm | {"running_mean": "moving_mean", "running_var": "moving_variance"}
    return {"weight": "kernel"} | ({} if module.bias is None else {"bias": "bias"})


def _turned(array: Tensor, kind: str) -> Tensor:
    """Keras has inputs first and channels last: (in, out), (K, K, in, out), (K, K, out, in)."""
    if kind == "dense":
        return array.t() if array.dim() == 2 else array
    return array.permute(3, 2, 0, 1) if array.dim() == 4 else array


def _channels_first(net: nn.Module, module: nn.Module) -> Tensor | None:
    """Which of Keras's values stands in each place of ours, for a layer that makes an image.

    Keras reshapes values to (H, W, C), PyTorch to (C, H, W). It concerns a dense layer, and what
    normalises its values, if next comes the reshaping.
    """
    if not isinstance(module, nn.Linear | nn.BatchNorm1d):
        return None
    following = list(net.modules())
    after = following[following.index(module) + 1 :]
    image = next((m for m in after if isinstance(m, nn.Linear | ToImage)), None)
    if not isinstance(image, ToImage):
        return None
    channels, height, width = image.shape
    return (
        torch.arange(math.prod(image.shape))
        .view(height, width, channels)
        .permute(2, 0, 1)
        .flatten()
    )


# PyTorch


def _state_dict(path: Path) -> Mapping[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"'{path}' holds no state dict, or is damaged: {reason}") from None
    if _is_state_dict(found):
        return dict(found)
    entries = found if isinstance(found, Mapping) else {}
    inside = [key for key, value in entries.items() if _is_state_dict(value)]
    if len(inside) == 1:
        return dict(found[inside[0]])
    holds = f"several, {', '.join(map(str, inside))}" if inside else "none"
    raise UsageError(f"'{path}': found {holds}; save the generator's state dict alone")


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(tensor, Tensor) for tensor in value.values())
    )


def _from_state_dict(path: Path, net: nn.Module, found: Mapping[str, Tensor]) -> Weights:
    """The tensors in order, whatever their names."""
    ours = net.state_dict()
    places = [key for key in ours if not key.endswith("num_batches_tracked")]
    tensors = {k: v for k, v in found.items() if not k.endswith("num_batches_tracked")}
    if len(tensors) != len(places):
        raise UsageError(
            f"'{path}' is of another net: it has {len(tensors)} tensors, ours has {len(places)}"
        )
    weights = {key: torch.zeros((), dtype=torch.long) for key in ours if key not in places}
    for place, (name, tensor) in zip(places, tensors.items(), strict=True):
        if tensor.shape != ours[place].shape:
            raise UsageError(
                f"'{path}' is of another net: its {name} has shape {list(tensor.shape)}, "
                f"ours has {list(ours[place].shape)}"
            )
        weights[place] = tensor.detach().float().contiguous()
    return weights
