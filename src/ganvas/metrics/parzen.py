"""The Parzen-window log-likelihood of test images, the oldest number for GANs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from ganvas.config import Positive
from ganvas.errors import UsageError
from ganvas.metrics.inputs import Better, Floats, same_width, unit_pixels
from ganvas.metrics.interval import around, standard_error
from ganvas.metrics.metric import Measured, Metric, Need, StandIns, Views
from ganvas.registry import CHECKED, METRICS

BLOCK_BYTES: int = 32 << 20
"""Size of one block of float64 distances."""


@plain(frozen=True)
class RealPixels:
    """Real images as rows of pixels from 0 to 1."""

    held_out: Floats
    """(num_held_out, D): training images on which the width is chosen."""
    test: Floats
    """(N, D)"""


@METRICS.register("parzen")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ParzenLogLikelihood(Metric):
    """Parzen-window log-likelihood (Goodfellow et al. 2014, section 5; Breuleux et al. 2011).

    log p(x) = log mean_i exp(-|x - s_i|^2 / (2 sigma^2)) - D log(sigma sqrt(2 pi)), with fakes
    s_i and real images x as D pixels in [0, 1]. It sees test images that no fake comes near. It
    says little of looks: it swings with the fakes and sigma, and copies of training images beat
    all.
    """

    sigmas: Annotated[int, Field(ge=1)] = 10
    """Widths tried, evenly spaced in their logarithm."""

    low: Annotated[float, Field(gt=0)] = 0.1
    """Smallest width, in pixel units of 0 to 1."""

    high: Annotated[float, Field(gt=0)] = 1.0
    """Largest width."""

    num_held_out: Positive = 1000
    """Held-out training images, the first ones, on which the width is chosen."""

    needs: ClassVar[tuple[Need, ...]] = ("images", "held_out")
    better: ClassVar[Mapping[str, Better]] = {"log_likelihood": "higher"}
    floor: ClassVar[StandIns] = "training"

    def statistics(self, real: Views) -> RealPixels:
        held_out = unit_pixels(real.held_out, "held-out images", self.num_held_out)
        test = unit_pixels(real.images, "test images")
        same_width(held_out, test.shape[1], "held-out images")
        return RealPixels(held_out[: self.num_held_out], test)

    def compare(self, statistics: RealPixels, fakes: Views) -> Measured:
        """The log-likelihood of the real images under fakes; the protocol has 10,000 of them."""
        centres = unit_pixels(fakes.images, "fake images")
        same_width(centres, statistics.test.shape[1], "fake images")
        sigma = self.choose(centres, statistics.held_out)
        likelihoods = log_likelihoods(centres, statistics.test, np.array([sigma]))[0]
        value = float(likelihoods.mean())
        interval = around(value, standard_error(likelihoods))
        return Measured({"log_likelihood": value, "sigma": sigma}, {"log_likelihood": interval})

    def choose(self, samples: Floats, held_out: Floats) -> float:
        """The width under which held-out rows of pixels are the most likely."""
        if self.high < self.low:
            raise UsageError(f"parzen.high: found {self.high}; at least low, {self.low}, is needed")
        widths = np.logspace(math.log10(self.low), math.log10(self.high), self.sigmas)
        means = log_likelihoods(samples, held_out, widths).mean(axis=1)
        return float(widths[means.argmax()])


def log_likelihoods(samples: Floats, images: Floats, sigmas: Floats) -> Floats:
    """Log-likelihood in nats of each row of pixels under each width, (widths, images)."""
    dims = samples.shape[1]
    values = np.empty((len(sigmas), len(images)))
    for rows, squared in _squared_distances(images, samples):
        least = squared.amin(dim=1, keepdim=True)
        squared -= least
        for i, sigma in enumerate(sigmas):
            mean = (squared / (-2 * sigma**2)).exp_().mean(dim=1)
            values[i, rows] = mean.log() - least[:, 0] / (2 * sigma**2)
    values -= dims * np.log(sigmas * math.sqrt(2 * math.pi))[:, None]
    return values


def _squared_distances(images: Floats, samples: Floats) -> Iterator[tuple[slice, Tensor]]:
    """Rows of images, and their squared distances to all samples, (rows, samples)."""
    step = max(1, BLOCK_BYTES // (8 * len(samples)))
    centres = torch.from_numpy(samples)
    norms = centres.square().sum(dim=1)
    for start in range(0, len(images), step):
        rows = slice(start, start + step)
        some = torch.from_numpy(images[rows])
        squared = torch.addmm(norms, some, centres.T, alpha=-2)
        squared += some.square().sum(dim=1, keepdim=True)
        yield rows, squared.clamp_(min=0)
