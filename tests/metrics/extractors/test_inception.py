"""Inception's weights: no others are taken for the published ones; the names of its numbers."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from ganvas.metrics.extractors import inception
from ganvas.metrics.extractors.choice import choose
from ganvas.metrics.extractors.inception_net import RESIZING
from ganvas.pixels import ImageSet

PUBLISHED = SOURCES["inception"].files[0]


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
    extractor = choose("inception", None, ImageSet(some), None)
    found, probabilities = extractor(some)
    given = torch.cat(seen)[:19].numpy()
    assert np.array_equal(given, np.broadcast_to(some[:, :3], (19, 3, 6, 4)))
    assert probabilities is not None
    logits = found @ tiny_weights.fc.weight.numpy().T  # no bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(probabilities, shares, atol=1e-5)
    expected = "" if channels == 3 else f", {channels} to 3 channels"
    assert extractor.resizing((channels, 6, 4)) == RESIZING + expected


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
    assert rows[3]["values"].keys() == {"score"} and rows[3]["settings"].keys() == {"classes"}
    assert rows[0]["resize"] == f"features: {RESIZING}, 1 to 3 channels"
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
