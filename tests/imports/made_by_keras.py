"""What Keras makes of weights by formula: the files beside this one.

    ENVIRONMENT/bin/python tests/imports/made_by_keras.py

in an environment with TensorFlow and Keras 3. Tests take `layers` from here, and need neither.

`images.npz` has what Keras draws with each recipe's generator; `small.*` is one small model in the
forms in which Keras saves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
Arrays = dict[str, NDArray[np.float32]]
Shapes = dict[str, tuple[int, ...]]
Plan = list[tuple[str, Shapes]]
"""Layers with weights in order: kind, and its arrays' shapes as Keras has them."""


def dense(inputs: int, outputs: int, bias: bool = True) -> tuple[str, Shapes]:
    return "dense", {"kernel": (inputs, outputs)} | ({"bias": (outputs,)} if bias else {})


def norm(channels: int) -> tuple[str, Shapes]:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return "batch_normalization", {name: (channels,) for name in names}


def transposed(inputs: int, outputs: int) -> tuple[str, Shapes]:
    return "conv2d_transpose", {"kernel": (5, 5, outputs, inputs)}


PLANS: dict[str, Plan] = {
    "modelzoo-vanilla": [
        dense(100, 256), norm(256), dense(256, 512), norm(512), dense(512, 1024), norm(1024),
        dense(1024, 784),
    ],
    "genzoo-mnist": [
        dense(100, 12544, bias=False), norm(12544), transposed(256, 128), norm(128),
        transposed(128, 64), norm(64), transposed(64, 1),
    ],
    "genzoo-cifar10": [
        dense(100, 8192, bias=False), norm(8192), transposed(512, 256), norm(256),
        transposed(256, 128), norm(128), transposed(128, 3),
    ],
    "small": [
        dense(3, 8), norm(8), transposed(2, 3), norm(3),
        ("conv2d", {"kernel": (3, 3, 3, 1), "bias": (1,)}),
    ],
}  # fmt: skip


def layers(plan: str) -> list[tuple[str, Arrays]]:
    """A plan's layers with weights by formula, of a size that keeps values near 1."""
    rng = np.random.RandomState(0)
    return [
        (kind, {name: _array(rng, name, shape) for name, shape in shapes.items()})
        for kind, shapes in PLANS[plan]
    ]


def _array(rng: np.random.RandomState, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    values = rng.standard_normal(shape)
    if name == "kernel":
        fan_in = shape[0] if len(shape) == 2 else shape[0] * shape[1] * shape[3] / 4
        values /= np.sqrt(fan_in)
    else:
        values = {"gamma": 1 + values / 5, "moving_variance": 0.5 + values**2}.get(name, values / 5)
    return values.astype(np.float32)


def latents() -> NDArray[np.float32]:
    return np.random.RandomState(1).standard_normal((2, 100)).astype(np.float32)


def main() -> None:
    import keras
    from keras.layers import (
        BatchNormalization,
        Conv2D,
        Conv2DTranspose,
        Dense,
        LeakyReLU,
        Reshape,
    )

    def genzoo(small: tuple[int, int, int], *shapes: tuple[int, int]) -> list[Any]:
        made: list[Any] = [Dense(int(np.prod(small)), use_bias=False)]
        made += [BatchNormalization(), LeakyReLU(negative_slope=0.3), Reshape(small)]
        for channels, stride in shapes:
            made += [Conv2DTranspose(channels, 5, stride, padding="same", use_bias=False)]
            made += [BatchNormalization(), LeakyReLU(negative_slope=0.3)]
        return made

    def last(channels: int) -> Any:
        return Conv2DTranspose(channels, 5, 2, padding="same", use_bias=False, activation="tanh")

    hidden: list[Any] = []
    for units in (256, 512, 1024):
        hidden += [Dense(units), LeakyReLU(negative_slope=0.2), BatchNormalization()]
    nets = {
        "modelzoo-vanilla": [*hidden, Dense(784, activation="tanh"), Reshape((28, 28, 1))],
        "genzoo-mnist": [*genzoo((7, 7, 256), (128, 1), (64, 2)), last(1)],
        "genzoo-cifar10": [*genzoo((4, 4, 512), (256, 2), (128, 2)), last(3)],
        "small": [
            Dense(8),
            BatchNormalization(),
            Reshape((2, 2, 2)),
            Conv2DTranspose(3, 5, 2, padding="same", use_bias=False),
            BatchNormalization(),
            Conv2D(1, 3, padding="same"),
        ],
    }
    images = {}
    for name, net in nets.items():
        keras.backend.clear_session()
        model = keras.Sequential([keras.Input((3 if name == "small" else 100,)), *net])
        model.set_weights([array for _, arrays in layers(name) for array in arrays.values()])
        if name == "small":
            model.save(HERE / "small.h5")
            model.save(HERE / "small.keras")
            model.save_weights(HERE / "small.weights.h5")
        else:
            images[name] = model.predict(latents(), verbose=0)
            print(name, images[name].shape, images[name].std())
    np.savez_compressed(HERE / "images.npz", **images)


if __name__ == "__main__":
    main()
