"""Dropout with cheap masks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.models.fast.switch import HasFastForm


class Dropout(HasFastForm, nn.Dropout):
    """Dropout (Srivastava et al. 2014); its fast masks cost a tenth of the usual ones.

    Values are kept with probability 1 - p, in the fast form to 1 in 65,536, and scaled by
    1 / (1 - p). The fast form is one for processors; elsewhere masks are drawn as torch does.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if not self.fast or x.device.type != "cpu":
            return F.dropout(x, self.p)
        if not x.is_contiguous(memory_format=torch.channels_last if x.dim() == 4 else _PLAIN):
            x = x.contiguous()
        if self.p == 0.5:
            return x * _doubled_coins(x).as_strided(x.shape, x.stride())
        return x * _draws(x, self.p).as_strided(x.shape, x.stride()) * (1 / (1 - self.p))


_PLAIN = torch.contiguous_format
_BITS = (torch.arange(256, device="cpu").view(-1, 1) >> torch.arange(8, device="cpu")) & 1


def _doubled_coins(x: Tensor) -> Tensor:
    """0 or 2 with equal probability for each value of x: 64 of them from one random word."""
    coins = torch.index_select(2 * _BITS.to(x.dtype), 0, _words(x, 64).view(torch.uint8).int())
    return coins.view(-1)[: x.numel()]


def _draws(x: Tensor, p: float) -> Tensor:
    """False with probability p for each value of x: four of them from one random word."""
    return _words(x, 4).view(torch.int16)[: x.numel()] >= round(p * 65536) - 32768


def _words(x: Tensor, values: int) -> Tensor:
    """Random words of 64 bits, one for so many values of x."""
    num = (x.numel() + values - 1) // values
    return torch.empty(num, dtype=torch.int64, device=x.device).random_(-(2**63), None)
