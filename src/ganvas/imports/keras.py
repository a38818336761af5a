"""Reads the weights of Keras's files with h5py alone: .h5, .weights.h5 and .keras.

Keras 2 and TensorFlow 1 name each array and list the layers in order; Keras 3 numbers the arrays of
a layer and the layers of a kind. Nothing in a file is executed.
"""

from __future__ import annotations

import importlib
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ganvas.errors import UsageError

NORM: Final = ("gamma", "beta", "moving_mean", "moving_variance")
KERNEL: Final = ("kernel", "bias")
_ORDERS: Final = {
    "dense": KERNEL,
    "conv2d": KERNEL,
    "conv2d_transpose": KERNEL,
    "batch_normalization": NORM,
}
"""Kinds of layers with weights, and their arrays in the order of Keras 3."""


@dataclass(frozen=True)
class Layer:
    """A layer with weights."""

    name: str
    kinds: frozenset[str]
    """What it may be: the older files do not tell two kinds of convolutions apart."""
    arrays: Mapping[str, Any]
    """Its arrays in the file, which are read on use."""


@contextmanager
def opened(path: Path) -> Iterator[list[Layer]]:
    """The layers with weights of a Keras file, those of a kind in the model's order.

    Raises:
        UsageError: h5py is missing, or the file is damaged or none of Keras.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise UsageError(
            f"'{path}' needs h5py, which is missing; pip install 'ganvas[keras]'"
        ) from None
    try:
        if zipfile.is_zipfile(path):
            with (
                zipfile.ZipFile(path) as archive,
                archive.open("model.weights.h5") as inner,
                h5py.File(inner, "r") as file,
            ):
                yield _layers(file)
        else:
            with h5py.File(path, "r") as file:
                yield _layers(file)
    except UsageError as error:
        raise UsageError(f"'{path}' {error}") from None
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        raise UsageError(f"'{path}' is damaged, or no file of Keras: {error}") from None


def _layers(file: Any) -> list[Layer]:
    root = file.get("model_weights", file)
    if "layer_names" in root.attrs:
        found = list(_named(root))
    elif "layers" in root:
        found = list(_numbered(root["layers"]))
    else:
        raise UsageError("is no file of Keras: it has no layers")
    if not found:
        raise UsageError("holds no layers with weights; if a model is inside, save it alone")
    return found


def _named(root: Any) -> Iterator[Layer]:
    """Layers of the older form, in the order of the attribute `layer_names`."""
    for layer in map(_text, root.attrs["layer_names"]):
        arrays = {
            _text(name).rpartition("/")[2].partition(":")[0]: root[layer][_text(name)]
            for name in root[layer].attrs["weight_names"]
        }
        if set(arrays) == set(NORM):
            yield Layer(layer, frozenset({"batch_normalization"}), arrays)
        elif arrays and set(arrays) <= set(KERNEL):
            kinds = {2: {"dense"}, 4: {"conv2d", "conv2d_transpose"}}
            yield Layer(layer, frozenset(kinds.get(arrays["kernel"].ndim, ())), arrays)
        elif arrays:
            raise UsageError(f"has a layer {layer} with {', '.join(arrays)}, which is not known")


def _numbered(root: Any) -> Iterator[Layer]:
    """Layers of Keras 3's form: conv2d, conv2d_1, conv2d_2, each with vars/0, vars/1."""
    for layer in sorted(root, key=_place):
        kind, arrays = _place(layer)[0], root[layer].get("vars", {})
        if not len(arrays):
            continue
        if kind not in _ORDERS:
            raise UsageError(f"has a layer {layer}, which is not known")
        names: Sequence[str] = _ORDERS[kind]
        if kind == "batch_normalization" and len(arrays) != len(names):
            raise UsageError(f"has a layer {layer} without scale or shift, which is not known")
        by_name = {names[int(number)]: array for number, array in arrays.items()}
        yield Layer(layer, frozenset({kind}), by_name)


def _place(layer: str) -> tuple[str, int]:
    """'conv2d_transpose_10' -> ('conv2d_transpose', 10)."""
    match = re.fullmatch(r"(.*?)(?:_(\d+))?", layer)
    assert match
    return match[1], int(match[2] or 0)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
