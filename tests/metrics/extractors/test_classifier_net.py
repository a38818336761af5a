"""The small classifier: its net, its first layer, its training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganvas.errors import UsageError
from ganvas.metrics.extractors import classifier_net
from ganvas.pixels import ImageSet


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (4, 9, 65)])
@pytest.mark.parametrize("widths", [(4, 6, 10), classifier_net.ClassifierTraining.widths])
def test_the_classifier_takes_any_shape(
    shape: tuple[int, int, int], widths: classifier_net.Widths
) -> None:
    net = classifier_net.untrained(shape, 3, 0, widths)
    found, logits = net(torch.zeros(2, *shape))
    assert found.shape == (2, widths[-1]) and logits.shape == (2, 3)
    content = classifier_net.to_bytes(net)
    again = classifier_net.from_bytes(content, shape, 3, "it", widths)
    assert torch.allclose(again(torch.ones(2, *shape))[1], net(torch.ones(2, *shape))[1], atol=1e-2)
    with pytest.raises(UsageError, match="damaged"):
        classifier_net.from_bytes(content, shape, 4, "it", widths)


def test_the_first_layer_whitens_patches() -> None:
    smooth = np.cumsum(np.random.default_rng(0).normal(size=(200, 1, 12, 12)), axis=3)
    images = torch.from_numpy(smooth.astype(np.float32))
    layer = torch.nn.Conv2d(1, 8, 2)
    classifier_net.whiten(layer, images)
    with torch.no_grad():
        outputs = layer(images).transpose(0, 1).flatten(1).numpy()
    assert np.allclose(outputs[4:], -outputs[:4], atol=1e-5)
    assert np.allclose(outputs.mean(axis=1), 0, atol=1e-4)
    covariance = np.cov(outputs[:4])
    assert np.allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    # what hardly varies is not blown up to one
    assert (np.diag(covariance) < 1.001).all() and np.diag(covariance)[-1] > 0.99


def test_augmentation_moves_by_whole_pixels_and_mirrors_whom_it_is_told() -> None:
    training = classifier_net.ClassifierTraining(turn=0, scale=0, shear=0, shift=0.2, mirror=True)
    images = torch.arange(40.0).view(1, 1, 5, 8).repeat(64, 1, 1, 1) / 20 - 1
    mirrored = torch.arange(64) % 2 == 0
    moved = classifier_net.augmented(images, training, torch.Generator().manual_seed(0), mirrored)
    seen = set()
    for image, flipped in zip(moved, mirrored, strict=True):
        matches = {
            (right, down)
            for right in range(-2, 3)
            for down in range(-1, 2)
            if torch.allclose(image, by_hand(images[0], right, down, bool(flipped)), atol=1e-5)
        }
        assert len(matches) == 1
        seen |= matches
    assert len(seen) > 10  # of 15


def by_hand(image: torch.Tensor, right: int, down: int, mirrored: bool) -> torch.Tensor:
    """Where each pixel of (C, H, W) comes from, reflected at the edges."""
    height, width = image.shape[1:]
    columns = np.pad(np.arange(width), 2, "symmetric")[2 + right : 2 + right + width]
    rows = np.pad(np.arange(height), 2, "symmetric")[2 + down : 2 + down + height]
    moved = image[:, rows.copy()][:, :, columns.copy()]
    return moved.flip(2) if mirrored else moved


def test_training_is_a_function_of_the_seed(two_kinds: ImageSet) -> None:
    assert two_kinds.labels is not None
    a, b, c = (
        classifier_net.to_bytes(
            classifier_net.fit(two_kinds.images, two_kinds.labels, 2, images_shown=240, seed=seed)
        )
        for seed in (0, 0, 1)
    )
    assert a == b != c
