"""A new run that begins with the weights of another one, as far as they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ganvas.classes import Classes
from ganvas.errors import UsageError
from ganvas.generator import Generator, load
from ganvas.models.layers import ClassEmbedding
from ganvas.protocols import Model
from ganvas.registry import MODELS
from ganvas.rundir import RunFolder
from ganvas.training.checkpoint import read_checkpoint, under
from ganvas.training.state import State


@dataclass(frozen=True)
class Part:
    """What became of a layer's tensors."""

    name: str
    """G.net.0, with the net in front."""
    taken: bool
    about: str
    """Why not, or how much of it."""

    def __str__(self) -> str:
        return f"  {self.name:<24} {'taken over' if self.taken else 'new'}{self.about}"


def start_from(what: str | Path, model: Model, state: State, classes: Classes) -> list[str]:
    """Copy the weights of a run, or of a saved generator, into nets that have not been trained.

    A layer is taken over if its tensors have the shapes of those of that name; the embeddings of
    classes go by the names of these. Moments of the optimizers begin anew. Returns a line a layer
    that says what was done.

    Raises:
        UsageError: there are no weights, they are another model's, or none of them fits.
    """
    source = source_of(what, model)
    tensors = _tensors(Path(what), source)
    nets = {"G": state.players.G, "D": state.players.D}
    lines = [f"begins with the weights of '{what}' ({source.images_seen:,} images):"]
    taken = False
    for name, net in nets.items():
        if not (found := under(tensors, f"{name}.")):
            lines.append(f"  {name:<24} new: a saved generator has no {name}")
            continue
        parts = list(_copied(net, found, classes.names, source.classes, name))
        taken |= any(part.taken for part in parts)
        lines += map(str, parts)
    if not taken:
        raise UsageError(
            f"--from: nothing of '{what}' fits; allowed: a run whose layers have the same shapes"
        )
    if state.average is not None:
        average = state.average.net
        average.load_state_dict(state.players.G.state_dict())
        list(_copied(average, under(tensors, "average."), classes.names, source.classes, ""))
    return lines


def source_of(what: str | Path, model: Model) -> Generator:
    """The generator of what a run of that model may begin with; UsageError if it may not."""
    source = load(what)
    ours, theirs = MODELS.name_of(model), MODELS.name_of(source.model)
    if ours != theirs:
        raise UsageError(f"--from: '{what}' is of model '{theirs}'; allowed: one of '{ours}'")
    return source


def _tensors(what: Path, source: Generator) -> dict[str, Tensor]:
    """Of a run's newest checkpoint; otherwise of the generator alone."""
    if there := RunFolder(what).checkpoints():
        return read_checkpoint(there[-1])[0]
    return {f"G.{key}": value for key, value in source.net.state_dict().items()}


@torch.no_grad()
def _copied(
    net: nn.Module,
    found: Mapping[str, Tensor],
    ours: tuple[str, ...],
    theirs: tuple[str, ...],
    name: str,
) -> Iterator[Part]:
    """Copy what fits, layer by layer."""
    for path, module in net.named_modules():
        own = {**dict(module.named_parameters(recurse=False)), **_buffers(module)}
        if not own:
            continue
        layer = f"{name}.{path}" if path else name
        others = {key: found.get(f"{path}.{key}" if path else key) for key in own}
        if isinstance(module, ClassEmbedding) and others["weight"] is not None:
            yield _classes(module, others["weight"], ours, theirs, layer)
            continue
        wrong = [key for key, other in others.items() if not _fits(own[key], other)]
        if not wrong:
            for key, other in others.items():
                own[key].copy_(other)
            yield Part(layer, True, "")
            continue
        there = others[wrong[0]]
        shape = "none" if there is None else list(there.shape)
        yield Part(layer, False, f": {wrong[0]} is {list(own[wrong[0]].shape)}, there {shape}")


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    """What a state dict has of a module besides its parameters; not how far a class has faded in,
    which the new run decides."""
    buffers = dict(module.named_buffers(recurse=False))
    return {} if isinstance(module, ClassEmbedding) else buffers


def _fits(own: Tensor, other: Tensor | None) -> bool:
    return other is not None and own.shape == other.shape


def _classes(
    module: ClassEmbedding,
    weight: Tensor,
    ours: tuple[str, ...],
    theirs: tuple[str, ...],
    name: str,
) -> Part:
    """Embeddings of the classes that both runs know."""
    if weight.shape[1] != module.weight.shape[1]:
        sizes = f"{module.weight.shape[1]} values, there {weight.shape[1]}"
        return Part(name, False, f": an embedding has {sizes}")
    shared = [label for label in ours if label in theirs]
    for label in shared:
        module.weight[ours.index(label)] = weight[theirs.index(label)].to(module.weight.device)
    if not shared:
        return Part(name, False, ": no class is known there")
    few = ", ".join(shared[:5]) + (f" and {len(shared) - 5} more" if len(shared) > 5 else "")
    return Part(name, True, f": {len(shared)} of {len(ours)} classes ({few})")
