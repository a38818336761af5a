"""The modern nets: shapes at every size, classes, settings, sizes and widths refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ganvas.errors import UsageError
from ganvas.models.cs231n import CS231nDCGAN
from ganvas.models.fast.switch import use_fast
from ganvas.models.modern import Modern
from ganvas.models.summary import layers, num_parameters

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 50, 30), (4, 9, 13), (3, 8, 40), (1, 65, 64)]


def nets(shape: Any, num_classes: int = 0, **settings: Any) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    model = Modern(**({"width": 4, "dense": 16} | settings))
    return model.generator(shape, 5, num_classes), model.discriminator(shape, num_classes)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"norm": "none"},
        {"norm": "generator"},
        {"down": "pool"},
        {"depth": 1},
        {"dense": 0},
        {"labels": "on"},
        {"most": 6},
    ],
    ids=str,
)
def test_any_shape(shape: Any, settings: dict[str, Any]) -> None:
    classes = 3 if "labels" in settings else 0
    G, D = nets(shape, classes, **settings)
    labels = (torch.tensor([0, 2, 1, 1]),) if classes else ()
    images = G(torch.randn(4, 5), *labels)
    assert images.shape == (4, *shape) and images.abs().max() <= 1
    logits = D(images, *labels)
    assert logits.shape == (4,) and logits.isfinite().all()
    logits.sum().backward()
    for net in (G, D):
        assert all(value.grad is not None for value in net.parameters())


@pytest.mark.parametrize("shape", [(3, 256, 256), (1, 8, 256)], ids=str)
def test_large_ones_too(shape: Any) -> None:
    with torch.device("meta"):
        G, D = nets(shape)
        images = G(torch.empty(2, 5))
        assert images.shape == (2, *shape) and D(images).shape == (2,)


def test_halves_go_down_to_4_to_7_pixels() -> None:
    for side, smallest in ((8, 4), (14, 7), (15, 4), (28, 7), (50, 7), (64, 4), (100, 7), (256, 4)):
        assert Modern()._sizes((1, side, side))[-1] == (smallest, smallest)
    assert Modern()._sizes((3, 50, 30)) == [(50, 30), (25, 15), (13, 8), (7, 4)]


def test_pooling_leaves_out_two_pixels_all_round_and_halves() -> None:
    assert Modern()._pooled_sizes((1, 28, 28)) == [(28, 28), (12, 12), (4, 4)]
    assert Modern()._pooled_sizes((3, 50, 30)) == [(50, 30), (23, 13), (9, 4)]
    assert Modern()._pooled_sizes((1, 8, 8)) == [(8, 8), (2, 2)]


def test_sizes_by_hand() -> None:
    """28x28 with width 4 and 16 dense units: G 5 -> 16 -> 16x7x7 -> 8x14x14 -> 28x28; D 4x12x12
    -> 8x4x4 -> 16 -> 1."""
    G, D = nets((1, 28, 28))
    g = 5 * 16 + 16 + 2 * 16 + 16 * 784 + 784 + 2 * 784
    g += 16 * 8 * 16 + 8 + 2 * 8 + 8 * 1 * 16 + 1
    d = 1 * 4 * 25 + 4 + 4 * 8 * 25 + 8 + 128 * 16 + 16 + 16 + 1
    assert (num_parameters(G), num_parameters(D)) == (g, d)
    shapes = [row.output for row in layers(D, torch.rand(2, 1, 28, 28)) if row.multiply_adds]
    assert shapes == [[4, 24, 24], [8, 8, 8], [16], [1]]
    D = nets((1, 28, 28), down="stride")[1]
    shapes = [row.output for row in layers(D, torch.rand(2, 1, 28, 28)) if row.multiply_adds]
    assert shapes == [[4, 14, 14], [8, 7, 7], [16], [1]]


def test_at_28x28_and_twice_as_large_they_are_cs231ns() -> None:
    """Layer by layer."""
    ours, theirs = Modern(width=32, dense=1024), CS231nDCGAN()
    for one, two in (
        (ours.generator((1, 28, 28), 96), theirs.generator((1, 28, 28), 96)),
        (ours.discriminator((1, 28, 28)), theirs.discriminator((1, 28, 28))),
    ):
        assert [str(layer) for layer in one] == [str(layer) for layer in two]


def test_width_depth_and_most_are_what_they_say() -> None:
    def convolutions(net: nn.Module) -> list[int]:
        return [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]

    stride = {"down": "stride"}
    assert convolutions(nets((3, 64, 64))[1]) == [4, 8, 16]
    assert convolutions(nets((3, 64, 64), **stride)[1]) == [4, 8, 16, 32]
    assert convolutions(nets((3, 64, 64), most=10, **stride)[1]) == [4, 8, 10, 10]
    assert convolutions(nets((3, 64, 64), depth=1, **stride)[1]) == [4, 4, 8, 8, 16, 16, 32, 32]
    assert convolutions(nets((3, 64, 64), depth=1)[0]) == [64, 32, 16, 8]


def test_norms() -> None:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)

    def norms(net: nn.Module) -> int:
        return sum(isinstance(module, kinds) for module in net.modules())

    assert [norms(net) for net in nets((1, 28, 28))] == [3, 0]
    assert [norms(net) for net in nets((1, 28, 28), norm="both")] == [3, 1]
    assert [norms(net) for net in nets((1, 28, 28), norm="none")] == [0, 0]
    assert [norms(net) for net in nets((1, 28, 28), depth=1, dense=0)] == [4, 0]


def test_without_a_norm_values_keep_their_size() -> None:
    torch.manual_seed(0)
    model = Modern(norm="none", slope=0.2)
    images = torch.randn(64, 3, 64, 64)
    with torch.no_grad():
        logits = model.discriminator((3, 64, 64))(images)
        G = model.generator((3, 64, 64), 64)
        drawn = G[:-1](torch.randn(64, 64))  # before the tanh
    assert 0.3 < float(logits.std()) < 3
    assert 0.3 < float(drawn.std()) < 3


def test_the_class_makes_a_difference_to_both() -> None:
    G, D = nets((1, 8, 8), 3, labels="on")
    G.eval(), D.eval()
    z = torch.randn(1, 5)
    one, other = G(z, torch.tensor([0])), G(z, torch.tensor([1]))
    assert not torch.equal(one, other)
    assert D(one, torch.tensor([0])) != D(one, torch.tensor([1]))


def test_the_projection_by_hand() -> None:
    """Of class c: the plain logit and the product of e_c with what the last layer sees."""
    _, D = nets((1, 8, 8), 3, labels="on")
    D.eval()
    images, labels = torch.randn(2, 1, 8, 8), torch.tensor([2, 0])
    seen = D.features(images)
    assert seen.shape == (2, 16)
    for i, label in enumerate(labels):
        more = (seen[i] * D.classes.weight[label]).sum()
        torch.testing.assert_close(D(images, labels)[i], D.end(seen[i : i + 1])[0] + more)


def test_fast_layers_agree() -> None:
    G, D = nets((3, 20, 12))
    z = torch.randn(4, 5)
    plain = D(G(z))
    for net in (G, D):
        use_fast(net, True)
    torch.testing.assert_close(D(G(z)), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "use"), [((1, 7, 20), "8x20"), ((3, 300, 28), "256x28"), ((1, 1, 1), "8x8")]
)
def test_other_sizes_are_one_line(shape: Any, use: str) -> None:
    for build in (lambda: Modern().generator(shape, 5), lambda: Modern().discriminator(shape)):
        with pytest.raises(UsageError, match=f"height and width must be 8 to 256.*{use}"):
            build()


def test_it_takes_labels_if_it_is_told_to() -> None:
    found = {labels: Modern(labels=labels).takes_labels for labels in ("off", "on", "auto")}
    assert found == {"off": False, "on": True, "auto": True}
