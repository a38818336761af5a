"""What metrics take: NumPy arrays or tensors, checked once and brought to one form."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.errors import UsageError

Values = NDArray[Any] | Tensor
Floats = NDArray[np.float64]
Features = NDArray[np.float32] | NDArray[np.float64]
Rows = TypeVar("Rows", bound=NDArray[Any])
Better = Literal["higher", "lower", "half"]
"""Where the best value of a number lies: up, down, or at one half."""


def _array(values: Values | None, what: str) -> NDArray[Any]:
    if values is None:
        raise UsageError(f"{what}: none given")
    if isinstance(values, Tensor):
        tensor = values.detach().cpu()
        # NumPy has no bfloat16; half precision is stored, never computed in
        half = tensor.dtype in (torch.bfloat16, torch.float16)
        return (tensor.float() if half else tensor).numpy()
    return np.asarray(values)


def _enough(array: NDArray[Any], what: str, at_least: int) -> None:
    if array.ndim < 2 or array.size == 0:
        raise UsageError(f"{what}: found shape {array.shape}; one row an image is expected")
    if len(array) < at_least:
        raise UsageError(f"{what}: found {len(array)} images; at least {at_least} are needed")


def _finite(array: NDArray[Any], what: str) -> None:
    if np.isfinite(array).all():
        return
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise UsageError(
            f"{what}: {len(bad)} of {len(array)} rows hold NaN or infinity, the first is row "
            f"{bad[0]}; only finite numbers are allowed"
        )


def features(values: Values | None, what: str, at_least: int = 1) -> Features:
    """Features (N, D) or images (N, ...) as rows, float32 or float64, without a copy if possible.

    uint8 images become rows of whole numbers 0 to 255, so their distances are in grey levels.

    Raises:
        UsageError: no rows and columns, fewer than `at_least` rows, or NaN or infinity in a row.
    """
    array = _array(values, what)
    _enough(array, what, at_least)
    if array.dtype != np.float64:
        array = array.astype(np.float32, copy=False)
    array = np.ascontiguousarray(array.reshape(len(array), -1))
    _finite(array, what)
    return array


def same_width(rows: Rows, width: int, what: str) -> Rows:
    """`rows` itself; UsageError if its rows are not so long."""
    if rows.shape[1] != width:
        raise UsageError(
            f"{what}: found {rows.shape[1]} numbers an image and {width} in the images "
            "compared with; take both from the same extractor"
        )
    return rows


def pixel_rows(values: Values | None, what: str, at_least: int = 1) -> Features:
    """Images as rows of pixels, checked as `features`; uint8 as float32 from 0 to 1."""
    return as_floats(pixels_as_given(values, what, at_least))


def pixels_as_given(values: Values | None, what: str, at_least: int = 1) -> NDArray[Any]:
    """Images as rows of pixels, checked as `features`; uint8 stays uint8."""
    array = _array(values, what)
    if array.dtype != np.uint8:
        return features(array, what, at_least)
    _enough(array, what, at_least)
    return array.reshape(len(array), -1)


def as_floats(pixels: NDArray[Any]) -> Features:
    """uint8 as float32 from 0 to 1; floats as they are."""
    return pixels / np.float32(255) if pixels.dtype == np.uint8 else pixels


def labels(values: Values | None, num: int, what: str) -> NDArray[np.int64]:
    """Class indices (N,); UsageError unless there is one whole number for each of `num` images."""
    array = _array(values, what)
    if array.shape != (num,) or array.dtype.kind not in "iu":
        raise UsageError(
            f"{what}: found shape {array.shape} of {array.dtype}; {num} whole numbers are expected"
        )
    return array.astype(np.int64, copy=False)


def probabilities(values: Values | None, what: str, at_least: int = 1) -> Floats:
    """A classifier's probabilities, (N, classes), as float64.

    Raises:
        UsageError: fewer than `at_least` rows or two classes, or a row that is no distribution.
    """
    array = features(values, what, at_least).astype(np.float64)
    if array.shape[1] < 2:
        raise UsageError(f"{what}: found one class; at least two are needed")
    if array.min() < 0 or np.abs(array.sum(axis=1) - 1).max() > 1e-3:
        raise UsageError(
            f"{what}: a row is no distribution: it has negative numbers or does not sum to 1; "
            "give softmax probabilities, not logits"
        )
    array /= array.sum(axis=1, keepdims=True)
    return array


def same_classes(given: Floats, num_classes: int) -> None:
    """UsageError if probabilities of fakes are not of as many classes as those of real images."""
    if given.shape[1] != num_classes:
        raise UsageError(
            f"fake probabilities: found {given.shape[1]} classes, {num_classes} for real images; "
            "take both from the same classifier"
        )


def unit_pixels(values: Values | None, what: str, at_least: int = 1) -> Floats:
    """Images as rows of pixels in [0, 1]: uint8 divided by 255, floats as they are.

    Raises:
        UsageError: fewer than `at_least` images, or floats outside [0, 1].
    """
    scale = 255.0 if _array(values, what).dtype == np.uint8 else 1.0
    pixels = features(values, what, at_least).astype(np.float64) / scale
    if pixels.min() < 0 or pixels.max() > 1:
        raise UsageError(
            f"{what}: found pixels from {pixels.min():g} to {pixels.max():g}; give uint8 images or "
            "floats in [0, 1]"
        )
    return pixels
