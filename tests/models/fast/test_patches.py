"""Convolutions as products of matrices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from agreement import check_equal
from torch import Tensor

from ganvas.models.fast import patches
from ganvas.models.layers import SameConv2d, SameConvTranspose2d


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (4, 2), (3, 1), (5, 1), (2, 2)])
@pytest.mark.parametrize("size", [(4, 4), (8, 6), (7, 5)])
def test_convolution_as_a_product_is_the_plain_one(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    plain = SameConv2d(3, 6, kernel, stride=stride).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    before = plain._zeros(size[0])[0], plain._zeros(size[1])[0]
    small = tuple(-(-side // stride) for side in size)
    fast = patches.product(x, plain.weight, plain.bias, stride, before, small)
    check_equal(plain, x, fast)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (4, 2), (3, 1), (5, 1), (2, 2)])
@pytest.mark.parametrize("size", [(4, 4), (2, 3), (7, 1)])
def test_transposed_convolution_as_a_product_is_the_plain_one(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    plain = SameConvTranspose2d(3, 6, kernel, stride=stride).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    before = int(plain.padding[0]), int(plain.padding[1])
    large = size[0] * stride, size[1] * stride
    fast = patches.transposed_product(x, plain.weight, plain.bias, stride, before, large)
    check_equal(plain, x, fast)


@pytest.mark.parametrize(("kernel", "stride", "size"), [(5, 2, (4, 6)), (3, 1, (3, 4))])
def test_derivatives_of_products_by_differences(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    conv = SameConv2d(2, 3, kernel, stride=stride).double()
    before = conv._zeros(size[0])[0], conv._zeros(size[1])[0]
    small = tuple(-(-side // stride) for side in size)
    x = torch.randn(2, 2, *size, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 3, *small, dtype=torch.float64, requires_grad=True)
    weight = conv.weight.detach().requires_grad_()
    forms = (
        (patches.product, x, small),
        (patches.transposed_product, y, size),
    )
    for form, image, result in forms:

        def run(image: Tensor, weight: Tensor, form: Any = form, result: Any = result) -> Tensor:
            return form(image, weight, None, stride, before, result)

        assert torch.autograd.gradcheck(run, (image, weight))
        assert torch.autograd.gradgradcheck(run, (image, weight))
