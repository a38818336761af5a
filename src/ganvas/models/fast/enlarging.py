"""A doubled map that a 3x3 convolution of stride 2 follows, without the doubled map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def enlarge_and_shrink(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 'SAME' convolution of stride 2 over x enlarged bilinearly as TensorFlow 1 does.

    (N, C, H, W) -> (N, out, H, W), H and W from 2. A kernel's rows w0, w1, w2 meet row i of x, its
    mean with row i + 1, and row i + 1: so w0 + w1 / 2 and w1 / 2 + w2 meet the rows i and i + 1.
    At the end w1 meets a copy of the last row and w2 the zeros of 'SAME': so w0 + w1 meet the last
    row. Columns likewise.
    """
    inner, edge = _short(weight, 2)
    rows = [
        torch.cat([_convolve(part, wide), _convolve(part[..., -1:], narrow)], 3)
        for part, (wide, narrow) in ((x, _short(inner, 3)), (x[:, :, -1:], _short(edge, 3)))
    ]
    y = torch.cat(rows, 2)
    return y if bias is None else y + bias.view(-1, 1, 1)


def _short(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Kernels of 2 and 1 taps along `dim` for one of 3: inside, and at the end."""
    first, second, third = weight.unbind(dim)
    inside = torch.stack([first + second / 2, second / 2 + third], dim)
    return inside, (first + second).unsqueeze(dim)


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    layout = torch.channels_last
    return F.conv2d(x.contiguous(memory_format=layout), weight.contiguous(memory_format=layout))
