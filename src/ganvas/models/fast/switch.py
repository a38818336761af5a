"""The one switch between layers in their plain form and in their fast one."""

from __future__ import annotations

from torch import nn


class HasFastForm:
    """A layer that can compute its result in a second form, which is faster on processors."""

    fast: bool = False
    """Whether the second form may be taken, where it pays. A net as built is plain."""


def use_fast(net: nn.Module, on: bool) -> None:
    """Let the layers of `net` take their fast forms, or have all of them plain.

    Parameters and state dict stay as they are. Outputs and gradients, and gradients of gradients,
    agree up to the order of sums; dropout draws other masks of the same distribution.
    """
    for module in net.modules():
        if isinstance(module, HasFastForm):
            module.fast = on
