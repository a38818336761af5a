"""What products of matrices and convolutions are computed in."""

from __future__ import annotations

import torch


def precision_on(device: torch.device, setting: str) -> torch.dtype:
    """The data type that `train.precision` stands for on a device.

    auto is bfloat16 where the device has matrix units for it, otherwise float32.
    """
    if setting != "auto":
        return torch.bfloat16 if setting == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    matrix_units = device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if matrix_units else torch.float32
