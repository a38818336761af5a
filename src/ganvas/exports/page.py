"""A generator as one HTML file that draws in the browser, from disk, without network.

Weights are whole numbers of 16 bits times a scale for each row, which is as small as float16 and
several times closer. Everything else is in runtime.js, which draws, and player.js, the controls.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass, replace
from importlib import resources
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import torch
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from torch import Tensor

from ganvas import card
from ganvas.errors import RunError, UsageError
from ganvas.exports.plain import (
    Convolution,
    Layer,
    Transposed,
    Weighted,
    draw,
    inputs,
    plain_layers,
)
from ganvas.exports.source import Source
from ganvas.images import to_uint8
from ganvas.registry import settings

LATENTS: Final = ("normal", "uniform", "truncated-normal")
"""Those that the page can draw."""
TRIED: Final = 16
"""Images that the page's weights are tried on."""
LARGEST: Final = 2
"""Steps of 255 by which a pixel may be off."""
_STEPS: Final = 32767


@dataclass(frozen=True)
class Page:
    """A page and how far its images are from the source's."""

    content: bytes
    difference: int
    """The largest one of a pixel, in steps of 255."""

    @property
    def check(self) -> str:
        return f"largest difference of a pixel {self.difference}/255, {TRIED} latents"


def build(source: Source) -> Page:
    """The generator as a page; its weights, rounded as they are there, are tried on 16 latents.

    Raises:
        UsageError: a layer or a latent that the page does not know.
        RunError: a pixel is off by more than `LARGEST` steps of 255.
    """
    generator = source.generator
    latent = source.card.latent
    if latent not in LATENTS:
        raise UsageError(
            f"--to page: the page cannot draw latents '{latent}'; it can: {', '.join(LATENTS)}"
        )
    packed = [_packed(layer) for layer in plain_layers(generator.net, generator.latent.dims)]
    difference = _difference(source, [one.rounded for one in packed])
    if difference > LARGEST:
        raise RunError(
            f"a pixel of the page's images is off by {difference}/255; "
            f"at most {LARGEST}/255 is allowed, so nothing was written"
        )
    layers, weights = _laid_out(packed)
    net = {
        "layers": layers,
        "dims": generator.latent.dims,
        "classes": generator.classes,
        "inputs": inputs(source.latents(1)).shape[1],
        "shape": generator.shape,
        "range": source.value_range,
        "latent": {"name": latent} | _settings(generator.latent),
        "name": source.card.recipe,
    }
    return Page(_rendered(source, net, weights, difference).encode(), difference)


def _settings(component: Any) -> dict[str, Any]:
    return {key: getattr(component, key) for key in settings(type(component))}


# Weights


@dataclass(frozen=True)
class _Packed:
    layer: Layer
    arrays: dict[str, np.ndarray[Any, Any]]
    """As the runtime reads them."""
    rounded: Layer
    """The layer with the weights that these arrays give."""


def _packed(layer: Layer) -> _Packed:
    values = {f.name: getattr(layer, f.name) for f in dataclasses.fields(layer)}
    arrays = {key: value.numpy() for key, value in values.items() if isinstance(value, Tensor)}
    if not isinstance(layer, Weighted):
        return _Packed(layer, arrays, layer)
    order = [*layer.order[0], *layer.order[1]]
    ordered = layer.weight.permute(order)
    rows = ordered.flatten(0, len(layer.order[0]) - 1).flatten(1)
    scale = rows.abs().amax(1) / _STEPS
    scale[scale == 0] = 1
    whole = (rows / scale[:, None]).round()
    arrays |= {"weight": whole.to(torch.int16).numpy(), "scale": scale.numpy()}
    back = [order.index(dim) for dim in range(len(order))]
    weight = (whole * scale[:, None]).view(ordered.shape).permute(back)
    return _Packed(layer, arrays, replace(layer, weight=weight))


def _difference(source: Source, layers: list[Layer]) -> int:
    latents = source.latents(TRIED)
    expected, found = (
        to_uint8(images, *source.value_range).astype(np.int64)
        for images in (torch.from_numpy(source.images(latents)), draw(layers, inputs(latents)))
    )
    return int(np.abs(expected - found).max())


def _laid_out(packed: list[_Packed]) -> tuple[list[dict[str, Any]], bytes]:
    """The layers as JSON, each array as where it begins and how long it is, and the arrays."""
    layers, content = [], bytearray()
    for one in packed:
        places = {}
        for name, array in one.arrays.items():
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            places[name] = [len(content), array.size]
            content += little.tobytes()
            content += bytes(-len(content) % 4)
        plain = {
            field.name: getattr(one.layer, field.name)
            for field in dataclasses.fields(one.layer)
            if field.name not in one.arrays
        }
        if isinstance(one.layer, Convolution | Transposed):
            plain["kernel"] = one.layer.weight.shape[2]
        layers.append({"kind": one.layer.kind, **plain, "arrays": places})
    return layers, bytes(content)


# Text


def _rendered(source: Source, net: dict[str, Any], weights: bytes, difference: int) -> str:
    files = resources.files("ganvas.exports")
    texts = {
        name: (files / name).read_text(encoding="utf-8")
        for name in ("page.html", "page.css", "runtime.js", "player.js")
    }
    rows = [line for row in source.card.rows for line in card.lines(row)]
    distances = [row for row in rows if row[0].startswith(("fd", "fid"))]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(texts["page.html"]).render(
        card=source.card,
        classes=source.generator.classes,
        facts=source.card.facts | {"SHA-256 of the weights": source.weights_sha256},
        rows=rows,
        distance=distances[-1] if distances else None,
        limits=source.card.limits,
        difference=difference,
        tried=TRIED,
        version=version("ganvas"),
        style=Markup(texts["page.css"]),
        scripts=[Markup(texts[name]) for name in ("runtime.js", "player.js")],
        net=Markup(json.dumps(net).replace("<", "\\u003c")),
        weights=Markup(base64.b64encode(weights).decode()),
    )
