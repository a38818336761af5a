"""Augmentations: each change by hand, differentiable, for every number of channels, repeatable."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from ganvas.augment import Adaptive, DiffAugment, NoAugmentation
from ganvas.registry import AUGMENTATIONS

OFF = {
    "brightness": 0.0,
    "saturation": 0.0,
    "contrast": 0.0,
    "translation": 0.0,
    "cutout": 0.0,
    "flips": False,
}


def only(**changes: Any) -> DiffAugment:
    return DiffAugment(**(OFF | changes))


def rng(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(channels: int = 3, num: int = 400, height: int = 8, width: int = 6) -> Tensor:
    return torch.rand(num, channels, height, width, generator=rng(1)) * 2 - 1


def test_brightness_adds_one_number_to_an_image() -> None:
    x = images()
    change = only(brightness=0.5)(x, rng(), 1.0) - x
    one = change[:, 0, 0, 0]
    torch.testing.assert_close(change, one.view(-1, 1, 1, 1).expand_as(x))
    assert -0.5 <= one.min() < -0.48 and 0.48 < one.max() <= 0.5


def test_contrast_scales_the_distance_from_the_mean() -> None:
    x = images()
    y = only(contrast=0.5)(x, rng(), 1.0)
    torch.testing.assert_close(y.mean((1, 2, 3)), x.mean((1, 2, 3)))
    scale = y.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.5 <= scale.min() < 0.52 and 1.48 < scale.max() <= 1.5


def test_saturation_keeps_grey_and_scales_what_differs_from_it() -> None:
    x = images()
    y = only(saturation=1.0)(x, rng(), 1.0)
    torch.testing.assert_close(y.mean(1), x.mean(1))
    scale = y.std(1).mean((1, 2)) / x.std(1).mean((1, 2))
    assert 0 <= scale.min() < 0.05 and 1.95 < scale.max() <= 2.0
    grey = images(1)
    assert torch.equal(only(saturation=1.0)(grey, rng(), 1.0), grey)


def test_translation_moves_whole_images_by_whole_pixels() -> None:
    """A quarter of 8 rows and of 6 columns: up to 2 and up to 2 (1.5 rounded), all as likely."""
    x = torch.zeros(4000, 1, 8, 6)
    x[:, :, 4, 3] = 1.0
    y = only(translation=0.25)(x, rng(), 1.0)
    assert torch.equal(y.sum((1, 2, 3)), torch.ones(4000))
    _, _, rows, columns = y.nonzero(as_tuple=True)
    for places, middle in ((rows, 4), (columns, 3)):
        found, counts = torch.unique(places - middle, return_counts=True)
        assert found.tolist() == [-2, -1, 0, 1, 2]
        assert (counts / 4000 - 0.2).abs().max() < 0.03


def test_translation_brings_in_zeros() -> None:
    y = only(translation=0.25)(torch.ones(50, 1, 8, 6), rng(), 1.0)
    assert set(y.unique().tolist()) == {0.0, 1.0}
    assert y[:, :, 3:5, 2:4].min() == 1.0


def test_a_cutout_is_a_rectangle_of_half_the_sides() -> None:
    y = only(cutout=0.5)(torch.ones(2000, 3, 8, 6), rng(), 1.0)
    holes = y == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    rows, columns = holes[:, 0].any(2), holes[:, 0].any(1)
    assert torch.equal(holes[:, 0], rows[:, :, None] & columns[:, None, :])
    assert rows.sum(1).max() == 4 and columns.sum(1).max() == 3
    assert rows.sum(1).min() == 2  # its centre may lie on the edge
    assert holes.float().mean((0, 1)).min() > 0.05  # and anywhere else


def test_flips_mirror_half_of_the_images() -> None:
    x = images()
    y = only(flips=True)(x, rng(), 1.0)
    mirrored = (y == x.flip(3)).all(3).all(2).all(1)
    assert ((y == x).all(3).all(2).all(1) ^ mirrored).all()
    assert 0.4 < mirrored.float().mean() < 0.6


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_number_of_channels(channels: int) -> None:
    x = images(channels, num=5).requires_grad_()
    y = DiffAugment(flips=True)(x, rng(), 1.0)
    assert y.shape == x.shape and y.isfinite().all()
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert gradient.abs().sum() > 0


def test_opacity_keeps_its_values() -> None:
    x = images(4)
    y = only(brightness=0.5, saturation=1.0, contrast=0.5)(x, rng(), 1.0)
    assert torch.equal(y[:, 3], x[:, 3]) and not torch.equal(y[:, 0], x[:, 0])


def test_its_gradient_is_right() -> None:
    x = images(3, num=2, height=4, width=3).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda value: DiffAugment(flips=True)(value, rng(3), 1.0), (x,), atol=1e-6
    )


def test_a_stream_repeats_and_others_are_not_touched() -> None:
    before = torch.get_rng_state()
    x = images()
    one, two, other = (DiffAugment(flips=True)(x, rng(seed), 1.0) for seed in (3, 3, 4))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_done_where_all_is_off() -> None:
    x = images()
    assert torch.equal(only()(x, rng(), 1.0), x)
    assert NoAugmentation()(x, rng(), 1.0) is x


# Adaptive


def test_at_strength_0_nothing_changes_and_at_1_everything_does() -> None:
    x = images()
    assert torch.equal(Adaptive(changes=DiffAugment(flips=True))(x, rng(), torch.zeros(())), x)
    y = Adaptive(changes=only(brightness=0.5))(x, rng(), torch.ones(()))
    assert (y != x).flatten(1).any(1).all()


def test_the_strength_is_the_chance_of_each_change() -> None:
    x = images(num=4000)
    for changes in ({"brightness": 0.5}, {"contrast": 0.5}, {"cutout": 0.5}):
        y = Adaptive(changes=only(**changes))(x, rng(), torch.tensor(0.3))
        assert (y != x).flatten(1).any(1).float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_every_augmentation_is_tested_here() -> None:
    known = {NoAugmentation, DiffAugment, Adaptive}
    assert {AUGMENTATIONS.get(name) for name in AUGMENTATIONS.names()} == known
