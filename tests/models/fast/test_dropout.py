"""The cheap masks."""

from __future__ import annotations

import pytest
import torch

from ganvas.models.fast.dropout import Dropout
from ganvas.models.fast.switch import use_fast


def fast_dropout(p: float) -> Dropout:
    dropout = Dropout(p)
    use_fast(dropout, True)
    return dropout


@pytest.mark.parametrize("p", [0.5, 0.3])
@pytest.mark.parametrize("shape", [(64, 33, 8, 8), (1000, 77)])
def test_dropout_keeps_the_right_share_and_scales_it(p: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.ones(shape)
    if len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    y = fast_dropout(p)(x)
    assert y.stride() == x.stride()
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
    share = (y == 0).double()
    assert share.mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / x.numel()) ** 0.5)
    # neighbours are independent: the covariance of adjacent values is that of chance
    flat = share.flatten()
    assert (
        abs(((flat[1:] - p) * (flat[:-1] - p)).mean().item()) < 4 * p * (1 - p) / len(flat) ** 0.5
    )
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert fast_dropout(p).eval()(x) is x


def test_as_built_masks_are_those_of_torch() -> None:
    x = torch.ones(4, 6)
    torch.manual_seed(0)
    expected = torch.nn.functional.dropout(x, 0.3)
    torch.manual_seed(0)
    assert torch.equal(Dropout(0.3)(x), expected)
    torch.manual_seed(0)
    assert not torch.equal(fast_dropout(0.3)(x), expected)


@pytest.mark.parametrize("p", [0.5, 0.3])
def test_derivatives_by_differences(p: float) -> None:
    dropout = fast_dropout(p)

    def run(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)  # the same mask each time
        return dropout(x.sin())

    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (x,))
    assert torch.autograd.gradgradcheck(run, (x,))
