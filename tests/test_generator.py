"""Images from a trained generator: which, in what files, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import ganvas
from ganvas import config
from ganvas.batch import Latents
from ganvas.drawing import GROUP, draw_sheet, with_standing_statistics
from ganvas.errors import UsageError
from ganvas.generator import load


@pytest.fixture
def generator(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of a saved generator, to be damaged."""
    return Path(shutil.copytree(tiny_run / "generator", tmp_path / "saved"))


# Which images


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated-normal"])
def test_a_seed_is_one_endless_row_of_images(name: str, tiny_run: Path) -> None:
    latent = config.component("latent", {"name": name, "dims": 4})
    source = dataclasses.replace(load(tiny_run), latent=latent)
    many = source.sample(2 * GROUP + 9, seed=5)
    assert many.shape == (2 * GROUP + 9, 1, 8, 8) and many.dtype == np.uint8
    for num in (1, 2, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP):
        assert np.array_equal(source.sample(num, seed=5), many[:num])
    assert not np.array_equal(source.sample(4, seed=6), many[:4])
    assert len(np.unique(many, axis=0)) == len(many)


def test_images_come_from_the_saved_weights(tiny_run: Path) -> None:
    """Against the net run by hand on the seed's first latents."""
    from ganvas.seeds import stream

    source = load(tiny_run)
    net = source.model.generator(source.shape, source.latent.dims)
    net.load_state_dict(load_file(tiny_run / "generator" / "model.safetensors"))
    rng = torch.Generator().manual_seed(stream(0, "sample"))
    latents = source.latent.sample(GROUP, rng)
    with torch.no_grad():
        images = net.eval()(latents)
    expected = ((images[:3] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    assert np.array_equal(source.sample(3), expected)


def test_a_run_and_its_generator_are_the_same_source(tiny_run: Path, generator: Path) -> None:
    one, two = load(tiny_run), load(generator)
    assert np.array_equal(one.sample(5), two.sample(5))
    assert (one.recipe, one.images_seen, one.shape) == ("tiny", 192, (1, 8, 8))
    assert (two.recipe, two.images_seen, two.shape) == ("tiny", 192, (1, 8, 8))


def test_sampling_leaves_the_global_stream_alone(tiny_run: Path) -> None:
    before = torch.get_rng_state()
    load(tiny_run).sample(3)
    load(tiny_run).walk(5)
    assert torch.equal(before, torch.get_rng_state())


def test_a_walk_goes_round(tiny_run: Path) -> None:
    source = load(tiny_run)
    frames = source.walk(frames=40, stops=4, seed=2)
    assert frames.shape == (40, 1, 8, 8) and frames.dtype == np.uint8
    assert np.array_equal(frames, source.walk(frames=40, stops=4, seed=2))
    assert not np.array_equal(frames, source.walk(frames=40, stops=4, seed=3))
    steps = np.abs(np.diff(frames.astype(int), axis=0, append=frames[:1].astype(int)))
    far = np.abs(frames[10].astype(int) - frames[0].astype(int)).mean()
    assert steps.mean((1, 2, 3)).max() < max(far, 2), "it jumps, or does not come back"


def test_a_walk_stops_at_latents_of_its_seed(tiny_run: Path) -> None:
    from ganvas.seeds import stream

    source = load(tiny_run)
    points = source.latent.sample(4, torch.Generator().manual_seed(stream(2, "walk")))
    frames = source.walk(frames=40, stops=4, seed=2)
    assert np.array_equal(frames[::10], source(points))


def test_a_walk_needs_a_frame_for_each_stop(tiny_run: Path) -> None:
    with pytest.raises(UsageError, match="3 frames for 5 stops"):
        load(tiny_run).walk(frames=3)


# Sample sheets of nets that always used batch statistics


def small_net() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 64), torch.nn.BatchNorm1d(64), torch.nn.Sigmoid(), ToPicture()
    )


class ToPicture(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, 1, 8, 8)


@pytest.mark.parametrize("mode", ["inference", "batch"])
def test_sheets_use_the_statistics_that_the_model_asks_for(mode: str) -> None:
    class Model:
        value_range = (0.0, 1.0)
        sample_mode = mode

    net, z = small_net(), torch.randn(6, 4)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    made: Any = draw_sheet(net, Latents(z), Model)  # type: ignore[arg-type]
    h = z @ before["0.weight"].T + before["0.bias"]
    if mode == "batch":
        h = (h - h.mean(0)) / torch.sqrt(h.var(0, unbiased=False) + 1e-5)
    else:
        h = h / (1 + 1e-5) ** 0.5
    expected = (torch.sigmoid(h) * 255).round().reshape(6, 1, 8, 8).numpy()
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert net.training and net[1].track_running_stats


def test_standing_statistics_are_those_of_the_latents() -> None:
    from ganvas.latents import Normal

    net = small_net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    standing = with_standing_statistics(net, Normal(dims=4), groups=200)
    weight, bias = before["0.weight"], before["0.bias"]
    # h = W z + b with z standard normal: mean b, variance the sum of W's squares
    torch.testing.assert_close(standing[1].running_mean, bias, atol=0.04, rtol=0)
    torch.testing.assert_close(standing[1].running_var, (weight**2).sum(1), atol=0, rtol=0.1)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


# Files


def test_a_grid_holds_the_images(tiny_run: Path, tmp_path: Path) -> None:
    made = ganvas.sample(tiny_run, num=5, seed=1, grid=tmp_path / "g.png")
    assert np.array_equal(made, load(tiny_run).sample(5, seed=1))
    with Image.open(tmp_path / "g.png") as picture:
        pixels = np.asarray(picture)
    scale = pixels.shape[0] // (2 + 2 * 10)  # two rows of three, 8 pixels and a gap of 2
    assert pixels.shape == (22 * scale, 32 * scale)
    sheet = pixels[::scale, ::scale]
    for i, image in enumerate(made):
        top, left = 2 + 10 * (i // 3), 2 + 10 * (i % 3)
        assert np.array_equal(sheet[top : top + 8, left : left + 8], image[0])


def test_a_folder_holds_one_picture_an_image(tiny_run: Path, tmp_path: Path) -> None:
    made = ganvas.sample(tiny_run, num=11, folder=tmp_path / "new" / "pictures")
    files = sorted((tmp_path / "new" / "pictures").iterdir())
    assert [file.name for file in files] == [f"{i:02d}.png" for i in range(11)]
    for file, image in zip(files, made, strict=True):
        with Image.open(file) as picture:
            assert np.array_equal(np.asarray(picture), image[0])


def test_an_npz_reads_back_and_can_be_trained_on(tiny_run: Path, tmp_path: Path) -> None:
    made = ganvas.sample(tiny_run, num=4, npz=tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        assert arrays.files == ["images"]
        assert np.array_equal(arrays["images"], made[:, 0])
    dataset = ganvas.data.open_dataset(tmp_path / "x.npz")
    assert np.array_equal(dataset.load("train", None).images, made)


def test_a_walk_is_a_gif_of_60_frames(tiny_run: Path, tmp_path: Path) -> None:
    ganvas.sample(tiny_run, num=1, walk=tmp_path / "w.gif")
    durations = []
    with Image.open(tmp_path / "w.gif") as picture:
        assert picture.info["loop"] == 0
        for i in range(picture.n_frames):
            picture.seek(i)
            durations.append(picture.info["duration"])
    assert sum(durations) == 60 * 80  # equal frames in a row may be one that stays longer


def test_the_command_writes_what_the_function_writes(
    tiny_run: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    ganvas.sample(
        tiny_run,
        num=3,
        seed=9,
        grid=tmp_path / "a.png",
        folder=tmp_path / "a",
        npz=tmp_path / "a.npz",
        walk=tmp_path / "a.gif",
    )
    result = cli(
        "sample", tiny_run, "--num", 3, "--seed", 9,
        "--grid", "b.png", "--folder", "b", "--npz", "b.npz", "--walk", "b.gif",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert result.out == "wrote b.png, b, b.npz, b.gif\n"
    for name in ("{}.png", "{}.gif", "{}/0.png", "{}/1.png", "{}/2.png"):
        one, two = tmp_path / name.format("a"), tmp_path / name.format("b")
        assert one.read_bytes() == two.read_bytes(), name
    assert np.array_equal(np.load(tmp_path / "a.npz")["images"], np.load("b.npz")["images"])


def test_without_a_file_name_the_command_makes_a_grid(
    tiny_run: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    assert cli("sample", tiny_run).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["samples.png"]


# Refusals


def test_a_folder_with_something_in_it_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UsageError, match="--folder: .* is not empty"):
        ganvas.sample(tiny_run, folder=tmp_path)
    with pytest.raises(UsageError, match="--folder"):
        ganvas.sample(tiny_run, folder=tmp_path / "x")
    assert (tmp_path / "x").read_text() == "mine"


@pytest.mark.parametrize("num", [0, -3])
def test_at_least_one_image(num: int, tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"--num: found {num}"):
        ganvas.sample(tiny_run, num=num, grid=tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num", [10**12, 2**63, 10**400])
def test_more_images_than_memory_has_room_for_are_refused(
    num: int, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="allowed: 1 to 67,108,864, which take 4 GiB"):
        ganvas.sample(tiny_run, num=num)
    source = load(tiny_run)
    assert len(next(source.batches(10**12))) == GROUP  # one after another there is no limit
    monkeypatch.setattr("ganvas.generator.MAX_BYTES", 64 * 3)
    assert len(source.sample(3)) == 3
    with pytest.raises(UsageError, match="--num: found 4; allowed: 1 to 3"):
        source.sample(4)


def test_a_slope_that_no_net_can_take_is_one_line(
    train_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    folder = train_tiny(
        tmp_path / "run",
        **{
            "model.name": "genzoo-mnist",
            "preprocess.image_size": 8,
            "train.length": "16 images",
        },
    ).folder
    file = folder / "generator" / "config.json"
    values = json.loads(file.read_text())
    values["model"]["slope"] = 1e308
    file.write_text(json.dumps(values))
    with pytest.raises(UsageError, match="cannot make an image|not finite") as error:
        load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["nowhere", "empty"])
def test_no_generator(what: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        UsageError, match="allowed: a run folder, a saved generator, a pretrained one or hf:"
    ):
        load(tmp_path / what)


def settings(**changes: Any) -> Callable[[Path], None]:
    """A config.json with changes; a setting that becomes None is left out."""

    def change(folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text()) | changes
        text = json.dumps({key: value for key, value in values.items() if value is not None})
        (folder / "config.json").write_text(text)

    return change


def number(key: str, text: str) -> Callable[[Path], None]:
    """A config.json in which a setting is this text, which Python would not write."""

    def change(folder: Path) -> None:
        settings(**{key: "here"})(folder)
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(config.replace('"here"', text))

    return change


def tensors(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return apply


def put(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was executed",))


CONFIG, WEIGHTS = "config.json", "model.safetensors"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (put(CONFIG, b""), "config.json' is damaged"),
        (put(CONFIG, b"[]"), "config.json' is damaged"),
        (put(CONFIG, b"\xff\xfe"), "config.json' is damaged"),
        (settings(model=None), "config.json' is damaged: it lacks 'model'"),
        (settings(model={"name": "nonsense"}), "unknown model 'nonsense'"),
        (settings(model={"name": "quickstart", "x": 1}), "unknown setting 'model.x'"),
        (settings(model={}), "config.json' is damaged"),
        (settings(latent={"name": "normal", "dims": -1}), "latent.dims: found -1"),
        (settings(shape=[1, 8]), "config.json' is damaged"),
        (settings(shape=[1, 0, 8]), "config.json' is damaged"),
        (settings(shape=[1, -8, 8]), "config.json' is damaged"),
        (settings(shape=[1, 10**15, 8]), "config.json' is damaged|does not fit"),
        (settings(format=99), "format 99"),
        (number("shape", "[1e999, 8, 8]"), "shape: found inf"),
        (number("shape", "[1, 8, " + "9" * 5000 + "]"), "Exceeds the limit .4300 digits"),
        (number("shape", "[1, 8, " + "9" * 400 + "]"), "shape: found 9"),
        (number("format", "1e999"), "format inf"),
        (number("num_classes", "1e999"), "num_classes: found inf"),
        (settings(num_classes=2**63), "num_classes: found 9"),
        (settings(num_classes=True), "num_classes: found True"),
        (settings(num_classes=2**30), "num_classes: found 1073741824; allowed: 1048576 at most"),
        (settings(num_classes=3), "cannot make an image"),
        (settings(classes=["a", 3]), "classes: found \\['a', 3\\]; a list of names is expected"),
        (settings(classes="abc"), "classes: found 'abc'"),
        (settings(classes=["a", "b"], class_counts=[1]), "class_counts: found \\[1\\]; a number"),
        (settings(classes=["a", "b"], class_counts=[1, -1]), "class_counts: found -1"),
        (settings(classes=["a"], class_counts=[0]), "class_counts: found 0 images of each"),
        (settings(shape=[True, 8, 8]), "shape: found True"),
        (settings(shape=["1", "8", "8"]), "shape: found '1'"),
        (settings(latent={"name": "normal", "dims": 2**63}), "config.json' is damaged: "),
        (settings(latent={"name": "normal", "dims": 2**62}), "config.json' is damaged: "),
        (settings(model={"name": "quickstart", "width": 2**63}), "config.json' is damaged: "),
        (number("model", '{"name": "quickstart", "width": 1e999}'), "model.width: found inf"),
        (settings(latent={"name": "uniform", "dims": 4, "low": -1e308}), "cannot make|not finite"),
        (put(CONFIG, b"[" * 100_000), "config.json' is damaged: maximum recursion"),
        (tensors(lambda w: w.update({"0.bias": torch.full((16,), math.nan)})), "0.bias holds NaN"),
        (tensors(lambda w: w["0.weight"][3].fill_(math.inf)), "0.weight holds NaN or infinite"),
        (settings(shape=[1, 8, 12]), "does not fit its config.json"),
        (settings(latent={"name": "normal", "dims": 5}), "does not fit its config.json"),
        (settings(model={"name": "cs231n-dense"}), "does not fit its config.json"),
        (put(WEIGHTS, b""), "model.safetensors' is damaged"),
        (put(WEIGHTS, b"\xff" * 64), "model.safetensors' is damaged"),
        (put(WEIGHTS, pickle.dumps(Bomb())), "model.safetensors' is damaged"),
        (tensors(lambda w: w.update(more=torch.zeros(1))), "more has shape"),
        (tensors(lambda w: w.__delitem__("0.bias")), "0.bias has shape none"),
        (tensors(lambda w: w.update({"0.bias": torch.zeros(16).double()})), "0.bias is of type"),
        (lambda folder: (folder / WEIGHTS).unlink(), "holds no generator"),
        (lambda folder: (folder / CONFIG).unlink(), "holds no generator"),
    ],
)
def test_a_damaged_or_foreign_generator_is_one_line(
    damage: Callable[[Path], None], expected: str, generator: Path
) -> None:
    damage(generator)
    with pytest.raises(UsageError, match=expected) as error:
        load(generator)
    assert "\n" not in str(error.value)


def test_a_truncated_generator_is_one_line(generator: Path) -> None:
    weights = (generator / WEIGHTS).read_bytes()
    for length in (4, 100, len(weights) // 2, len(weights) - 1):
        (generator / WEIGHTS).write_bytes(weights[:length])
        with pytest.raises(UsageError, match="model.safetensors' is damaged"):
            load(generator)


def test_a_zip_pickle_in_place_of_safetensors_is_refused(generator: Path) -> None:
    torch.save({"a": torch.zeros(1)}, generator / WEIGHTS)
    with pytest.raises(UsageError, match="is damaged"):
        load(generator)
