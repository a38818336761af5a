"""How a fast form is compared with the plain one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def check_equal(plain: nn.Module, x: Tensor, fast: Tensor) -> None:
    """The same output, the same gradients, and the same gradients of a penalty on those."""
    inputs = [x, *plain.parameters()]
    slope = torch.randn_like(fast).requires_grad_()
    first, second = derivatives(fast, inputs, slope)
    plain_first, plain_second = derivatives(plain(x), inputs, slope)
    for found, expected in zip(first, plain_first, strict=True):
        assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    scale = max(float(value.abs().max()) for value in plain_second)
    for found, expected in zip(second, plain_second, strict=True):
        assert torch.allclose(found, expected, rtol=0, atol=1e-13 * scale)


def derivatives(
    y: Tensor, inputs: Sequence[Tensor], slope: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """y with its gradients; and what a penalty on these says about the inputs and `slope`."""
    first = torch.autograd.grad(y, inputs, slope, create_graph=True)
    penalty = torch.stack([gradient.square().sum() for gradient in first]).sum()
    second = torch.autograd.grad(
        penalty, [*inputs, slope], allow_unused=True, materialize_grads=True
    )
    return [y, *first], [*second]
