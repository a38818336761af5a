"""The short form of an enlargement and the convolution after it."""

from __future__ import annotations

import pytest
import torch
from agreement import check_equal
from torch import nn

from ganvas.models.fast.enlarging import enlarge_and_shrink
from ganvas.models.layers import SameConv2d
from ganvas.models.mnist_classes import Enlarge2x


@pytest.mark.parametrize("size", [(2, 2), (5, 4), (3, 7)])
def test_without_the_enlarged_map_the_convolution_is_the_same(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = SameConv2d(3, 4, 3, stride=2).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    plain = nn.Sequential(Enlarge2x(), conv)
    check_equal(plain, x, enlarge_and_shrink(x, conv.weight, conv.bias))
