"""The DCGAN of PyTorch's tutorial (Inkawhich 2018), written plainly, as somebody outside would.

Not run by itself; `python benchmarks/quality.py` trains it beside ganvas's recipes.

The tutorial's images are 64x64. For the small ones here its nets have one stage less in each,
which is what people do with it, and smaller images lie in the middle of 32x32.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SIDE: Final = 32
BATCH: Final = 128
LATENT: Final = 100
WIDTH: Final = 64


class TutorialDCGAN:
    """Nets, optimizers and images; `steps` trains."""

    def __init__(self, images: NDArray[np.uint8], seed: int) -> None:
        """Images (N, C, H, W) of at most 32 pixels a side."""
        torch.manual_seed(seed)
        self.height, self.width = images.shape[2:]
        if max(self.height, self.width) > SIDE:
            raise ValueError(f"the tutorial's nets are for {SIDE} pixels a side at most")
        self.images = self._padded(torch.from_numpy(images).float() / 127.5 - 1)
        channels = images.shape[1]
        self.G = nn.Sequential(
            nn.ConvTranspose2d(LATENT, WIDTH * 4, 4, 1, 0, bias=False),
            nn.BatchNorm2d(WIDTH * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH * 4, WIDTH * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH * 2, WIDTH, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH, channels, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
        self.D = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH, WIDTH * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH * 2, WIDTH * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH * 4, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )
        self.G.apply(_started)
        self.D.apply(_started)
        self.optimizers = {
            name: torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for name, net in (("G", self.G), ("D", self.D))
        }
        self.seen = 0
        """Real images shown."""

    def steps(self) -> Iterator[None]:
        """Train for ever, a step at a time."""
        criterion = nn.BCELoss()
        while True:
            order = torch.randperm(len(self.images))
            for start in range(0, len(order), BATCH):
                real = self.images[order[start : start + BATCH]]
                ones, zeros = torch.ones(len(real)), torch.zeros(len(real))

                self.D.zero_grad()
                criterion(self.D(real).view(-1), ones).backward()
                fake = self.G(torch.randn(len(real), LATENT, 1, 1))
                criterion(self.D(fake.detach()).view(-1), zeros).backward()
                self.optimizers["D"].step()

                self.G.zero_grad()
                criterion(self.D(fake).view(-1), ones).backward()
                self.optimizers["G"].step()
                self.seen += len(real)
                yield

    def sample(self, num: int, seed: int) -> NDArray[np.uint8]:
        """(num, C, H, W) images, with BatchNorm by the batch as in the tutorial."""
        rng = torch.Generator().manual_seed(seed)
        top, left = (SIDE - self.height) // 2, (SIDE - self.width) // 2
        drawn = []
        with torch.no_grad():
            for start in range(0, num, BATCH):
                z = torch.randn(min(BATCH, num - start), LATENT, 1, 1, generator=rng)
                drawn.append(self.G(z))
        images = torch.cat(drawn)[:, :, top : top + self.height, left : left + self.width]
        return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()

    def save(self, file: Path) -> None:
        torch.save(self._parts() | {"seen": self.seen, "rng": torch.get_rng_state()}, file)

    def load(self, file: Path) -> None:
        state = torch.load(file, weights_only=True)
        for net, name in ((self.G, "G"), (self.D, "D")):
            net.load_state_dict(state[name])
            self.optimizers[name].load_state_dict(state[f"optimizer {name}"])
        self.seen = state["seen"]
        torch.set_rng_state(state["rng"])

    def _parts(self) -> dict[str, object]:
        nets = {"G": self.G.state_dict(), "D": self.D.state_dict()}
        return nets | {f"optimizer {k}": v.state_dict() for k, v in self.optimizers.items()}

    def _padded(self, images: Tensor) -> Tensor:
        top, left = (SIDE - self.height) // 2, (SIDE - self.width) // 2
        margins = (left, SIDE - self.width - left, top, SIDE - self.height - top)
        return nn.functional.pad(images, margins, value=-1.0)


def _started(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
