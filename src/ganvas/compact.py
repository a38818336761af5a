"""Weights in fewer bytes: halves, or whole numbers of 8 bits with a scale for each output channel.

What of a net has two dimensions or more is packed; biases and BatchNorm's values, which are few,
stay as they are. A file says in its metadata, under `FORM`, how it is packed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ganvas.errors import UsageError, first_line

Form = Literal["int8", "float16"]
FORMS: Final[tuple[str, ...]] = get_args(Form)
FORM: Final = "weights"
"""The key of the form in a file's metadata."""
WORDS: Final = {
    "int8": "8 bits a weight, with a scale for each output channel",
    "float16": "16 bits a weight",
}
_SCALE: Final = ".scale"
_STEPS: Final = 127


def pack(net: nn.Module, form: Form) -> dict[str, Tensor]:
    """A net's state in fewer bytes; to each tensor of 8 bits there is one `NAME.scale`."""
    packed: dict[str, Tensor] = {}
    outputs = _output_dims(net)
    for name, value in net.state_dict().items():
        if not _is_packed(value):
            packed[name] = value
        elif form == "float16":
            packed[name] = value.half()
        else:
            others = [dim for dim in range(value.dim()) if dim != outputs.get(name, 0)]
            scale = value.abs().amax(others, keepdim=True) / _STEPS
            scale[scale == 0] = 1
            packed[name] = (value / scale).round().to(torch.int8)
            packed[name + _SCALE] = scale
    return packed


def unpack(tensors: Mapping[str, Tensor], form: str | None) -> dict[str, Tensor]:
    """The state that was packed, as float32; without a form the tensors as they are."""
    if form == "int8":
        return {
            name: value * tensors[name + _SCALE] if name + _SCALE in tensors else value
            for name, value in tensors.items()
            if not _is_scale(name, tensors)
        }
    if form == "float16":
        return {
            name: value.float() if value.dtype == torch.float16 else value
            for name, value in tensors.items()
        }
    return dict(tensors)


def shapes(found: Mapping[str, Sequence[int]], form: str | None) -> dict[str, list[int]]:
    """The shapes that `unpack` gives, by those in the file.

    Raises:
        ValueError: the form is not known, or a scale does not fit its weights.
    """
    if form is not None and form not in FORMS:
        raise ValueError(f"weights in the form '{form}'; this version reads {', '.join(FORMS)}")
    if form != "int8":
        return {name: list(shape) for name, shape in found.items()}
    for name in filter(lambda name: _is_scale(name, found), found):
        scale, whole = list(found[name]), list(found[name.removesuffix(_SCALE)])
        sides = [1 if size == 1 else side for size, side in zip(scale, whole, strict=False)]
        if len(scale) != len(whole) or scale != sides:
            raise ValueError(f"{name} has shape {scale}, which does not fit {whole}")
    return {name: list(shape) for name, shape in found.items() if not _is_scale(name, found)}


def load_into(net: nn.Module, path: Path) -> int:
    """Give a net the weights of a file, however they are packed; the images it was shown.

    Sizes are checked before the weights are read.

    Raises:
        UsageError: the file is damaged, or of another net.
    """
    expected = {key: list(value.shape) for key, value in net.state_dict().items()}
    types = {key: value.dtype for key, value in net.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            found = {key: file.get_slice(key).get_shape() for key in file.keys()}
            metadata = file.metadata() or {}
        form, images_seen = metadata.get(FORM), metadata.get("images_seen", "0")
        found = shapes(found, form)
        if found != expected:
            key = min(k for k in expected | found if expected.get(k) != found.get(k))
            raise UsageError(
                f"'{path}' does not fit its config.json: {key} has shape "
                f"{found.get(key, 'none')}, expected {expected.get(key, 'none')}"
            )
        weights = unpack(load_file(path), form)
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
        raise UsageError(f"'{path}' is damaged: {first_line(error)}") from None
    return int(images_seen) if images_seen.isdecimal() else 0


def _is_packed(value: Tensor) -> bool:
    return value.is_floating_point() and value.dim() > 1


def _is_scale(name: str, among: Mapping[str, object]) -> bool:
    return name.endswith(_SCALE) and name.removesuffix(_SCALE) in among


def _output_dims(net: nn.Module) -> dict[str, int]:
    """Where a weight's output channels are counted, if not in its first dimension."""
    return {
        f"{name}.weight".removeprefix("."): 1
        for name, module in net.named_modules()
        if isinstance(module, nn.ConvTranspose2d)
    }
