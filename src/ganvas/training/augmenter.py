"""What lies between images and D: an augmentation with its random numbers and its strength."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Generator, Tensor

from ganvas.augment import Adaptive, NoAugmentation
from ganvas.protocols import Augmentation, Scalars

_SMOOTHED: Final = 0.1
"""Share of a step in the running mean of D's lead."""


class Augmenter:
    """A run's augmentation in use.

    An adaptive one's strength rises while D tells reals from fakes better than it should, and
    falls otherwise (Karras et al. 2020, section 3.1). It is kept on the device and changed in
    place, so that nothing waits for it.
    """

    def __init__(
        self,
        augmentation: Augmentation | None = None,
        device: torch.device | str = "cpu",
        seed: int = 0,
    ) -> None:
        self._augmentation = augmentation or NoAugmentation()
        self.stream = Generator(device).manual_seed(seed)
        self._is_on = not isinstance(self._augmentation, NoAugmentation)
        self._adaptive = self._augmentation if isinstance(self._augmentation, Adaptive) else None
        self.strength = torch.full((), 0.0 if self._adaptive else 1.0, device=device)
        """In [0, 1]; 1 for an augmentation that does not adapt."""
        self._lead = torch.zeros((), device=device)

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape, as D is to see them."""
        return self._augmentation(images, self.stream, self.strength) if self._is_on else images

    def adapt(self, scalars: Scalars, images: int) -> Scalars:
        """Move the strength by what a step of so many images found; the scalars to log."""
        if self._adaptive is None:
            return scalars
        self._lead.lerp_(scalars["D/real"] - scalars["D/fake"], _SMOOTHED)
        direction = torch.sign(self._lead - self._adaptive.target)
        self.strength.add_(direction, alpha=images / self._adaptive.span).clamp_(0.0, 1.0)
        return scalars | {"D/augmentation": self.strength}

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of it; nothing where there is no augmentation."""
        if not self._is_on:
            return {}
        found = {"rng": self.stream.get_state()}
        if self._adaptive is not None:
            found |= {"strength": self.strength, "lead": self._lead}
        return found

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave; KeyError if it is of another augmentation."""
        if not self._is_on:
            return
        self.stream.set_state(state["rng"])
        if self._adaptive is not None:
            self.strength.copy_(state["strength"])
            self._lead.copy_(state["lead"])
