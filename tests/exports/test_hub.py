"""Hub folders: their front matter, that they load, that they are whole or not there."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml as pyyaml
from PIL import Image
from safetensors.torch import save_file

import ganvas
from ganvas import compact
from ganvas.errors import RunError, UsageError
from ganvas.exports.hub import front_matter, yaml
from ganvas.exports.source import open_source
from ganvas.generator import card_of, load

FILES = {
    "README.md", "config.json", "model.safetensors", "model.onnx", "page.html", "samples.png"
}  # fmt: skip
ROW = {
    "metric": "fd50",
    "values": {"distance": 12.3456, "nothing": None},
    "intervals": {"distance": [11, 14.5]},
    "floor": {"distance": 1.25},
    "num_fake": 50,
    "num_reference": 60,
    "data": "npz /home/me/tiny.npz",
    "split": "train",
    "fingerprint": "abcdef" * 10,
    "extractor": "pixels",
    "extractor_sha256": "123456" * 10,
    "resize": "none",
    "seed": 3,
    "images": 192,
}


@pytest.fixture(scope="module")
def run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a row of metrics."""
    folder = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("hub") / "run"))
    (folder / "metrics.jsonl").write_text(json.dumps(ROW) + "\n")
    return folder


@pytest.fixture(scope="module")
def hub(run: Path) -> Path:
    """Its hub folder; tests only read it."""
    folder = run.parent / "out"
    ganvas.export(run, to="hub", output=folder, license="cc-by-4.0")
    return folder


# What is in it


def test_it_has_everything(hub: Path) -> None:
    assert {path.name for path in hub.iterdir()} == FILES
    assert hub.stat().st_mode & 0o777 == 0o755
    with Image.open(hub / "samples.png") as picture:
        assert picture.width == picture.height > 250


def test_it_loads_as_the_same_generator(run: Path, hub: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(hub, tmp_path / "elsewhere"))
    assert np.array_equal(load(alone).sample(9, seed=5), load(run).sample(9, seed=5))
    assert (load(alone).recipe, load(alone).images_seen) == ("tiny", 192)


def test_its_card_is_the_sources(run: Path, hub: Path) -> None:
    found, expected = card_of(load(hub), hub), open_source(run, "cc-by-4.0").card
    assert found.rows[0]["data"] == "npz tiny.npz"
    assert found.text() == expected.text()
    assert found.text() in (hub / "README.md").read_text()


def test_a_hub_folder_can_be_exported_again(hub: Path, tmp_path: Path) -> None:
    ganvas.export(hub, to="hub", output=tmp_path / "again")
    for name in ("README.md", "config.json", "model.safetensors", "page.html"):
        assert (tmp_path / "again" / name).read_bytes() == (hub / name).read_bytes(), name


def test_it_says_nothing_of_the_users_folders(hub: Path, run: Path) -> None:
    for path in hub.iterdir():
        content = path.read_bytes()
        assert b"/home/me" not in content and str(run.parent).encode() not in content, path


def test_each_file_is_in_the_readme_with_its_check(hub: Path) -> None:
    text = (hub / "README.md").read_text()
    assert all(f"| `{name}` | " in text for name in FILES - {"README.md"})
    assert "by onnxruntime, batches 1, 2, 7" in text and "/255, 16 latents" in text


def test_classes_and_packed_weights_come_along(labelled_generator: Path, tmp_path: Path) -> None:
    generator, packed = load(labelled_generator), tmp_path / "packed"
    shutil.copytree(labelled_generator, packed)
    tensors = compact.pack(generator.net, "int8")
    save_file(tensors, packed / "model.safetensors", {compact.FORM: "int8", "images_seen": "5"})
    ganvas.export(packed, to="hub", output=tmp_path / "out")
    found, source = load(tmp_path / "out"), load(packed)
    assert found.classes == generator.classes
    labels = [0, 1, 2, 3, 4]
    assert np.array_equal(found.sample(5, labels=labels), source.sample(5, labels=labels))
    content = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert content == (packed / "model.safetensors").read_bytes()
    text = (tmp_path / "out" / "README.md").read_text()
    assert "class-conditional" in pyyaml.safe_load(text.split("---\n")[1])["tags"]
    assert "| classes | 5: T-shirt/top, Trouser," in text


# Front matter


def parsed(hub: Path) -> dict[str, Any]:
    _, matter, rest = (hub / "README.md").read_text().split("---\n", 2)
    assert rest.startswith("\n# tiny\n")
    found: dict[str, Any] = pyyaml.safe_load(matter)
    return found


def test_the_front_matter_is_what_the_hub_reads(run: Path, hub: Path) -> None:
    found = parsed(hub)
    assert found == front_matter(open_source(run, "cc-by-4.0"))
    assert found["license"] == "cc-by-4.0"
    assert found["library_name"] == "ganvas"
    assert found["pipeline_tag"] == "unconditional-image-generation"
    assert found["metrics"] == ["fd50"] and "gan" in found["tags"]
    assert "datasets" not in found, "a file of one's own has no name on the hub"


def test_each_number_has_its_protocol(hub: Path) -> None:
    (model,) = parsed(hub)["model-index"]
    (result,) = model["results"]
    assert model["name"] == "tiny"
    assert result["task"]["type"] == "unconditional-image-generation"
    assert result["dataset"] == {"type": "npz tiny.npz", "name": "npz tiny.npz", "split": "train"}
    (metric,) = result["metrics"]
    assert (metric["type"], metric["name"], metric["value"]) == ("fd50", "fd50 distance", 12.3456)
    assert metric["args"]["interval"] == [11, 14.5] and metric["args"]["real_images"] == 1.25
    assert metric["args"]["protocol"].startswith("50 fakes against 60 images of npz tiny.npz train")


def test_known_data_sets_have_their_names_on_the_hub(untrained: Callable[[str], Path]) -> None:
    found = front_matter(open_source(untrained("genzoo-cifar10")))
    assert found["datasets"] == ["uoft-cs/cifar10"]
    assert not {"license", "metrics", "model-index"} & found.keys(), "what there is none of"


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": "x: y # z", "c": [1.5, "d"], "e": {"f": {"g": None}}, "h": []},
        {"list": [{"a": {"b": 1}, "c": [{"d": 2}, {"d": 3}]}, {"a": 4}]},
        {"quote": 'he said "no"', "new": "line\nand tab\t", "other": "ü 🎨", "with-dash": "- x"},
        {"a": "no", "b": "null", "c": "1e3", "d": True, "e": "true", "f": "~"},
    ],
)
def test_yaml_reads_back(value: dict[str, Any]) -> None:
    assert pyyaml.safe_load(yaml(value)) == value


# Refusals


def test_a_folder_with_something_in_it_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for path in (tmp_path, tmp_path / "mine"):
        with pytest.raises(UsageError, match="--output: .* is there and not empty"):
            ganvas.export(run, to="hub", output=path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_full_disk_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganvas.exports import hub as module

    written = []

    def full(path: Path, content: bytes) -> None:
        if len(written) == 3:
            raise RunError("cannot write: the disk is full") from OSError(errno.ENOSPC, "full")
        written.append(path)
        path.write_bytes(content)

    monkeypatch.setattr(module, "write_file", full)
    with pytest.raises(RunError, match="the disk is full"):
        ganvas.export(run, to="hub", output=tmp_path / "out")
    assert written and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["MIT!", "", "two words", "a\nb"])
def test_a_licence_is_a_name(name: str, run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--license: found"):
        ganvas.export(run, to="hub", output=tmp_path / "out", license=name)
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_the_card_lacks(
    run: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    result = cli("export", run, "--to", "hub")
    assert (result.code, result.err) == (0, "")
    first, *others = result.out.splitlines()
    assert first.startswith("wrote tiny-hub (0.1 MB); model.onnx: largest difference")
    assert [line.split(":")[0] for line in others] == [
        "  the card lacks licence", "  the card lacks memorisation", "  the card lacks duplicates"
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "tiny-hub").iterdir()} == FILES
