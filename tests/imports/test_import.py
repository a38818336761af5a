"""Foreign weights: generators draw what Keras drew with them, and what does not fit is refused."""

from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import ganvas
from ganvas.errors import UsageError
from ganvas.generator import card_of, load
from ganvas.imports import keras

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("made_by_keras", HERE / "made_by_keras.py")
assert spec and spec.loader
formula = importlib.util.module_from_spec(spec)
spec.loader.exec_module(formula)

KERAS_RECIPES = ("modelzoo-vanilla", "genzoo-mnist", "genzoo-cifar10")


def write_named(file: Path, plan: str, root: str = "model_weights", end: str = ":0") -> Path:
    """A file as Keras 2 writes it: every array has a name, layers are listed in order."""
    with h5py.File(file, "w") as opened:
        group = opened.create_group(root) if root else opened
        names = []
        for i, (kind, arrays) in enumerate(formula.layers(plan)):
            name = f"a_name_{9 - i}" if i % 2 else f"{kind}_{i + 7}"  # users may name layers
            names.append(name)
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [f"{name}/{key}{end}".encode() for key in arrays]
            for key, array in arrays.items():
                inner[f"{name}/{key}{end}"] = array
        empty = group.create_group("reshape")
        empty.attrs["weight_names"] = []
        group.attrs["layer_names"] = [name.encode() for name in [*names, "reshape"]]
    return file


def write_numbered(file: Any, plan: str) -> None:
    """A file as Keras 3 writes it: arrays and the layers of a kind are numbered."""
    with h5py.File(file, "w") as opened:
        seen: dict[str, int] = {}
        for kind, arrays in formula.layers(plan):
            number = seen[kind] = seen.get(kind, -1) + 1
            name = f"{kind}_{number}" if number else kind
            for i, array in enumerate(arrays.values()):
                opened[f"layers/{name}/vars/{i}"] = array
        opened["optimizer/vars/0"] = np.zeros(3)


def write(file: Path, plan: str) -> Path:
    """A file of a plan's weights, in the form that its ending asks for."""
    if file.suffix == ".keras":
        write_numbered(file.with_suffix(".inner"), plan)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.write(file.with_suffix(".inner"), "model.weights.h5")
        file.with_suffix(".inner").unlink()
    elif file.name.endswith(".weights.h5"):
        write_numbered(file, plan)
    else:
        write_named(file, plan)
    return file


# What Keras writes


@pytest.mark.parametrize("name", ["small.h5", "small.keras", "small.weights.h5"])
def test_files_that_keras_wrote_are_read(name: str) -> None:
    expected = formula.layers("small")
    with keras.opened(HERE / name) as found:
        assert len(found) == len(expected)
        for kind, arrays in expected:
            layer = next(layer for layer in found if kind in layer.kinds)
            found.remove(layer)
            assert {key: array.shape for key, array in layer.arrays.items()} == {
                key: array.shape for key, array in arrays.items()
            }
            for key, array in arrays.items():
                assert np.array_equal(layer.arrays[key], array)


@pytest.mark.parametrize("name", ["x.h5", "x.keras", "x.weights.h5"])
def test_files_written_here_have_the_form_of_those(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, "small")
    with keras.opened(tmp_path / name) as mine, keras.opened(HERE / f"small{name[1:]}") as theirs:
        assert [(one.kinds, set(one.arrays)) for one in mine] == [
            (one.kinds, set(one.arrays)) for one in theirs
        ]


# What is drawn


@pytest.mark.parametrize("recipe", KERAS_RECIPES)
@pytest.mark.parametrize("name", ["gen_model.h5", "gen.keras", "gen.weights.h5"])
def test_it_draws_what_keras_drew(recipe: str, name: str, tmp_path: Path) -> None:
    write(tmp_path / name, recipe)
    done = ganvas.import_weights(tmp_path / name, recipe=recipe, output=tmp_path / "out")
    generator = load(done.path)
    with torch.no_grad():
        found = generator.net(torch.from_numpy(formula.latents())).numpy()
    with np.load(HERE / "images.npz") as stored:
        expected = np.moveaxis(stored[recipe], 3, 1)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 2e-5 and expected.std() > 0.3


def test_older_files_without_a_model_around_are_read(tmp_path: Path) -> None:
    write_named(tmp_path / "a.h5", "genzoo-mnist", root="", end="")
    write(tmp_path / "b.h5", "genzoo-mnist")
    for name in ("a", "b"):
        ganvas.import_weights(
            tmp_path / f"{name}.h5", recipe="genzoo-mnist", output=tmp_path / name
        )
    one, two = (load(tmp_path / name).sample(3) for name in "ab")
    assert np.array_equal(one, two)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("recipe", ["firstgan-vanilla-mnist", "cs231n-dcgan"])
def test_a_state_dict_under_other_names(recipe: str, wrapped: bool, tmp_path: Path) -> None:
    run = ganvas.resolve(recipe)
    side = 64 if "firstgan-dcgan" in recipe else 28
    torch.manual_seed(3)
    net = run.model.generator((1, side, side), run.latent.dims)
    state = {f"main.layer-{key}": value for key, value in net.state_dict().items()}
    torch.save({"epoch": 3, "generator": state} if wrapped else state, tmp_path / "g.pth")
    ganvas.import_weights(tmp_path / "g.pth", recipe=recipe, output=tmp_path / "out")
    loaded = load(tmp_path / "out").net.state_dict()
    assert all(
        torch.equal(value, loaded[key])
        for key, value in net.state_dict().items()
        if "num_batches" not in key
    )


def test_the_card_says_where_it_comes_from(tmp_path: Path) -> None:
    import hashlib

    file = write(tmp_path / "gen_model.h5", "modelzoo-vanilla")
    ganvas.import_weights(file, recipe="modelzoo-vanilla", output=tmp_path / "out")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    card = card_of(load(tmp_path / "out"), tmp_path / "out")
    assert card.origin == f"weights imported from gen_model.h5, SHA-256 {digest}"
    assert (card.seed, card.data, card.length, card.changed) == (None, "", "", {})
    text = (tmp_path / "out/README.md").read_text()
    assert f"| origin | {card.origin} |" in text and str(tmp_path) not in text
    assert {"seed", "SHA-256 of the data"} <= {line.split(":")[0] for line in card.lacks()}


def test_the_command(tmp_path: Path, cli: Callable[..., Any]) -> None:
    write(tmp_path / "gen_model.h5", "modelzoo-vanilla")
    result = cli("import", "gen_model.h5", "--recipe", "modelzoo-vanilla")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "wrote modelzoo-vanilla-imported: the generator of modelzoo-vanilla, 1,489,936 parameters\n"
        "  images: ganvas sample modelzoo-vanilla-imported\n"
    )
    assert cli("sample", "modelzoo-vanilla-imported", "--num", 2).code == 0


# Refusals


def refused(file: Path, recipe: str, expected: str) -> None:
    before = sorted(file.parent.iterdir())
    with pytest.raises(UsageError, match=expected) as error:
        ganvas.import_weights(file, recipe=recipe, output=file.parent / "out")
    assert "\n" not in str(error.value)
    assert sorted(file.parent.iterdir()) == before


def changed(file: Path, change: Callable[[Any], None]) -> Path:
    write(file, "modelzoo-vanilla")
    with h5py.File(file, "r+") as opened:
        change(opened)
    return file


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: f.pop("layers"), "is no file of Keras: it has no layers"),
        (lambda f: f.pop("layers/dense_3"), "has too few layers dense"),
        (lambda f: f.copy("layers/dense", f, "layers/dense_9"), "a layer dense_9 too many"),
        (lambda f: f.copy("layers/dense", f, "layers/lstm"), "a layer lstm, which is not known"),
        (lambda f: f.pop("layers/dense/vars/1"), "its layer dense has no bias"),
        (lambda f: f.pop("layers/batch_normalization/vars/3"), "without scale or shift"),
        (
            lambda f: f.move("layers/dense_1", "layers/dense_7"),
            r"kernel of its layer dense_2 has shape \[512, 1024\].*\[512, 256\] in PyTorch",
        ),
    ],
)
def test_a_file_of_another_net_is_one_line(
    change: Callable[[Any], None], expected: str, tmp_path: Path
) -> None:
    refused(changed(tmp_path / "x.weights.h5", change), "modelzoo-vanilla", expected)


def test_a_bias_that_ours_lacks_is_not_dropped(tmp_path: Path) -> None:
    write(tmp_path / "x.weights.h5", "genzoo-mnist")
    with h5py.File(tmp_path / "x.weights.h5", "r+") as opened:
        opened["layers/conv2d_transpose_2/vars/1"] = np.zeros(1, np.float32)
    refused(tmp_path / "x.weights.h5", "genzoo-mnist", "has a bias, ours has none")


def test_another_recipe_is_one_line(tmp_path: Path) -> None:
    file = write(tmp_path / "x.h5", "genzoo-mnist")
    refused(file, "genzoo-cifar10", "'.*x.h5' is of another net: kernel of its layer")
    refused(file, "nonsense", "unknown recipe 'nonsense'")


def test_a_huge_array_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    def huge(file: Any) -> None:
        del file["layers/dense/vars/0"]
        file.create_dataset("layers/dense/vars/0", (10**7, 10**7), np.float32)  # not written out

    refused(changed(tmp_path / "x.weights.h5", huge), "modelzoo-vanilla", r"has shape \[10000000")


@pytest.mark.parametrize("name", ["x.h5", "x.keras", "x.pth"])
@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + b"\0" * 50, b"PK\3\4junk"])
def test_a_damaged_file_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "modelzoo-vanilla", "is damaged|or is damaged")


def test_a_cut_file_is_one_line(tmp_path: Path) -> None:
    for name in ("x.h5", "x.keras"):
        content = write(tmp_path / name, "modelzoo-vanilla").read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        refused(tmp_path / name, "modelzoo-vanilla", "is damaged")
        (tmp_path / name).unlink()


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was executed",))


@pytest.mark.parametrize("content", [Bomb(), {"a": Bomb()}, torch.nn.Linear(2, 2)])
def test_pickled_objects_are_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt", pickle_module=pickle)
    refused(tmp_path / "x.pt", "modelzoo-vanilla", "holds no state dict, or is damaged")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"a": 1}, "found none; save the generator's state dict alone"),
        ([torch.zeros(1)], "found none"),
        ({"G": {"w": torch.zeros(1)}, "D": {"w": torch.zeros(1)}}, "found several, G, D"),
        ({"w": torch.zeros(1)}, "it has 1 tensors, ours has 20"),
        ({str(i): torch.zeros(2) for i in range(20)}, r"its 0 has shape \[2\], ours has \[256"),
    ],
)
def test_a_state_dict_of_something_else_is_one_line(
    content: Any, expected: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "x.pt")
    refused(tmp_path / "x.pt", "modelzoo-vanilla", expected)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    def spoil(file: Any) -> None:
        file["layers/dense/vars/1"][0] = np.nan

    refused(changed(tmp_path / "x.weights.h5", spoil), "modelzoo-vanilla", "not finite")


def test_other_files_and_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"x")
    refused(tmp_path / "x.bin", "modelzoo-vanilla", r"allowed: .h5, .keras, .pt, .pth")
    refused(tmp_path / "none.h5", "modelzoo-vanilla", "does not exist")
    with pytest.raises(UsageError, match="--output: .* not empty"):
        ganvas.import_weights(tmp_path / "x.bin", recipe="modelzoo-vanilla", output=tmp_path)


def test_missing_h5py_comes_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(HERE / "small.h5", tmp_path / "x.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(tmp_path / "x.h5", "modelzoo-vanilla", r"pip install 'ganvas\[keras\]'")


def test_the_saved_folder_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", "modelzoo-vanilla")
    ganvas.import_weights(tmp_path / "x.h5", recipe="modelzoo-vanilla", output=tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json", "model.safetensors", "README.md"
    }  # fmt: skip
    assert json.loads((tmp_path / "out/config.json").read_text())["recipe"] == "modelzoo-vanilla"
