"""An average of a generator's weights over the run, which draws better than the last ones."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ganvas.config import Ema
from ganvas.schedules import Progress, schedule


class Average:
    """The exponential moving average of a net: of its weights, and of the running statistics that
    belong to them.

    A change that was made h images ago counts half as much as the newest, h the half-life (Karras
    et al. 2018, section 2; with the limit `ramp`, Karras et al. 2020, appendix B).
    """

    def __init__(self, net: nn.Module, settings: Ema) -> None:
        self.net = copy.deepcopy(net).requires_grad_(False)
        """The averaged net, in training mode as the other."""
        self._ramp = settings.ramp
        self._half_life = schedule(settings.half_life)
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._counts: list[tuple[Tensor, Tensor]] = []
        newest, averaged = net.state_dict(), self.net.state_dict()
        for key, value in newest.items():
            kind = self._pairs if value.is_floating_point() else self._counts
            kind.append((averaged[key], value))

    @torch.no_grad()
    def update(self, images: int, progress: Progress) -> None:
        """Move on by the `images` real images of a step; `progress` is how far the run is then."""
        half_life = self.half_life(progress)
        share = 1.0 if half_life <= 0 else 1 - 0.5 ** (images / half_life)
        averaged, newest = zip(*self._pairs, strict=True)
        torch._foreach_lerp_(averaged, newest, share)
        for value, new in self._counts:  # BatchNorm's number of batches
            value.copy_(new)

    def half_life(self, progress: Progress) -> float:
        """In real images, at a place in the run."""
        half_life = self._half_life(progress)
        return min(half_life, self._ramp * progress.images) if self._ramp else half_life
