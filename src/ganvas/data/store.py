"""The pixels of a data set by index, on the device that trains."""

from __future__ import annotations

import torch
from torch import Tensor

from ganvas.pixels import ImageSet


class Store:
    """All images as one uint8 tensor, with their labels if the model takes any."""

    def __init__(self, data: ImageSet, device: torch.device, *, with_labels: bool) -> None:
        self._images = torch.from_numpy(data.images).to(device)
        self._labels: Tensor | None = None
        if with_labels and data.labels is not None:
            self._labels = torch.from_numpy(data.labels).to(device)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def device(self) -> torch.device:
        return self._images.device

    def pixels(self, indices: Tensor) -> Tensor:
        """uint8 images (B, C, H, W) of indices (B,)."""
        return self._images[indices]

    def labels(self, indices: Tensor) -> Tensor | None:
        """Class indices (B,); None where there are none."""
        return None if self._labels is None else self._labels[indices]
