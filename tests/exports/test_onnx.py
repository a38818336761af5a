"""ONNX files: what they draw, what they take, what they say, what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import ganvas
from ganvas.batch import Latents
from ganvas.drawing import generate
from ganvas.errors import RunError, UsageError
from ganvas.exports.onnx import build
from ganvas.exports.source import open_source
from ganvas.generator import load


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("onnx") / "g.onnx"
    ganvas.export(tiny_run, to="onnx", output=file)
    return file


def session(file: Path) -> Any:
    return onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])


def metadata(file: Path) -> dict[str, str]:
    return {prop.key: prop.value for prop in onnx.load(file).metadata_props}


# What it draws


@pytest.mark.parametrize("recipe", ["cs231n-dcgan", "mnist-classes", "modern-classes"])
def test_it_draws_what_the_net_draws(
    recipe: str, untrained: Callable[[str], Path], tmp_path: Path
) -> None:
    check(untrained(recipe), tmp_path)


@pytest.mark.slow  # torch takes a second or two over each
def test_it_draws_what_each_net_draws(
    recipe: str, untrained: Callable[[str], Path], tmp_path: Path
) -> None:
    check(untrained(recipe), tmp_path)


def check(saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "g.onnx"
    done = ganvas.export(saved, to="onnx", output=file)
    source = load(saved)
    z = source.latent.sample(5, torch.Generator().manual_seed(3))
    labels = torch.tensor([1, 0, 2, 2, 1]) if source.num_classes else None
    with torch.no_grad():
        expected = generate(source.net, Latents(z, labels)).numpy()
    drawer = session(file)
    given = {} if labels is None else {"labels": labels.numpy()}
    (found,) = drawer.run(None, {"latents": z.numpy(), **given})
    assert found.dtype == np.float32 and found.shape == (5, *source.shape)
    assert np.abs(found - expected).max() < 1e-5
    assert expected.std() > 0.01, "a blank image would prove nothing"
    assert float(done.check.split()[2]) < 1e-5
    assert list(tmp_path.iterdir()) == [file], "no side data"


def test_labels_are_an_input_and_their_names_are_in_the_file(
    labelled_generator: Path, tmp_path: Path
) -> None:
    ganvas.export(labelled_generator, to="onnx", output=tmp_path / "g.onnx", values="uint8")
    drawer, source = session(tmp_path / "g.onnx"), load(labelled_generator)
    inputs = {one.name: (one.type, one.shape) for one in drawer.get_inputs()}
    assert inputs == {
        "latents": ("tensor(float)", ["batch", 4]), "labels": ("tensor(int64)", ["batch"])
    }  # fmt: skip
    assert json.loads(metadata(tmp_path / "g.onnx")["classes"]) == list(source.classes)
    z = source.latent.sample(1, torch.Generator().manual_seed(1))
    shown = {"latents": z.expand(5, 4).numpy(), "labels": np.arange(5)}
    (found,) = drawer.run(None, shown)
    assert np.abs(found.astype(int) - source(z.expand(5, 4), torch.arange(5))).max() <= 1
    assert len(np.unique(found, axis=0)) == 5, "the classes differ"


def test_uint8_is_what_sample_gives(tiny_run: Path, tmp_path: Path) -> None:
    from ganvas.seeds import stream

    ganvas.export(tiny_run, to="onnx", output=tmp_path / "g.onnx", values="uint8")
    source = load(tiny_run)
    z = source.latent.sample(64, torch.Generator().manual_seed(stream(4, "sample")))
    (found,) = session(tmp_path / "g.onnx").run(None, {"latents": z.numpy()})
    expected = source.sample(64, seed=4)
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != expected).mean() < 1e-3


def test_any_batch_is_taken(exported: Path) -> None:
    drawer = session(exported)
    (latents,), (images,) = drawer.get_inputs(), drawer.get_outputs()
    assert (latents.name, latents.shape, latents.type) == ("latents", ["batch", 4], "tensor(float)")
    assert (images.name, images.shape) == ("images", ["batch", 1, 8, 8])
    for num in (1, 3, 100):
        (found,) = drawer.run(None, {"latents": np.zeros((num, 4), np.float32)})
        assert found.shape == (num, 1, 8, 8)


def test_the_source_is_left_as_it_was(untrained: Callable[[str], Path]) -> None:
    source = open_source(untrained("genzoo-mnist"))
    before = {key: value.clone() for key, value in source.generator.net.state_dict().items()}
    build(source)
    assert all(torch.equal(before[k], v) for k, v in source.generator.net.state_dict().items())
    fast = [m.fast for m in source.generator.net.modules() if hasattr(m, "fast")]
    assert fast and all(fast)
    assert not any(m.fast for m in source.plain_net().modules() if hasattr(m, "fast"))


# What it says


def test_it_says_where_it_comes_from(tiny_run: Path, exported: Path) -> None:
    said = metadata(exported)
    weights = (tiny_run / "generator" / "model.safetensors").read_bytes()
    record = json.loads((tiny_run / "env.json").read_text())
    assert said["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert said["data_sha256"] == record["data"]["sha256"]
    assert (said["recipe"], said["seed"], said["data"]) == ("tiny", "0", "npz")
    assert (said["value_range"], said["images_seen"]) == ("-1 1", "192")
    assert 0 <= float(said["largest_difference"]) < 1e-5
    assert "# tiny" in onnx.load(exported).doc_string


def test_it_says_nothing_of_the_machine(tiny_run: Path, exported: Path) -> None:
    content = exported.read_bytes()
    for path in (ganvas.__file__, torch.__file__, str(tiny_run), "site-packages", ".py"):
        assert path.encode() not in content


def test_the_same_generator_gives_the_same_bytes(tiny_run: Path, exported: Path) -> None:
    assert build(open_source(tiny_run)).content == exported.read_bytes()


def test_the_command_prints_the_difference(
    tiny_run: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    result = cli("export", tiny_run, "--to", "onnx")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("wrote tiny.onnx (0.0 MB); largest difference ")
    assert result.out.endswith(" by onnxruntime, batches 1, 2, 7\n")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


# Refusals


class Noise(nn.Module):
    """Never the same twice: no export of it can be true."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.net(z)
        return images if torch.compiler.is_compiling() else images + 1e-3 * torch.randn_like(images)


def test_a_file_that_draws_something_else_is_an_error(tiny_run: Path) -> None:
    source = open_source(tiny_run)
    wrong = dataclasses.replace(source.generator, net=Noise(source.generator.net))
    with pytest.raises(RunError, match="differ from the source's by 0.00"):
        build(dataclasses.replace(source, generator=wrong))


@pytest.mark.parametrize("values", ["float", "uint8"])
def test_nan_is_no_agreement(tiny_run: Path, values: Any) -> None:
    source = open_source(tiny_run)
    with torch.no_grad():
        next(source.generator.net.parameters()).fill_(float("nan"))
    with pytest.raises(RunError, match="nothing was written"):
        build(source, values)


class Foreign(nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svd(z.reshape(-1, 2, 2)).U.repeat(1, 4, 4).reshape(-1, 1, 8, 8)


def test_a_layer_that_onnx_lacks_is_one_line(tiny_run: Path) -> None:
    source = open_source(tiny_run)
    foreign = dataclasses.replace(source.generator, net=Foreign())
    with pytest.raises(RunError, match="a layer of the generator cannot be exported") as error:
        build(dataclasses.replace(source, generator=foreign))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_comes_with_its_command(
    package: str, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=r"pip install 'ganvas\[onnx\]'"):
        ganvas.export(tiny_run, to="onnx", output=tmp_path / "g.onnx")
    assert not list(tmp_path.iterdir())


def test_no_generator_is_one_line(tmp_path: Path, cli: Callable[..., Any]) -> None:
    result = cli("export", "nowhere", "--to", "onnx")
    assert result.code == 2 and result.err.count("\n") == 1
    assert "'nowhere' does not exist" in result.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"to": "onxx"}, "--to: found 'onxx'; allowed: onnx, page"),
        ({"to": "page", "values": "float"}, "--values: found with --to page"),
        ({"to": "onnx", "values": "int8"}, "--values: found 'int8'; allowed: float, uint8"),
    ],
)
def test_a_wrong_option_is_one_line(options: Any, expected: str, tiny_run: Path) -> None:
    with pytest.raises(UsageError, match=expected):
        ganvas.export(tiny_run, **options)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_nothing(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the disk is full"):
        ganvas.export(tiny_run, to="onnx", output=tmp_path / "g.onnx")
    assert not list(tmp_path.iterdir())
