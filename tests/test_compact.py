"""Packed weights: hand-computed values, every kind of net there and back, damaged files refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ganvas import compact
from ganvas.errors import UsageError
from ganvas.generator import load


def dense(rows: list[list[float]]) -> nn.Module:
    net = nn.Linear(len(rows[0]), len(rows))
    net.weight.data = torch.tensor(rows)
    net.bias.data = torch.tensor([0.123456789] * len(rows))
    return net.requires_grad_(False)


def test_eight_bits_are_steps_of_the_largest_weight_of_each_output() -> None:
    net = dense([[1.27, -0.014, 0.016], [-254.0, 3.0, 0.9], [0.0, 0.0, 0.0]])
    packed = compact.pack(net, "int8")
    assert packed["weight"].dtype == torch.int8
    assert packed["weight"].tolist() == [[127, -1, 2], [-127, 2, 0], [0, 0, 0]]
    assert packed["weight.scale"].flatten().tolist() == pytest.approx([0.01, 2.0, 1.0])
    assert packed["bias"] is net.state_dict()["bias"] or torch.equal(packed["bias"], net.bias)
    unpacked = compact.unpack(packed, "int8")
    assert set(unpacked) == {"weight", "bias"} and unpacked["weight"].dtype == torch.float32
    assert unpacked["weight"][0].tolist() == pytest.approx([1.27, -0.01, 0.02])
    assert unpacked["weight"][1].tolist() == [-254.0, 4.0, 0.0]


def test_a_transposed_convolution_has_its_outputs_in_the_second_place() -> None:
    net = nn.ConvTranspose2d(2, 3, 1, bias=False).requires_grad_(False)
    net.weight.data = torch.tensor([[1.0, 20, 300], [-2, 10, 600]])[:, :, None, None]
    scale = compact.pack(net, "int8")["weight.scale"]
    assert scale.shape == (1, 3, 1, 1)
    assert (scale.flatten() * 127).tolist() == pytest.approx([2, 20, 600])
    inside = nn.Sequential(nn.ReLU(), net)
    assert compact.pack(inside, "int8")["1.weight.scale"].shape == (1, 3, 1, 1)


def test_halves_are_halves_and_what_is_small_stays() -> None:
    net = nn.Sequential(dense([[1 / 3, 1e-9]]), nn.BatchNorm1d(1))
    packed = compact.pack(net, "float16")
    assert packed["0.weight"].dtype == torch.float16
    kept = {name for name, value in packed.items() if value.dtype != torch.float16}
    assert kept == {
        "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"
    }  # fmt: skip
    unpacked = compact.unpack(packed, "float16")
    assert unpacked["0.weight"].dtype == torch.float32
    assert unpacked["0.weight"][0, 0].item() == pytest.approx(1 / 3, rel=5e-4)


def test_without_a_form_nothing_changes() -> None:
    state = {"weight": torch.ones(2, 2), "weight.scale": torch.ones(2)}
    assert compact.unpack(state, None) == state
    assert compact.shapes({"weight": (2, 2), "weight.scale": (2,)}, None) == {
        "weight": [2, 2], "weight.scale": [2]
    }  # fmt: skip


@pytest.mark.parametrize("scale", [(2,), (2, 2), (3, 1), (1, 4, 1), ()])
def test_a_scale_that_does_not_fit_is_refused(scale: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"w\.scale has shape .* does not fit \[2, 4\]"):
        compact.shapes({"w": (2, 4), "w.scale": scale}, "int8")
    with pytest.raises(ValueError, match="weights in the form 'int4'; this version reads int8"):
        compact.shapes({"w": (2, 4)}, "int4")


def repacked(source: Path, folder: Path, form: compact.Form, **changes: torch.Tensor) -> Path:
    """The generator in `source` with packed weights, in `folder`."""
    generator = load(source)
    tensors = compact.pack(generator.net, form) | changes
    folder.mkdir()
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    metadata = {"images_seen": "7", compact.FORM: form}
    save_file(tensors, folder / "model.safetensors", metadata)
    return folder


@pytest.mark.parametrize(("form", "most"), [("int8", 0.02), ("float16", 2e-3)])
def test_a_packed_generator_draws_about_the_same(
    form: compact.Form, most: float, tiny_run: Path, tmp_path: Path
) -> None:
    source = tiny_run / "generator"
    folder = repacked(source, tmp_path / "packed", form)
    whole, packed = load(source), load(folder)
    assert packed.images_seen == 7
    z = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        off = (whole.net(z) - packed.net(z)).abs().max().item()
    assert 0 < off < most
    small = (folder / "model.safetensors").stat().st_size
    assert small < (source / "model.safetensors").stat().st_size


def test_a_damaged_one_is_one_line(tiny_run: Path, tmp_path: Path) -> None:
    source = tiny_run / "generator"
    packed = compact.pack(load(source).net, "int8")
    name = next(name for name in packed if name.endswith(".scale"))
    for i, (change, said) in enumerate(
        {
            torch.ones(9, 9): "does not fit",
            torch.full_like(packed[name], torch.inf): "NaN or infinite",
            packed[name].double(): "is of type torch.float64",
        }.items()
    ):
        folder = repacked(source, tmp_path / str(i), "int8", **{name: change})
        with pytest.raises(UsageError, match=said) as error:
            load(folder)
        assert "model.safetensors" in str(error.value) and "\n" not in str(error.value)
    whole = load_file(source / "model.safetensors")
    save_file(whole, tmp_path / "0" / "model.safetensors", {compact.FORM: "int3"})
    with pytest.raises(UsageError, match="is damaged: weights in the form 'int3'"):
        load(tmp_path / "0")
