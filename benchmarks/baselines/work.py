"""What a training step has to compute, counted by formula, and how fast this machine multiplies.

Not run by itself: `python benchmarks/train_speed.py` uses it for its GFLOP and TFLOP/s columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.models.summary import layers


@dataclass(frozen=True, kw_only=True)
class Passes:
    """How often a step goes through each net, in batches of real images.

    "inner" gradients of inputs leave out the first layer, whose input needs none: latents for G,
    images for D's own update. "images" is that of D's first layer, which G's update needs.
    """

    g_forward: float
    g_weights: float
    g_inner: float
    d_forward: float
    d_weights: float
    d_inner: float
    d_images: float


PASSES: Final = {
    # D: reals and fresh fakes; G: fresh fakes judged once more
    "alternating, fresh": Passes(
        g_forward=2, g_weights=1, g_inner=1, d_forward=3, d_weights=2, d_inner=3, d_images=1
    ),
    # one batch of fakes for both updates, G's first, so that D judges it once
    "alternating, shared": Passes(
        g_forward=1, g_weights=1, g_inner=1, d_forward=2, d_weights=2, d_inner=3, d_images=1
    ),
    # D: half a batch of reals and half a batch of fresh fakes
    "alternating, merged": Passes(
        g_forward=1.5, g_weights=1, g_inner=1, d_forward=2, d_weights=1, d_inner=2, d_images=1
    ),
    # reals and fakes judged once; one backward pass through D gives both nets' gradients
    "simultaneous": Passes(
        g_forward=1, g_weights=1, g_inner=1, d_forward=2, d_weights=2, d_inner=2, d_images=1
    ),
    # all three updates, each with a forward pass of G and D on both batches
    "controller": Passes(
        g_forward=3, g_weights=1, g_inner=1, d_forward=6, d_weights=2, d_inner=3, d_images=1
    ),
}


def rule(update: dict[str, Any]) -> str:
    """The row of PASSES for the settings of an update rule."""
    if update["name"] != "alternating":
        return str(update["name"])
    assert update["d_steps"] == 1 and update["d_batch"] != "separate", "not among the recipes"
    merged = update["d_batch"] == "merged"
    assert not (merged and update["fakes"] == "shared"), "not among the recipes"
    return f"alternating, {'merged' if merged else update['fakes']}"


def flop_per_image(G: nn.Module, D: nn.Module, inputs: tuple[Tensor, Tensor], name: str) -> int:
    """Additions and multiplications of one step for each real image of its batch.

    Products of matrices and convolutions only, and no more of them than the rule needs: a side that
    takes more passes has more to do. The nets and their inputs are on the meta device. A
    gradient of weights or of inputs is as many multiply-adds as the forward pass.
    """
    passes = PASSES[name]
    g, d = multiply_adds(G, inputs[0]), multiply_adds(D, inputs[1])
    total = (
        (passes.g_forward + passes.g_weights) * sum(g)
        + passes.g_inner * sum(g[1:])
        + (passes.d_forward + passes.d_weights) * sum(d)
        + passes.d_inner * sum(d[1:])
        + passes.d_images * d[0]
    )
    return round(2 * total)


def multiply_adds(net: nn.Module, inputs: Tensor) -> list[int]:
    """Of the forward pass for one input, for each counted layer in the order they run in."""
    return [row.multiply_adds for row in layers(net, inputs) if row.multiply_adds]


def ceiling(precision: torch.dtype, seconds: float = 1.0) -> float:
    """The best rate of a 2048x1024x1024 product of matrices, in TFLOP/s.

    Of PyTorch's own product and of oneDNN's, which its convolutions are made with: on AMD's
    processors the one reaches half of the other in float32.
    """
    a, b = torch.randn(2048, 1024).to(precision), torch.randn(1024, 1024).to(precision)
    products: list[Callable[[], Tensor]] = [lambda: a @ b]
    if torch.backends.mkldnn.is_available():
        packed = a.to_mkldnn(), b.to_mkldnn()
        products.append(lambda: F.linear(*packed))
    return max(_rate(product, seconds / len(products)) for product in products)


def _rate(product: Callable[[], Tensor], seconds: float) -> float:
    for _ in range(3):
        product()
    best, begin = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - start)
    return 2 * 2048 * 1024 * 1024 / best / 1e12
