"""A generator as one ONNX file: the library's layers, any batch, its card inside."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganvas.batch import Latents
from ganvas.drawing import generate
from ganvas.errors import RunError, UsageError
from ganvas.exports.source import BATCHES, Source, largest_difference

TOLERANCE: Final = 1e-4
"""Largest difference to the source that is let pass, in the model's value range."""
OPSET: Final = 18
"""Version of ONNX's operators; runtimes from 2023 on know it."""

Values = Literal["float", "uint8"]


@dataclass(frozen=True)
class Model:
    """An ONNX file and how far its images are from the source's."""

    content: bytes
    difference: float
    """The largest one, in the model's value range."""

    @property
    def check(self) -> str:
        batches = ", ".join(map(str, BATCHES))
        return f"largest difference {self.difference:.2g} by onnxruntime, batches {batches}"


def build(source: Source, values: Values = "float") -> Model:
    """The generator as ONNX, compared at once with the source at batches of 1, 2 and 7.

    Input `latents`, float32 (batch, dims), and of a model that takes labels `labels`, class
    indices, int64 (batch,). Output `images`, (batch, C, H, W): float32 in the
    model's value range, or uint8.

    Raises:
        UsageError: packages are missing.
        RunError: a layer cannot be exported, or images differ by more than `TOLERANCE`.
    """
    onnx, onnxruntime = _packages()
    model = _exported(source, values).model_proto
    _strip(model)
    model.producer_name = "ganvas"
    low, high = source.value_range
    said = "uint8" if values == "uint8" else f"float32 from {low:g} to {high:g}"
    facts = source.facts() | {"images": said}
    onnx.helper.set_model_props(model, facts)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    difference = largest_difference(source, lambda z: session.run(None, feed(z))[0])
    if not difference <= TOLERANCE:
        raise RunError(
            f"the ONNX model's images differ from the source's by {difference:.2g}; "
            f"at most {TOLERANCE:g} is allowed, so nothing was written"
        )
    facts["largest_difference"] = f"{difference:.2g}"
    onnx.helper.set_model_props(model, facts)
    model.doc_string = f"{source.card.text()}\n## This file\n\n{_table(facts)}"
    onnx.checker.check_model(model, full_check=True)
    return Model(model.SerializeToString(), difference)


def _table(facts: dict[str, str]) -> str:
    return "| | |\n|---|---|\n" + "".join(f"| {key} | {value} |\n" for key, value in facts.items())


def _packages() -> tuple[Any, Any]:
    try:
        importlib.import_module("onnxscript")  # torch.onnx needs it
        return importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    except ImportError as error:
        raise UsageError(
            f"--to onnx needs {error.name}, which is missing; pip install 'ganvas[onnx]'"
        ) from None


class _Graph(nn.Module):
    """What is exported: the net, and behind it the step to uint8 where that is asked for."""

    def __init__(self, source: Source, values: Values) -> None:
        super().__init__()
        self.net = source.plain_net()
        self.values = values
        self.low, self.high = source.value_range

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images = generate(self.net, Latents(latents, labels))
        if self.values == "float":
            return images
        scaled = (images - self.low) * (255 / (self.high - self.low))
        return scaled.round().clamp(0, 255).to(torch.uint8)


def _exported(source: Source, values: Values) -> Any:
    # a batch of 2: one of 1 would be taken for a constant
    inputs = _inputs(source.latents(2))
    try:
        with _quiet():
            return torch.onnx.export(
                _Graph(source, values).eval(),
                kwargs=inputs,
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=["images"],
                dynamic_shapes={name: {0: torch.export.Dim("batch")} for name in inputs},
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().partition("\n")[0]
        raise RunError(f"a layer of the generator cannot be exported: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _strip(model: Any) -> None:
    """Take out each node's place in the source code: paths of the machine that it was made on."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
    for weights in graph.initializer:
        del weights.metadata_props[:]


def _inputs(latents: Latents) -> dict[str, Tensor]:
    """Latents, and labels where there are any, by the names of the file's inputs."""
    labels = {} if latents.labels is None else {"labels": latents.labels}
    return {"latents": latents.z, **labels}


def feed(latents: Latents) -> dict[str, NDArray[Any]]:
    """What a runtime is given."""
    return {name: value.numpy() for name, value in _inputs(latents).items()}
