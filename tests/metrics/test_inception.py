"""Inception: the net is that of the published weights, and no other weights are taken for them."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import platformdirs
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import ganvas
from ganvas.data.datasets import Digits
from ganvas.data.sources import SOURCES
from ganvas.errors import RunError, UsageError
from ganvas.metrics import features, inception

PUBLISHED = SOURCES["inception"].files[0]


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Random weights that keep activations about one."""
    rng = np.random.default_rng(0)
    found = {}
    with torch.device("meta"):
        layout = inception.Inception().state_dict()
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


# The net


def test_parameters() -> None:
    """Keras publishes 23,851,784 numbers for the net: no scales of batch normalisation, but means
    and variances of its 17,216 channels, and 1,000 classes."""
    with torch.device("meta"):
        net = inception.Inception()
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
    found = inception.resized(torch.from_numpy(image).float()[None, None])[0, 0]
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
    assert torch.equal(inception.resized(image)[0, 0, 5], torch.arange(0, 598, 2.0))


def test_padding_does_not_darken_averages() -> None:
    block = inception.Block(1, {"branch_pool": [(1, 1, 1)]}, "average")
    assert torch.equal(block._pooled(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


# Its weights


class Tiny(nn.Module):
    """In Inception's place, so that files are small; it notes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 5)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        assert images.shape[1] == 3
        found = nn.functional.adaptive_avg_pool2d(images / 255, 2).flatten(1)
        return found, self.fc(found)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GANVAS_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(tmp_path / "cache"))
    unreachable = replace(SOURCES["inception"], mirrors=("http://127.0.0.1:9/",))
    monkeypatch.setitem(SOURCES, "inception", unreachable)
    return tmp_path / "cache"


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """publish(content) writes a file as if it were the published one, for a tiny net."""

    def write(content: Any, **options: bool) -> Path:
        monkeypatch.setattr(inception, "Inception", Tiny)
        path = tmp_path / "root" / "inception" / PUBLISHED.name
        path.parent.mkdir(parents=True)
        torch.save(content, path, **options)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        source = replace(SOURCES["inception"], files=(replace(PUBLISHED, sha256=digest),))
        monkeypatch.setitem(SOURCES, "inception", source)
        return path

    return write


def tiny() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return Tiny().state_dict()


@pytest.mark.parametrize("zipped", [True, False])  # PyTorch's format, and that before 1.6
def test_the_published_file_is_converted_once(
    publish: Callable[..., Path], cache: Path, zipped: bool
) -> None:
    path = publish(tiny(), _use_new_zipfile_serialization=zipped)
    first = inception.read(path.parent.parent)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert first.sha256 == digest and first.note == ""
    assert not first.net.training and not first.net.fc.weight.requires_grad
    path.unlink()
    (kept,) = cache.rglob("*.safetensors")
    again = inception.read(None)
    assert again.sha256 == digest and torch.equal(again.net.fc.weight, tiny()["fc.weight"])

    kept.write_bytes(kept.read_bytes()[:-1] + b"\x01")  # damaged: as if it were not there
    with pytest.raises(RunError, match="could not be downloaded"):
        inception.read(None)


def test_a_file_that_is_not_the_published_one_is_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / PUBLISHED.name
    path.write_bytes(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    with pytest.raises(UsageError, match="is not the published file: found checksum"):
        inception.read(tmp_path)
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (Path(self.path),)


@pytest.mark.parametrize("content", [Trap("sprung"), [1, 2], {"fc.weight": "text"}])
def test_what_is_no_tensor_is_refused_whatever_its_checksum(
    publish: Callable[[Any], Path], content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = publish(content)
    with pytest.raises(UsageError, match="does not hold tensors alone") as error:
        inception.read(path.parent)
    assert "\n" not in str(error.value) and not Path("sprung").exists()


def test_a_safetensors_file_is_taken_and_the_reader_is_told(
    publish: Callable[[Any], Path],
) -> None:
    path = publish(tiny())
    path.unlink()
    own = path.with_suffix(".safetensors")
    save_file(tiny(), own)
    found = inception.read(path.parent)
    assert found.sha256 == hashlib.sha256(own.read_bytes()).hexdigest()
    assert str(own) in found.note and "nothing shows" in found.note

    save_file({"fc.weight": torch.zeros(5, 12)}, own)
    with pytest.raises(UsageError, match=r"fc.bias is nothing, expected \(5,\)"):
        inception.read(path.parent)
    save_file(tiny() | {"fc.weight": torch.zeros(5, 13)}, own)
    with pytest.raises(UsageError, match=r"fc.weight is \(5, 13\) of torch.float32, expected"):
        inception.read(path.parent)
    own.write_bytes(b"no safetensors at all")
    with pytest.raises(UsageError, match="no safetensors file"):
        inception.read(path.parent)


# The extractor and the command


@pytest.fixture
def tiny_weights(monkeypatch: pytest.MonkeyPatch) -> Tiny:
    net = Tiny()
    net.load_state_dict({key: 20 * value for key, value in tiny().items()})
    found = inception.Weights(net.eval().requires_grad_(False), "0" * 64)  # type: ignore[arg-type]
    monkeypatch.setattr(inception, "read", lambda root: found)
    return net


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_extractor_gives_pixels_in_three_channels(tiny_weights: Tiny, channels: int) -> None:
    some = np.random.default_rng(0).integers(0, 256, (19, channels, 6, 4), np.uint8)
    some[:, 3:] = 255
    seen: list[Tensor] = []
    tiny_weights.register_forward_pre_hook(lambda net, inputs: seen.append(inputs[0].clone()))
    extractor = features.of_inception(None)
    found = extractor(some)
    given = torch.cat(seen)[:19].numpy()
    assert np.array_equal(given, np.broadcast_to(some[:, :3], (19, 3, 6, 4)))
    assert found.probabilities is not None
    logits = found.features @ tiny_weights.fc.weight.numpy().T  # no bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(found.probabilities, shares, atol=1e-5)
    expected = "" if channels == 3 else f", {channels} to 3 channels"
    assert extractor.resizing((channels, 6, 4)) == inception.RESIZING + expected


def test_numbers_in_its_features_have_names_of_their_own(
    tiny_weights: Tiny, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    np.savez(tmp_path / "x.npz", images=Digits().load("test", None).images[:100])
    options = ["evaluate", tmp_path / "x.npz", "--data", "digits", "--features", "inception"]
    rows = json.loads(cli(*options, "--json").out)
    assert [row["metric"] for row in rows] == [
        "fid100", "kid100", "prdc100", "is100", "memorisation100",
    ]  # fmt: skip
    assert [row["extractor"] for row in rows] == ["inception"] * 4 + ["pixels"]
    assert rows[3]["values"].keys() == {"score"} and rows[3]["settings"].keys() == {
        "classifier-score"
    }
    assert rows[0]["resize"] == f"features: {inception.RESIZING}, 1 to 3 channels"
    named = json.loads(cli(*options, "--json", "--metrics", "fid,kid,fd,is").out)
    assert [row["metric"] for row in named] == ["fid100", "kid100", "is100"]
    assert named[0]["values"] == rows[0]["values"]
    said = cli(*options, "--metrics", "fid")
    assert said.code == 0 and "fid100 distance" in said.out and said.err == ""


def test_the_function_takes_it_too(tiny_weights: Tiny, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=Digits().load("test", None).images[:50])
    (row,) = ganvas.evaluate(
        tmp_path / "x.npz", data="digits", metrics=["fid"], features="inception"
    )
    assert row.metric == "fid50" and row.extractor_sha256 == "0" * 64


def test_no_weights_and_no_network_is_one_line(tmp_path: Path, cli: Callable[..., Any]) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((20, 28, 28), np.uint8))
    said = cli("evaluate", tmp_path / "x.npz", "--data", "digits", "--features", "inception")
    assert said.code == 1 and said.err.count("\n") == 1 and "unexpected" not in said.err
    assert f"'{PUBLISHED.name}' is not in '" in said.err and "no connection" in said.err
    assert "`ganvas data fetch inception`" in said.err
    assert f"put http://127.0.0.1:9/{PUBLISHED.name} into a folder" in said.err
    assert "--data-root" in said.err and "GANVAS_DATA" in said.err


def test_fetch_says_the_same(cli: Callable[..., Any]) -> None:
    said = cli("data", "fetch", "inception")
    assert said.code == 1 and PUBLISHED.name in said.err and said.err.count("\n") == 1


LAYOUT = "760681d791cb624e1bf7a2e802a68933dd17aa5e3109fcf498d9dfa521bc10d7"
CHANNELS = [245, 385, 1015, 1099, 1822, 1924]
FEATURES = [0.400853, 0.430301, 0.387268, 0.469379, 0.423933, 0.511114]
LOGITS = [-0.439606, -3.643683, 5.517836, -2.454926]
