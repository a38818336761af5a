"""Images of a generator's net: for files, for sheets, and with which statistics."""

from __future__ import annotations

import copy
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganvas.batch import Latents
from ganvas.classes import Classes
from ganvas.errors import UsageError
from ganvas.images import to_uint8
from ganvas.pixels import Pixels
from ganvas.protocols import Latent, Model
from ganvas.registry import LATENTS
from ganvas.seeds import stream

GROUP: Final = 64
"""Images that are made together."""
NONE: Final = Classes()


def generate(net: nn.Module, latents: Latents) -> Tensor:
    """A generator net's images of latents: floats (N, C, H, W). The one door to such a net."""
    images: Tensor = net(latents.z) if latents.labels is None else net(latents.z, latents.labels)
    return images


def draw(net: nn.Module, latents: Latents, model: Model) -> Pixels:
    """Images of a net in inference mode, uint8; the net's mode is put back afterwards."""
    training = net.training
    net.eval()
    with torch.inference_mode():
        images = generate(net, latents)
    net.train(training)
    return to_uint8(images, *model.value_range)


def draw_sheet(net: nn.Module, latents: Latents, model: Model) -> Pixels:
    """Images for a sample sheet, uint8: with the BatchNorm statistics that the model's ask for.

    Neither the running statistics nor the net's mode change.
    """
    if model.sample_mode == "inference":
        return draw(net, latents, model)
    norms = _norms(net)
    for norm in norms:
        norm.track_running_stats = False  # in training mode: use the batch's, keep none
    with torch.no_grad():
        images = generate(net, latents)
    for norm in norms:
        norm.track_running_stats = True
    return to_uint8(images, *model.value_range)


def with_standing_statistics(
    net: nn.Module, latent: Latent, groups: int = 16, classes: Classes = NONE
) -> nn.Module:
    """A copy of a net whose running statistics are those of groups * GROUP fixed latents.

    So a net that always used batch statistics draws one image at a time, the same each time
    (standing statistics: Brock et al. 2019, appendix B).
    """
    net = copy.deepcopy(net).cpu().train()
    for norm in _norms(net):
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over all groups
    rng = torch.Generator().manual_seed(stream(0, "standing statistics"))
    with torch.no_grad():
        for _ in range(groups):
            z = latent.sample(GROUP, rng)
            drawn = random_classes(GROUP, classes, rng) if len(classes) else None
            generate(net, Latents(z, drawn))
    return net


def random_classes(num: int, classes: Classes, rng: torch.Generator) -> Tensor:
    """Class indices (num,), each as often as in the training data, where that is known."""
    shares = torch.tensor(classes.counts or (1,) * len(classes), dtype=torch.float64)
    at = torch.rand(num, generator=rng, dtype=torch.float64) * shares.sum()
    return torch.bucketize(at, shares.cumsum(0), right=True).clamp(max=len(classes) - 1)


def truncated(latent: Latent, z: Tensor, truncation: float) -> Tensor:
    """Latents (N, dims) taken so much nearer to their distribution's mean; 1: as they are.

    Raises:
        UsageError: not in [0, 1], or a latent of the user's own that does not say its mean.
    """
    if truncation == 1:
        return z
    if not 0 <= truncation <= 1:
        raise UsageError(f"--truncation: found {truncation}; allowed: 0 to 1, which is none")
    mean: float | None = getattr(latent, "mean", None)
    if mean is None:
        raise UsageError(
            f"--truncation: latent '{LATENTS.name_of(latent)}' does not say where its mean lies; "
            "give its class a property `mean`"
        )
    return mean + truncation * (z - mean)


def round_trip(latent: Latent, stops: Latents, frames: int) -> Latents:
    """`frames` latents from the first stop by way of the others and back to it.

    Labels of stops are how much of each class is meant, (stops, classes).
    """
    num, path, mixed = len(stops), [], []
    for at in (frame * num / frames for frame in range(frames)):
        here, there, share = int(at), (int(at) + 1) % num, at % 1
        path.append(latent.between(stops.z[here], stops.z[there], share))
        if stops.labels is not None:
            mixed.append(torch.lerp(stops.labels[here], stops.labels[there], share))
    return Latents(torch.stack(path), torch.stack(mixed) if mixed else None)


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [module for module in net.modules() if isinstance(module, _BatchNorm)]
