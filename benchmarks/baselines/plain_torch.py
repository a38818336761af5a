"""The recipes as plain PyTorch scripts write them: float32, eager or with torch.compile.

Not run by itself:

    python benchmarks/train_speed.py --side plain --recipe genzoo-mnist --seconds 5
    python benchmarks/train_speed.py --side compiled --recipe genzoo-mnist --seconds 5

The nets are ganvas's with PyTorch's own layers in their place, so that parameters and products are
equal; the padding of 5x5 strided convolutions is the symmetric one, as in PyTorch scripts. The
updates are written as PyTorch's DCGAN tutorial and PyTorch-GAN write them: a BCE call for each
term, `.detach()` for D's update, no freezing, plain Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._functorch import config as functorch

from ganvas import config

Step = Callable[[], Tensor]


def prepare(spec: dict[str, Any], images: np.ndarray, *, compiled: bool = False) -> Step:
    """A function that trains one step and returns a loss."""
    run = config.build(spec["tables"])
    G = plain(run.model.generator(tuple(spec["shape"]), run.latent.dims))
    D = plain(run.model.discriminator(tuple(spec["shape"])))
    found = {"G": num_parameters(G), "D": num_parameters(D)}
    assert found == spec["parameters"], f"{found}, not {spec['parameters']} parameters"
    if compiled:
        # what torch asks for where a graph is used twice, as the simultaneous update does
        functorch.donated_buffer = spec["tables"]["update"]["name"] != "simultaneous"
        G, D = torch.compile(G), torch.compile(D)
    return step_function(spec, G, D, batches(spec, images))


def step_function(
    spec: dict[str, Any], G: nn.Module, D: nn.Module, reals: Iterator[Tensor]
) -> Step:
    tables = spec["tables"]
    losses, draw = Losses(tables["loss"]), latents(tables["latent"])
    update = {"alternating": alternating, "simultaneous": simultaneous, "controller": controller}
    return update[tables["update"]["name"]](tables, G, D, losses, reals, draw)


# Nets


def plain(net: nn.Module) -> nn.Module:
    """`net` with PyTorch's own layers, whatever faster ones it had."""
    for name, child in net.named_children():
        setattr(net, name, plain_layer(child))
    for module in net.modules():
        own = type(module).__module__.startswith("torch.nn")
        assert own or not list(module.parameters(recurse=False)), f"no plain form of {module}"
    return net


def plain_layer(layer: nn.Module) -> nn.Module:
    if isinstance(layer, nn.Dropout):
        return nn.Dropout(layer.p)
    if type(layer) in (nn.Conv2d, nn.ConvTranspose2d):
        return layer
    if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        return plain(layer)
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    ends = (layer.in_channels, layer.out_channels, kernel, stride)
    bias = layer.bias is not None
    if isinstance(layer, nn.Conv2d):
        made: nn.Module = nn.Conv2d(*ends, padding=(kernel - 1) // 2, bias=bias)
    else:
        padding = (kernel - stride + 1) // 2
        spare = 2 * padding + stride - kernel
        made = nn.ConvTranspose2d(*ends, padding=padding, output_padding=spare, bias=bias)
    made.load_state_dict(layer.state_dict())
    return made


def num_parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


# Data, losses, optimizers


def batches(spec: dict[str, Any], images: np.ndarray) -> Iterator[Tensor]:
    """Shuffled batches of floats in the model's range; slices of one tensor, no worker."""
    pixels, (low, high) = torch.from_numpy(images), spec["value_range"]
    while True:
        order = torch.randperm(len(pixels))
        if spec["tables"]["train"]["order"] == "sequential":
            order = torch.arange(len(pixels))
        for chosen in order.split(spec["batch"])[: len(pixels) // spec["batch"]]:
            yield pixels[chosen].float() / 255 * (high - low) + low


def latents(latent: dict[str, Any]) -> Callable[[int], Tensor]:
    dims = latent["dims"]
    if latent["name"] == "normal":
        return lambda num: torch.randn(num, dims)
    assert latent["name"] == "uniform", f"no plain form of the latents {latent['name']}"
    low, high = latent["low"], latent["high"]
    return lambda num: torch.rand(num, dims) * (high - low) + low


class Losses:
    """One criterion call for each term, each with a tensor of labels."""

    def __init__(self, loss: dict[str, Any]) -> None:
        assert loss["name"] in ("non-saturating", "least-squares") and not loss["flip"]
        self.targets = (loss["real_target"], loss["fake_target"], loss["generator_target"])
        self.scale = loss["d_scale"]
        least_squares = loss["name"] == "least-squares"
        self.criterion = nn.MSELoss() if least_squares else nn.BCEWithLogitsLoss()
        self.weight = 0.5 if least_squares else 1.0

    def term(self, logits: Tensor, target: float) -> Tensor:
        return self.weight * self.criterion(logits, torch.full_like(logits, target))

    def real(self, logits: Tensor) -> Tensor:
        return self.term(logits, self.targets[0])

    def fake(self, logits: Tensor) -> Tensor:
        return self.term(logits, self.targets[1])

    def generator(self, logits: Tensor) -> Tensor:
        return self.term(logits, self.targets[2])


def adam(net: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    betas = (settings["beta_1"], settings["beta_2"])
    return torch.optim.Adam(
        net.parameters(), lr=settings["learning_rate"], betas=betas, eps=settings["eps"]
    )


def optimizers(tables: dict[str, Any], G: nn.Module, D: nn.Module) -> list[torch.optim.Optimizer]:
    optim = tables["optim"]
    return [adam(G, optim["generator"]), adam(D, optim["discriminator"])]


# Updates


def alternating(
    tables: dict[str, Any],
    G: nn.Module,
    D: nn.Module,
    losses: Losses,
    reals: Iterator[Tensor],
    draw: Callable[[int], Tensor],
) -> Step:
    optimizer_G, optimizer_D = optimizers(tables, G, D)
    update = tables["update"]
    merged, shared = update["d_batch"] == "merged", update["fakes"] == "shared"
    generator_first = update["first"] == "generator"
    inference = update["fake_mode"] == "inference"
    assert update["d_steps"] == 1
    assert generator_first or not shared, "not among the recipes"

    def update_generator(num: int) -> tuple[Tensor, Tensor]:
        fake = G(draw(num))
        optimizer_G.zero_grad()
        loss = losses.generator(D(fake))
        loss.backward()
        optimizer_G.step()
        return fake, loss

    def update_discriminator(real: Tensor, fake: Tensor | None) -> Tensor:
        if merged:
            real = real[: len(real) // 2]
        if fake is None:
            G.train(not inference)
            fake = G(draw(len(real)))
            G.train()
        optimizer_D.zero_grad()
        if merged:
            on_real, on_fake = D(torch.cat([real, fake.detach()])).split(len(real))
        else:
            on_real, on_fake = D(real), D(fake.detach())
        loss = losses.scale * (losses.real(on_real) + losses.fake(on_fake))
        loss.backward()
        optimizer_D.step()
        return loss

    def step() -> Tensor:
        real = next(reals)
        if generator_first:
            fake, _ = update_generator(len(real))
            return update_discriminator(real, fake if shared else None).detach()
        loss = update_discriminator(real, None)
        update_generator(len(real))
        return loss.detach()

    return step


def simultaneous(
    tables: dict[str, Any],
    G: nn.Module,
    D: nn.Module,
    losses: Losses,
    reals: Iterator[Tensor],
    draw: Callable[[int], Tensor],
) -> Step:
    optimizer_G, optimizer_D = optimizers(tables, G, D)

    def step() -> Tensor:
        real = next(reals)
        fake = G(draw(len(real)))
        on_real, on_fake = D(real), D(fake)
        g_loss = losses.generator(on_fake)
        d_loss = losses.scale * (losses.real(on_real) + losses.fake(on_fake))
        optimizer_G.zero_grad()
        optimizer_D.zero_grad()
        g_loss.backward(inputs=list(G.parameters()), retain_graph=True)
        d_loss.backward(inputs=list(D.parameters()))
        optimizer_G.step()
        optimizer_D.step()
        return d_loss.detach()

    return step


def controller(
    tables: dict[str, Any],
    G: nn.Module,
    D: nn.Module,
    losses: Losses,
    reals: Iterator[Tensor],
    draw: Callable[[int], Tensor],
) -> Step:
    optimizer_G, on_reals = optimizers(tables, G, D)
    on_fakes = adam(D, tables["optim"]["discriminator"])
    update = tables["update"]
    decisions = (
        (on_fakes, "d_fake", update["d_fake_threshold"]),
        (optimizer_G, "g", update["g_threshold"]),
        (on_reals, "d_real", update["d_real_threshold"]),
    )
    seen = {"g": 0.0, "d_real": 1.0, "d_fake": 1.0}

    def step() -> Tensor:
        real = next(reals)
        for optimizer, name, threshold in decisions:
            if seen[name] <= threshold:
                continue
            on_real, on_fake = D(real), D(G(draw(len(real))))
            terms = {
                "g": losses.generator(on_fake),
                "d_real": losses.real(on_real),
                "d_fake": losses.fake(on_fake),
            }
            optimizer.zero_grad()
            terms[name].backward()
            optimizer.step()
            seen.update({key: value.item() for key, value in terms.items()})
        return torch.tensor(seen["d_real"] + seen["d_fake"])

    return step
