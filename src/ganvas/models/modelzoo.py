"""The nets of the model zoo's VanillaGAN."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from pydantic.dataclasses import dataclass
from torch import nn

from ganvas.models.fast.dropout import Dropout
from ganvas.models.layers import KerasBatchNorm1d, Logits, ToImage, glorot, num_values
from ganvas.pixels import Shape
from ganvas.protocols import SampleMode
from ganvas.registry import CHECKED, MODELS


@MODELS.register("modelzoo")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class ModelZoo:
    """Fully connected G with BatchNorm after the activation, D with dropout; Keras defaults.

    Source: model-zoo VanillaGAN (TensorFlow 2 / Keras), after Goodfellow et al. 2014.
    """

    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    sample_mode: ClassVar[SampleMode] = "inference"

    def generator(self, shape: Shape, latent_dims: int) -> nn.Module:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((latent_dims, 256, 512, 1024)):
            layers += [
                nn.Linear(fan_in, fan_out),
                nn.LeakyReLU(0.2),
                KerasBatchNorm1d(fan_out, eps=1e-3, momentum=0.2),
            ]
        layers += [nn.Linear(1024, num_values(shape)), nn.Tanh(), ToImage(shape)]
        return glorot(nn.Sequential(*layers))

    def discriminator(self, shape: Shape) -> nn.Module:
        return glorot(
            nn.Sequential(
                nn.Flatten(),
                nn.Linear(num_values(shape), 1024),
                nn.LeakyReLU(0.2),
                Dropout(0.3),
                nn.Linear(1024, 512),
                nn.LeakyReLU(0.2),
                Dropout(0.3),
                nn.Linear(512, 256),
                nn.LeakyReLU(0.2),
                nn.Linear(256, 1),
                Logits(),
            )
        )
