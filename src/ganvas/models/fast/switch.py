"""The switch between a net's plain layers and their faster forms."""

from __future__ import annotations

from torch import nn


def use_fast(net: nn.Module, on: bool) -> None:
    """Have the layers of a net computed in their faster forms, or plainly."""
    for module in net.modules():
        if hasattr(module, "fast"):
            module.fast = on  # type: ignore[assignment]
