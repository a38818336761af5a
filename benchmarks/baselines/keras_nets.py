"""The recipes in Keras and TensorFlow, float32, with XLA (jit_compile) or without.

Not run by itself; needs no ganvas and no PyTorch, so TensorFlow may have an environment of its own
(`pip install tensorflow-cpu`):

    python benchmarks/train_speed.py --side keras --recipe genzoo-mnist --seconds 5 \
        --keras-python ENVIRONMENT/bin/python

The nets are of Keras layers with channels last; data and train step are as in TensorFlow's DCGAN
tutorial: tf.data, GradientTape, one tf.function a step, Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

Step = Callable[[], Any]
Nets = tuple[list[Any], list[Any]]
"""The layers of G, the layers of D."""


def prepare(spec: dict[str, Any], images: np.ndarray, *, jit_compile: bool) -> Step:
    """A function that trains one step and returns a loss."""
    channels, height, width = spec["shape"]
    dims = spec["tables"]["latent"]["dims"]
    model = spec["tables"]["model"]
    g_layers, d_layers = NETS[model["name"]](model, channels, height, width)
    G = keras.Sequential([keras.Input((dims,)), *g_layers])
    D = keras.Sequential([keras.Input((height, width, channels)), *d_layers])
    assert G.output_shape == (None, height, width, channels) and D.output_shape == (None, 1)
    found = {"G": num_parameters(G), "D": num_parameters(D)}
    assert found == spec["parameters"], f"{found}, not {spec['parameters']} parameters"
    return step_function(spec, G, D, batches(spec, images), jit_compile)


def step_function(spec: dict[str, Any], G: Any, D: Any, reals: Any, jit_compile: bool) -> Step:
    tables = spec["tables"]
    update = {"alternating": alternating, "simultaneous": simultaneous, "controller": controller}
    return update[tables["update"]["name"]](spec, G, D, Losses(tables["loss"]), reals, jit_compile)


def num_parameters(net: Any) -> int:
    return sum(int(np.prod(variable.shape)) for variable in net.trainable_variables)


# Nets


def modelzoo(model: dict[str, Any], channels: int, height: int, width: int) -> Nets:
    generator: list[Any] = []
    for units in (256, 512, 1024):
        generator += [
            layers.Dense(units),
            layers.LeakyReLU(negative_slope=0.2),
            layers.BatchNormalization(momentum=0.8),
        ]
    discriminator: list[Any] = [layers.Flatten()]
    for units, dropout in ((1024, 0.3), (512, 0.3), (256, 0.0)):
        discriminator += [layers.Dense(units), layers.LeakyReLU(negative_slope=0.2)]
        discriminator += [layers.Dropout(dropout)] if dropout else []
    return generator + painted(channels, height, width), [*discriminator, layers.Dense(1)]


def painted(channels: int, height: int, width: int) -> list[Any]:
    """The end of a dense generator."""
    values = layers.Dense(height * width * channels, activation="tanh")
    return [values, layers.Reshape((height, width, channels))]


def cs231n_dense(model: dict[str, Any], channels: int, height: int, width: int) -> Nets:
    hidden = [layers.Dense(1024, activation="relu") for _ in range(2)]
    discriminator: list[Any] = [layers.Flatten()]
    for _ in range(2):
        discriminator += [layers.Dense(256), layers.LeakyReLU(negative_slope=0.01)]
    return hidden + painted(channels, height, width), [*discriminator, layers.Dense(1)]


def cs231n_dcgan(model: dict[str, Any], channels: int, height: int, width: int) -> Nets:
    def norm() -> Any:
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)

    small = (height // 4, width // 4, 128)
    generator = [
        layers.Dense(1024, activation="relu"),
        norm(),
        layers.Dense(int(np.prod(small)), activation="relu"),
        norm(),
        layers.Reshape(small),
        layers.Conv2DTranspose(64, 4, 2, padding="same", activation="relu"),
        norm(),
        layers.Conv2DTranspose(channels, 4, 2, padding="same", activation="tanh"),
    ]
    discriminator: list[Any] = []
    for filters in (32, 64):
        discriminator += [
            layers.Conv2D(filters, 5),
            layers.LeakyReLU(negative_slope=0.01),
            layers.MaxPooling2D(),
        ]
    discriminator += [layers.Flatten(), layers.Dense(1024), layers.LeakyReLU(negative_slope=0.01)]
    return generator, [*discriminator, layers.Dense(1)]


class Enlarge2x(layers.Layer):
    """Bilinear as TensorFlow 1 resizes."""

    def call(self, x: Any) -> Any:
        return tf.compat.v1.image.resize_bilinear(x, (2 * x.shape[1], 2 * x.shape[2]))

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shape[0], 2 * shape[1], 2 * shape[2], shape[3])


def mnist_classes(model: dict[str, Any], channels: int, height: int, width: int) -> Nets:
    def norm() -> list[Any]:
        bare = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, center=False, scale=False)
        return [bare, layers.ReLU()]

    generator = [
        layers.Dense(4 * height * width),
        layers.Reshape((2 * height, 2 * width, 1)),
        *norm(),
        layers.Conv2D(50, 3, 2, padding="same"),
        *norm(),
        Enlarge2x(),
        layers.Conv2D(25, 3, 2, padding="same"),
        *norm(),
        layers.Conv2D(channels, 1, activation="sigmoid"),
    ]
    discriminator: list[Any] = []
    for filters, kernel in ((32, 5), (64, 5), (64, 3)):
        discriminator += [
            layers.Conv2D(filters, kernel, padding="same", activation="relu"),
            layers.MaxPooling2D(padding="same"),
        ]
    discriminator += [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dropout(0.5)]
    return generator, [*discriminator, layers.Dense(1)]


def firstgan_dense(model: dict[str, Any], channels: int, height: int, width: int) -> Nets:
    generator: list[Any] = []
    discriminator: list[Any] = [layers.Flatten()]
    for units in (256, 512, 1024):
        generator += [layers.Dense(units), layers.LeakyReLU(negative_slope=0.2)]
    for units in (1024, 512, 256):
        discriminator += [
            layers.Dense(units),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Dropout(0.3),
        ]
    return generator + painted(channels, height, width), [*discriminator, layers.Dense(1)]


def firstgan_dcgan(model: dict[str, Any], channels: int, height: int, width: int) -> Nets:
    def norm() -> Any:
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)

    widths = [64 * 2**level for level in range(height.bit_length() - 3)]
    generator: list[Any] = [
        layers.Reshape((1, 1, -1)),
        layers.Conv2DTranspose(widths[-1], 4, use_bias=False),
        norm(),
        layers.ReLU(),
    ]
    for filters in widths[-2::-1]:
        up = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False)
        generator += [up, norm(), layers.ReLU()]
    last = layers.Conv2DTranspose(channels, 4, 2, padding="same", use_bias=False, activation="tanh")
    discriminator: list[Any] = []
    for level, filters in enumerate(widths):
        discriminator.append(layers.Conv2D(filters, 4, 2, padding="same", use_bias=False))
        discriminator += [norm()] if level else []
        discriminator.append(layers.LeakyReLU(negative_slope=0.2))
    discriminator += [layers.Conv2D(1, 4, use_bias=False), layers.Flatten()]
    return [*generator, last], discriminator


def genzoo(
    model: dict[str, Any],
    channels: int,
    height: int,
    width: int,
    g_widths: tuple[int, ...],
    g_strides: tuple[int, ...],
    d_widths: tuple[int, ...],
) -> Nets:
    assert model["d_bias"] == "none" and model["output"] == "tanh", "not among the recipes"

    def norm() -> list[Any]:
        return [layers.BatchNormalization(), layers.LeakyReLU(negative_slope=model["slope"])]

    def up(filters: int, stride: int, activation: str | None = None) -> Any:
        return layers.Conv2DTranspose(
            filters, 5, stride, padding="same", use_bias=False, activation=activation
        )

    factor = int(np.prod(g_strides))
    small = (height // factor, width // factor, g_widths[0])
    dense = layers.Dense(int(np.prod(small)), use_bias=False)
    generator: list[Any] = [dense, *norm(), layers.Reshape(small)]
    for (_, filters), stride in zip(pairwise(g_widths), g_strides, strict=False):
        generator += [up(filters, stride), *norm()]
    generator.append(up(channels, g_strides[-1], "tanh"))
    discriminator: list[Any] = []
    for filters in d_widths:
        discriminator += [
            layers.Conv2D(filters, 5, 2, padding="same", use_bias=False),
            layers.LeakyReLU(negative_slope=model["slope"]),
            layers.Dropout(model["dropout"]),
        ]
    return generator, [*discriminator, layers.Flatten(), layers.Dense(1, use_bias=False)]


NETS: dict[str, Callable[..., Nets]] = {
    "modelzoo": modelzoo,
    "cs231n-dense": cs231n_dense,
    "cs231n-dcgan": cs231n_dcgan,
    "mnist-classes": mnist_classes,
    "firstgan-dense": firstgan_dense,
    "firstgan-dcgan": firstgan_dcgan,
    "genzoo-mnist": lambda *args: genzoo(*args, (256, 128, 64), (1, 2, 2), (64, 128)),
    "genzoo-cifar10": lambda *args: genzoo(*args, (512, 256, 128), (2, 2, 2), (128, 256, 512)),
}


# Data, losses, optimizers


def batches(spec: dict[str, Any], images: np.ndarray) -> Iterator[Any]:
    data = tf.data.Dataset.from_tensor_slices(np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    if spec["tables"]["train"]["order"] != "sequential":
        data = data.shuffle(len(images))
    data = data.batch(spec["batch"], drop_remainder=True).repeat()
    return iter(data.prefetch(tf.data.AUTOTUNE))


def to_float(spec: dict[str, Any], pixels: Any) -> Any:
    low, high = spec["value_range"]
    return tf.cast(pixels, tf.float32) * ((high - low) / 255) + low


def draw(spec: dict[str, Any], num: int) -> Any:
    latent = spec["tables"]["latent"]
    if latent["name"] == "normal":
        return tf.random.normal((num, latent["dims"]))
    assert latent["name"] == "uniform", f"no Keras form of the latents {latent['name']}"
    return tf.random.uniform((num, latent["dims"]), latent["low"], latent["high"])


class Losses:
    def __init__(self, loss: dict[str, Any]) -> None:
        assert loss["name"] in ("non-saturating", "least-squares") and not loss["flip"]
        self.targets = (loss["real_target"], loss["fake_target"], loss["generator_target"])
        self.scale = loss["d_scale"]
        self.least_squares = loss["name"] == "least-squares"
        self.bce = keras.losses.BinaryCrossentropy(from_logits=True)

    def term(self, logits: Any, target: float) -> Any:
        if self.least_squares:
            return 0.5 * tf.reduce_mean(tf.square(logits - target))
        return self.bce(tf.fill(tf.shape(logits), target), logits)

    def real(self, logits: Any) -> Any:
        return self.term(logits, self.targets[0])

    def fake(self, logits: Any) -> Any:
        return self.term(logits, self.targets[1])

    def generator(self, logits: Any) -> Any:
        return self.term(logits, self.targets[2])


def adam(net: Any, settings: dict[str, Any]) -> Any:
    optimizer = keras.optimizers.Adam(
        settings["learning_rate"], settings["beta_1"], settings["beta_2"], settings["eps"]
    )
    optimizer.build(net.trainable_variables)
    return optimizer


def descend(optimizer: Any, tape: Any, loss: Any, net: Any) -> None:
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))


# Updates


def alternating(
    spec: dict[str, Any], G: Any, D: Any, losses: Losses, reals: Any, jit_compile: bool
) -> Step:
    update, optim = spec["tables"]["update"], spec["tables"]["optim"]
    optimizer_G, optimizer_D = adam(G, optim["generator"]), adam(D, optim["discriminator"])
    merged, shared = update["d_batch"] == "merged", update["fakes"] == "shared"
    generator_first = update["first"] == "generator"
    by_batch = update["fake_mode"] == "training"
    assert update["d_steps"] == 1
    assert generator_first or not shared, "not among the recipes"

    def update_generator() -> Any:
        noise = draw(spec, spec["batch"])
        with tf.GradientTape() as tape:
            fake = G(noise, training=True)
            loss = losses.generator(D(fake, training=True))
        descend(optimizer_G, tape, loss, G)
        return fake

    def update_discriminator(real: Any, fake: Any) -> Any:
        if merged:
            real = real[: spec["batch"] // 2]
        if fake is None:
            fake = G(draw(spec, real.shape[0]), training=by_batch)
        with tf.GradientTape() as tape:
            if merged:
                on_real, on_fake = tf.split(D(tf.concat([real, fake], 0), training=True), 2)
            else:
                on_real, on_fake = D(real, training=True), D(fake, training=True)
            loss = losses.scale * (losses.real(on_real) + losses.fake(on_fake))
        descend(optimizer_D, tape, loss, D)
        return loss

    @tf.function(jit_compile=jit_compile)
    def train_step(pixels: Any) -> Any:
        real = to_float(spec, pixels)
        if generator_first:
            fake = update_generator()
            return update_discriminator(real, fake if shared else None)
        loss = update_discriminator(real, None)
        update_generator()
        return loss

    return lambda: train_step(next(reals))


def simultaneous(
    spec: dict[str, Any], G: Any, D: Any, losses: Losses, reals: Any, jit_compile: bool
) -> Step:
    optim = spec["tables"]["optim"]
    optimizer_G, optimizer_D = adam(G, optim["generator"]), adam(D, optim["discriminator"])

    @tf.function(jit_compile=jit_compile)
    def train_step(pixels: Any) -> Any:
        real, noise = to_float(spec, pixels), draw(spec, spec["batch"])
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = G(noise, training=True)
            on_real, on_fake = D(real, training=True), D(fake, training=True)
            g_loss = losses.generator(on_fake)
            d_loss = losses.scale * (losses.real(on_real) + losses.fake(on_fake))
        g_gradients = g_tape.gradient(g_loss, G.trainable_variables)
        d_gradients = d_tape.gradient(d_loss, D.trainable_variables)
        optimizer_G.apply_gradients(zip(g_gradients, G.trainable_variables, strict=True))
        optimizer_D.apply_gradients(zip(d_gradients, D.trainable_variables, strict=True))
        return d_loss

    return lambda: train_step(next(reals))


def controller(
    spec: dict[str, Any], G: Any, D: Any, losses: Losses, reals: Any, jit_compile: bool
) -> Step:
    update, optim = spec["tables"]["update"], spec["tables"]["optim"]

    def update_of(net: Any, settings: dict[str, Any], index: int) -> Callable[[Any], Any]:
        optimizer = adam(net, settings)

        @tf.function(jit_compile=jit_compile)
        def train_step(pixels: Any) -> Any:
            real, noise = to_float(spec, pixels), draw(spec, spec["batch"])
            with tf.GradientTape() as tape:
                on_real, on_fake = D(real, training=True), D(G(noise, training=True), training=True)
                terms = [losses.fake(on_fake), losses.generator(on_fake), losses.real(on_real)]
                loss = terms[index]
            descend(optimizer, tape, loss, net)
            return tf.stack(terms)

        return train_step

    updates = [
        update_of(D, optim["discriminator"], 0),
        update_of(G, optim["generator"], 1),
        update_of(D, optim["discriminator"], 2),
    ]
    thresholds = [update[key] for key in ("d_fake_threshold", "g_threshold", "d_real_threshold")]
    seen = [1.0, 0.0, 1.0]

    def step() -> float:
        pixels = next(reals)
        for index, (train_step, threshold) in enumerate(zip(updates, thresholds, strict=True)):
            if seen[index] > threshold:
                seen[:] = train_step(pixels).numpy().tolist()
        return seen[0] + seen[2]

    return step
