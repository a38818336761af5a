"""Inception's net is that of the published weights."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganvas.metrics.extractors import inception, inception_net


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Random weights that keep activations about one."""
    rng = np.random.default_rng(0)
    found = {}
    with torch.device("meta"):
        layout = inception_net.Inception().state_dict()
    for key, like in layout.items():
        values = rng.standard_normal(tuple(like.shape), np.float32)
        if key.endswith("conv.weight"):
            values *= np.sqrt(2 / np.prod(like.shape[1:]))
        elif key.endswith("running_var"):
            values = 1 + np.abs(values) / 2
        else:
            values = values / 5 + key.endswith("bn.weight")
        found[key] = torch.from_numpy(np.asarray(values, np.float32))
        if key.endswith("tracked"):
            found[key] = torch.tensor(0)
    return found


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Two coarse random images, uint8 (2, 3, 24, 40)."""
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, 3, 24, 40), np.uint8))


@pytest.fixture(scope="module")
def outputs(weights: dict[str, Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        found: tuple[Tensor, Tensor] = inception._net(weights, Path("x"))(images.float())
    return found


def test_parameters() -> None:
    """Keras publishes 23,851,784 numbers for the net: no scales of batch normalisation, but means
    and variances of its 17,216 channels, and 1,000 classes."""
    with torch.device("meta"):
        net = inception_net.Inception()
    num = sum(value.numel() for value in net.parameters())
    assert num == 23_851_784 - 17_216 + 8 * 2049 == 23_850_960
    assert sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d)) == 17_216


def test_names_and_shapes_are_those_of_torch_fidelity(weights: dict[str, Tensor]) -> None:
    lines = sorted(f"{key} {tuple(value.shape)}" for key, value in weights.items())
    assert len(lines) == 566
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == LAYOUT


def test_outputs_are_those_of_torch_fidelity_0_4(outputs: tuple[Tensor, Tensor]) -> None:
    found, logits = outputs
    assert found.shape == (2, 2048) and logits.shape == (2, 1008)
    assert found.min() >= 0
    # channels of each branch of the last block, and some logits, as torch-fidelity computes them
    assert found[1, CHANNELS].tolist() == pytest.approx(FEATURES, rel=1e-3)
    assert logits[0, :4].tolist() == pytest.approx(LOGITS, rel=1e-3)


def test_outputs_equal_those_of_torch_fidelity_where_it_is_installed(
    weights: dict[str, Tensor],
    images: Tensor,
    outputs: tuple[Tensor, Tensor],
    tmp_path: Path,
) -> None:
    spec = importlib.util.find_spec("torch_fidelity")
    if spec is None:
        pytest.skip("torch-fidelity is not installed")
    package = ModuleType("torch_fidelity")  # without its __init__, which needs torchvision
    package.__path__ = spec.submodule_search_locations  # type: ignore[assignment]
    with mock.patch.dict(sys.modules, {"torch_fidelity": package}):
        module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    torch.save(weights, tmp_path / "weights.pth")
    other = module.FeatureExtractorInceptionV3(
        "other", ["2048", "logits"], feature_extractor_weights_path=str(tmp_path / "weights.pth")
    )
    for mine, its in zip(outputs, other(images), strict=True):
        assert torch.allclose(mine, its, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(2, 3), (32, 32), (299, 299), (400, 310)])
def test_resize_is_the_formula(height: int, width: int, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (height, width)).astype(np.float64)
    found = inception_net.resized(torch.from_numpy(image).float()[None, None])[0, 0]
    assert found.shape == (299, 299)
    for row, column in ((0, 0), (1, 297), (150, 37), (298, 298)):
        y, x = row * height / 299, column * width / 299
        top, left = int(y), int(x)
        below, right = min(top + 1, height - 1), min(left + 1, width - 1)
        v, u = y - top, x - left
        upper = (1 - u) * image[top, left] + u * image[top, right]
        lower = (1 - u) * image[below, left] + u * image[below, right]
        assert float(found[row, column]) == pytest.approx((1 - v) * upper + v * lower, abs=0.01)


def test_large_images_are_not_smoothed() -> None:
    image = torch.arange(598.0).expand(1, 1, 598, 598)
    assert torch.equal(inception_net.resized(image)[0, 0, 5], torch.arange(0, 598, 2.0))


def test_padding_does_not_darken_averages() -> None:
    block = inception_net.Block(1, {"branch_pool": [(1, 1, 1)]}, "average")
    assert torch.equal(block._pooled(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


LAYOUT = "760681d791cb624e1bf7a2e802a68933dd17aa5e3109fcf498d9dfa521bc10d7"
CHANNELS = [245, 385, 1015, 1099, 1822, 1924]
FEATURES = [0.400853, 0.430301, 0.387268, 0.469379, 0.423933, 0.511114]
LOGITS = [-0.439606, -3.643683, 5.517836, -2.454926]
