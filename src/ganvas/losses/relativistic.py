"""The relativistic pairing loss: D says how much more real one image is than another."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.registry import CHECKED, LOSSES


@LOSSES.register("relativistic")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Relativistic:
    """D tells a real image from the fake beside it; G wants it the other way round.

    RpGAN (Jolicoeur-Martineau 2019, section 4.1) in its non-saturating form. Only differences of
    logits count, so a D alone does not settle: give it a penalty. With labels a fake has the class
    of the real image that it is paired with.
    """

    relativistic: ClassVar[Literal[True]] = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-mean log sigmoid(D(x) - D(G(z))), from as many real as fake logits."""
        return F.softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-mean log sigmoid(D(G(z)) - D(x)), from as many fake as real logits."""
        return F.softplus(real - fake).mean()

    def output(self, logits: Tensor) -> Tensor:
        """The score itself; it means something only beside another one."""
        return logits
