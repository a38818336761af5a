"""A net as a table: its layers in the order they run in, with shapes and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """A row of a net's layer table."""

    layer: str
    """The module as PyTorch prints it."""
    output: list[int]
    """Shape of its output, without the batch."""
    parameters: int
    """Its trainable parameters."""


def num_parameters(net: nn.Module) -> int:
    """Trainable parameters of a net."""
    return sum(value.numel() for value in net.parameters())


def layers(net: nn.Module, inputs: Tensor) -> list[Layer]:
    """A net's modules without children in the order they run in, with their output shapes."""
    rows: list[Layer] = []

    def note(module: nn.Module, _: Any, output: Tensor) -> None:
        rows.append(Layer(str(module), list(output.shape[1:]), num_parameters(module)))

    leaves = [module for module in net.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(note) for module in leaves]
    net(inputs)
    for hook in hooks:
        hook.remove()
    return rows
