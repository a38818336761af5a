"""The residual nets: shapes at every size, resampling by hand, how they start, double backward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ganvas.errors import UsageError
from ganvas.models.r3gan import R3GAN, Enlarge, Residual, Shrink
from ganvas.models.summary import num_parameters

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 50, 30), (4, 9, 13), (3, 8, 40)]


def nets(shape: Any, num_classes: int = 0, **settings: Any) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    model = R3GAN(**({"width": 8} | settings))
    return model.generator(shape, 5, num_classes), model.discriminator(shape, num_classes)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("settings", [{}, {"depth": 2}, {"labels": "on"}, {"width": 13}], ids=str)
def test_any_shape(shape: Any, settings: dict[str, Any]) -> None:
    classes = 3 if "labels" in settings else 0
    G, D = nets(shape, classes, **settings)
    labels = (torch.tensor([0, 2, 1, 1]),) if classes else ()
    images = G(torch.randn(4, 5), *labels)
    assert images.shape == (4, *shape)
    logits = D(images, *labels)
    assert logits.shape == (4,) and logits.isfinite().all()
    logits.sum().backward()
    assert all(value.grad is not None for net in (G, D) for value in net.parameters())


def test_parameters_by_hand() -> None:
    """28x28 has the sizes 28, 14 and 7, a block at each."""
    G, D = nets((3, 28, 28))
    block = 8 * 16 + 16 + 16 * 16 * 9 + 16 + 16 * 8
    assert num_parameters(G) == 8 * 7 * 7 + 5 * 8 + 3 * block + 8 * 3 + 3
    assert num_parameters(D) == 3 * 8 + 8 + 3 * block + 8 * 7 * 7 + 8 + 1
    # the paper's nets for CIFAR-10, 20.78 and 21.28 million with their embeddings of classes
    with torch.device("meta"):
        paper = R3GAN(width=768, depth=2)
        assert num_parameters(paper.generator((3, 32, 32), 64)) == pytest.approx(20.7e6, rel=0.01)
        assert num_parameters(paper.discriminator((3, 32, 32))) == pytest.approx(20.7e6, rel=0.01)


def test_a_block_starts_as_the_identity_and_with_small_weights() -> None:
    torch.manual_seed(0)
    block = Residual(64, num_blocks=16)
    x = torch.randn(2, 64, 5, 5)
    assert torch.equal(block(x), x)
    he = (2 / (1.04 * 64)) ** 0.5
    assert block.widen.weight.std().item() == pytest.approx(he * 16**-0.25, rel=0.05)


def test_shrinking_weighs_1_3_3_1() -> None:
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 3, 2] = 1.0
    found = Shrink((4, 4))(x)[0, 0]
    # row 3 is the third of the four of row 1, and the first of those of row 2
    rows, columns = torch.tensor([0, 3, 1, 0]) / 8, torch.tensor([1, 3, 0, 0]) / 8
    assert torch.allclose(found, torch.outer(rows, columns))


def test_resampling_is_pytorchs_bilinear_one() -> None:
    x = torch.randn(2, 3, 6, 10)
    shrunk = F.interpolate(x, size=(3, 5), mode="bilinear", antialias=True)
    assert torch.allclose(Shrink((3, 5))(x)[..., 1:-1, 1:-1], shrunk[..., 1:-1, 1:-1], atol=1e-6)
    flat = torch.full((1, 1, 5, 7), 2.0)
    assert torch.allclose(Shrink((3, 4))(flat), torch.full((1, 1, 3, 4), 2.0))
    assert torch.allclose(Enlarge((9, 14))(flat), torch.full((1, 1, 9, 14), 2.0))


def test_a_penalty_reaches_every_weight_of_d() -> None:
    _, D = nets((1, 9, 8))
    for value in D.parameters():  # away from the identity that it starts as
        nn.init.normal_(value, std=0.2)
    D = D.double()
    images = torch.randn(2, 1, 9, 8, dtype=torch.float64, requires_grad=True)

    def penalty(x: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
        return gradient.square().sum()

    assert torch.autograd.gradcheck(penalty, images, fast_mode=True)
    penalty(images).backward()
    weights = [v.grad for n, v in D.named_parameters() if n.endswith("weight")]
    assert all(grad is not None and grad.abs().sum() > 0 for grad in weights)


def test_bfloat16() -> None:
    G, D = nets((3, 16, 12))
    with torch.autocast("cpu", torch.bfloat16):
        assert D(G(torch.randn(2, 5))).isfinite().all()


@pytest.mark.parametrize("settings", [{"width": 0}, {"depth": 0}], ids=str)
def test_settings_that_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="greater"):
        R3GAN(**settings)


def test_sizes_that_are_refused() -> None:
    with pytest.raises(UsageError, match="r3gan.*8 to 256"):
        R3GAN().generator((1, 7, 28), 5)
