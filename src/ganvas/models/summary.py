"""A net as a table: its layers in the order they run in, with shapes, parameters and work."""

from __future__ import annotations

from dataclasses import dataclass

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
    multiply_adds: int
    """Multiplications, each with an addition, of its product or convolution for one input; 0 for
    other layers. A gradient of weights or of inputs takes as many."""


def num_parameters(net: nn.Module) -> int:
    """Trainable parameters of a net."""
    return sum(value.numel() for value in net.parameters())


def layers(net: nn.Module, inputs: Tensor, *labels: Tensor) -> list[Layer]:
    """A plain net's modules without children in the order they run in, for a batch of inputs, with
    their labels if the net takes any.

    On the meta device this takes neither time nor memory.
    """
    rows: list[Layer] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        work = _uses(module, args, output) // len(inputs)
        rows.append(Layer(str(module), list(output.shape[1:]), num_parameters(module), work))

    leaves = [module for module in net.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(note) for module in leaves]
    try:
        net(inputs, *labels)
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def _uses(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> int:
    """How often weights meet values in a forward pass."""
    if isinstance(module, nn.Linear):  # each weight once for each row
        return module.weight.numel() * (args[0].numel() // module.in_features)
    if isinstance(module, nn.Conv2d):  # for each pixel that comes out
        return module.weight.numel() * (output.numel() // module.out_channels)
    if isinstance(module, nn.ConvTranspose2d):  # for each pixel that goes in
        return module.weight.numel() * (args[0].numel() // module.in_channels)
    return 0
