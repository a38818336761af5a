"""The doors of a step: labels, a penalty, a relativistic loss, an augmentation, what is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic.dataclasses import dataclass as checked
from torch import Tensor, nn

import ganvas
from ganvas.batch import Batch
from ganvas.errors import UsageError
from ganvas.losses.adversarial import NonSaturating
from ganvas.losses.penalties import NoPenalty
from ganvas.models.layers import Logits
from ganvas.protocols import Judge
from ganvas.registry import CHECKED, LOSSES, MODELS
from ganvas.training.augmenter import Augmenter
from ganvas.training.joint import fewest_passes, simultaneous
from ganvas.training.players import Players
from ganvas.training.updates import Alternating, Controller, Simultaneous

RULES = [Alternating(), Alternating(d_batch="merged"), Alternating(d_batch="separate")]
RULES += [Alternating(first="generator", fakes="shared"), Simultaneous()]
RULES += [Controller(d_fake_threshold=100.0, g_threshold=100.0)]  # moves D on reals alone
REAL = Batch(torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(3)))


def players(rule: Any, **more: Any) -> Players:
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(3, 4), nn.Unflatten(1, (1, 2, 2)))
    D = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), Logits())
    nets = {"G": G, "D": D}
    optimizers: dict[str, Any] = {
        name: torch.optim.SGD(nets[net].parameters(), lr=0.1)
        for name, net in rule.optimizers.items()
    }
    latent: Any = SimpleNamespace(sample=lambda num, rng: torch.randn(num, 3, generator=rng))
    return Players(G, D, optimizers, latent, torch.Generator().manual_seed(1), **more)


# A penalty


@dataclass
class SquaredWeight:
    """The squared gradient of D by a real image; for a linear D the same for every image."""

    seen: list[tuple[Batch, Batch]] = field(default_factory=list)

    def __call__(self, judge: Judge, real: Batch, fake: Batch) -> Tensor:
        self.seen.append((real, fake))
        at = real.with_gradient()
        (gradient,) = torch.autograd.grad(judge(at).sum(), at.images, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3)).mean()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_penalty_moves_d_by_its_own_gradient(rule: Any) -> None:
    """With D linear the penalty is |w|^2: w moves by 2 w times the rate besides."""
    ends = []
    for penalty in (NoPenalty(), SquaredWeight()):
        p = players(rule)
        before = p.D[1].weight.detach().clone()
        scalars = rule.step(p, NonSaturating(), penalty, REAL)
        ends.append((p.D[1].weight.detach() - before, before, scalars))
    (plain, before, _), (penalised, _, scalars) = ends
    # with an update on reals and then one on fakes, the second meets other weights
    rtol = 0.01 if getattr(rule, "d_batch", "") == "separate" else 1e-4
    torch.testing.assert_close(penalised - plain, -0.1 * 2 * before, rtol=rtol, atol=1e-6)
    torch.testing.assert_close(scalars["D/penalty"], before.square().sum())
    (real, fake), *_ = penalty.seen  # type: ignore[union-attr]
    assert len(real) == len(fake) and not fake.images.requires_grad


def test_shared_passes_are_refused_where_there_is_a_penalty() -> None:
    rule = Simultaneous()
    assert fewest_passes(rule, NonSaturating(), NoPenalty(), players(rule).D) is simultaneous
    assert fewest_passes(rule, NonSaturating(), SquaredWeight(), players(rule).D) == rule.step
    with pytest.raises(UsageError, match=r"penalty: found .* train.shared_passes=false"):
        simultaneous(players(rule), NonSaturating(), SquaredWeight(), REAL)


# A relativistic loss


@dataclass(frozen=True)
class Relativistic:
    relativistic: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return nn.functional.softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        return nn.functional.softplus(real - fake).mean()

    def output(self, logits: Tensor) -> Tensor:
        return logits


@pytest.mark.parametrize("rule", [r for r in RULES if getattr(r, "d_batch", "") != "separate"][:-1])
def test_a_relativistic_loss_of_g_looks_at_real_logits(rule: Any) -> None:
    p = players(rule)
    judged: list[Tensor] = []
    p.D.register_forward_hook(lambda m, x, y: judged.append(x[0]))
    scalars = rule.step(p, Relativistic(), NoPenalty(), REAL)
    assert set(scalars) == {"D/loss", "D/real", "D/fake", "G/loss"}
    assert sum(torch.equal(images, REAL.images) for images in judged) >= 1
    assert fewest_passes(rule, Relativistic(), NoPenalty(), p.D) == rule.step


# Augmentation, and what is frozen


def test_d_sees_all_images_through_the_augmentation() -> None:
    for rule in RULES:
        p = players(rule, augment=Augmenter(lambda images, rng, strength: images * 0))
        shown: list[Tensor] = []
        p.D.register_forward_hook(lambda m, x, y, shown=shown: shown.append(x[0]))
        rule.step(p, NonSaturating(), NoPenalty(), REAL)
        assert shown and not any(bool(images.any()) for images in shown)


def test_what_a_model_keeps_frozen_stays_frozen() -> None:
    p = players(Alternating())
    p.D[1].bias.requires_grad_(False)
    with p.frozen("D"):
        assert not any(value.requires_grad for value in p.D.parameters())
    assert p.D[1].weight.requires_grad and not p.D[1].bias.requires_grad


# Labels, from a data set to a saved generator


@pytest.fixture
def labelled_model() -> Iterator[str]:
    """A model whose G draws the class index as a grey level, and whose nets take labels."""

    class G(nn.Module):
        def __init__(self, num_classes: int) -> None:
            super().__init__()
            self.grey = nn.Embedding(num_classes, 1)
            self.noise = nn.Linear(4, 64)
            nn.init.zeros_(self.noise.weight)
            with torch.no_grad():
                self.grey.weight[:, 0] = torch.arange(num_classes) / 4

        def forward(self, z: Tensor, labels: Tensor) -> Tensor:
            pixels = 0 * self.noise(z) + self.grey(labels)
            return pixels.view(-1, 1, 8, 8).clamp(0, 1)

    class D(nn.Module):
        def __init__(self, num_classes: int) -> None:
            super().__init__()
            self.image, self.label = nn.Linear(64, 1), nn.Embedding(num_classes, 1)

        def forward(self, images: Tensor, labels: Tensor) -> Tensor:
            assert len(images) == len(labels)
            return (self.image(images.flatten(1)) + self.label(labels))[:, 0]

    @MODELS.register("labelled")
    @checked(frozen=True, kw_only=True, config=CHECKED)
    class Labelled:
        """For tests."""

        value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
        sample_mode: ClassVar[str] = "inference"
        takes_labels: ClassVar[bool] = True

        def generator(self, shape: Any, latent_dims: int, num_classes: int) -> nn.Module:
            return G(num_classes)

        def discriminator(self, shape: Any, num_classes: int) -> nn.Module:
            return D(num_classes)

    yield "labelled"
    del MODELS._classes["labelled"]


def test_labels_flow_from_the_data_to_samples(
    labelled_model: str, tmp_path: Path, tiny_settings: dict[str, Any]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (48, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(48) % 3)
    settings = tiny_settings | {"data.path": str(tmp_path / "set.npz")}
    settings = {k: v for k, v in settings.items() if k != "model.width"}
    settings |= {"model.name": labelled_model, "optim.generator.learning_rate": 1e-9}
    folder = tmp_path / "run"
    ganvas.train("cs231n-vanilla", settings=settings, outdir=folder, progress=False)

    generator = ganvas.load(folder)
    assert generator.classes == ("0", "1", "2")
    made = generator.sample(70, seed=1, labels=[i % 3 for i in range(70)])
    assert made.shape == (70, 1, 8, 8)
    assert [int(image[0, 0, 0]) for image in made] == [round(255 * (i % 3) / 4) for i in range(70)]
    drawn = generator.sample(70, seed=1)
    assert np.array_equal(drawn[:10], generator.sample(10, seed=1))
    assert {int(image[0, 0, 0]) for image in drawn} == {0, 64, 128}
    for wrong in ([0], [3] * 70, [-1] * 70):
        with pytest.raises(
            UsageError, match=r"labels: found (1|3|-1); allowed: (one, or 70|0 to 2)"
        ):
            generator.sample(70, labels=wrong)


def test_a_model_without_labels_is_given_none(tiny_run: Path) -> None:
    with pytest.raises(UsageError, match=r"labels: .* takes none"):
        ganvas.load(tiny_run).sample(2, labels=[0, 0])


def test_losses_say_whether_they_are_relativistic() -> None:
    found = {name for name in LOSSES.names() if getattr(LOSSES.get(name), "relativistic", False)}
    assert found == {"relativistic"}
