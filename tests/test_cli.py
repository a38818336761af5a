"""The command line: help, what it prints, and one line for every kind of bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ganvas
from ganvas import config
from ganvas.images import write_png

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_data_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    """No data files on this machine, an empty cache, and no mirror that answers."""
    import requests

    def refuse(*_: Any, **__: Any) -> Any:
        raise requests.ConnectionError("no network in tests")

    empty = tmp_path_factory.mktemp("nothing")
    monkeypatch.setenv("GANVAS_DATA", str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty))
    monkeypatch.setattr("ganvas.data.download.user_cache", lambda: empty / "cache")
    monkeypatch.setattr(requests.Session, "request", refuse)


def one_line(result: Any, code: int = 2) -> str:
    """The one line of an error, without a traceback."""
    assert result.code == code, result
    assert len(result.err.splitlines()) == 1, result.err
    assert result.err.startswith("ganvas: ")
    assert "Traceback" not in result.err and "ganvas: unexpected" not in result.err
    return str(result.err)


# Help


@pytest.mark.parametrize(
    "command", [(), ("train",), ("sample",), ("compare",), ("list",), ("show",), ("data",)]
)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(command: tuple[str, ...], flag: str, cli: Cli) -> None:
    result = cli(*command, flag)
    assert (result.code, result.err) == (0, "")
    assert "Usage: ganvas" in result.out and len(result.out.splitlines()) > 5


@pytest.mark.parametrize("command", [(), ("data",)])
def test_without_a_command_there_is_help(command: tuple[str, ...], cli: Cli) -> None:
    result = cli(*command)
    text = result.out + result.err
    assert "Usage: ganvas" in text
    assert len(text.splitlines()) > 5, "help is many lines, not one"


def test_every_option_of_train_says_what_it_is(cli: Cli) -> None:
    text = cli("train", "--help").out
    for option in (
        "--data", "--epochs", "--images", "--batch-size", "--learning-rate", "--beta-1",
        "--encoding-dims", "--image-size", "--seed", "--device", "--evaluate", "--every",
        "--set", "--skip-broken", "--data-root", "--outdir", "--resume", "--dry-run",
    ):  # fmt: skip
        (line,) = [line for line in text.splitlines() if line.strip().startswith(option + " ")]
        assert len(line.split()) > 3, line


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    assert cli("--version") == (0, f"ganvas {ganvas.__version__}\n", "")


def test_help_of_one_command_does_not_run_it(cli: Cli, tmp_path: Path) -> None:
    for command in (("train",), ("sample",), ("data", "inspect")):
        text = cli(*command, "--help").out
        assert "--json" in text and "Raises" not in text and "Args" not in text
    assert not list(tmp_path.iterdir())


def test_python_m_ganvas_is_the_same_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ganvas", "train", "nonsense"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("ganvas: unknown recipe 'nonsense'")


# Bad input: one line, an exit code, nothing written


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["train", "modelzoo-vanila"], ["unknown recipe 'modelzoo-vanila'", "modelzoo-vanilla"]),
        (["train", "nowhere.toml"], ["'nowhere.toml' does not exist"]),
        (["train", "--batchsize", "3"], ["--batchsize", "--batch-size"]),
        (["train", "--nonsense"], ["--nonsense"]),
        (["tran"], ["tran", "train"]),
        (["train", "--epochs", "many"], ["--epochs: found 'many'; allowed: a whole number"]),
        (["train", "--learning_rate=x"], ["--learning_rate: found 'x'; allowed: a number"]),
        (["train", "--epochs"], ["--epochs"]),
        (["train", "a", "b"], ["b"]),
        (["train", "--epochs", "0"], ["train.length: found '0 epochs'", "from 1", "'60 epochs'"]),
        (["train", "--epochs", "1", "--images", "9"], ["--epochs and --images", "one of them"]),
        (
            ["train", "--epochs", "1", "--set", "train.length=9 images"],
            ["--epochs and --set train.length", "one of them"],
        ),
        (
            ["train", "--batch-size", "1", "--set", "train.batch_size=9"],
            ["--batch-size and --set train.batch_size", "one of them"],
        ),
        (["train", "--set", "train.epochs=1"], ["'train.epochs'", "train.length='1 epochs'"]),
        (["train", "--set", "train.images=9"], ["'train.images'", "train.length='9 images'"]),
        (["train", "--epochs", "1", "--minutes", "9"], ["--epochs and --minutes", "one of them"]),
        (["train", "--minutes", "0"], ["train.length: found '0.0 minutes'", "above 0"]),
        (["train", "--learning-rate", "nan"], ["learning_rate: found nan", "finite"]),
        (["train", "--beta-1", "1.0"], ["beta_1: found 1.0", "less than 1"]),
        (["train", "--seed", "-1"], ["seed: found -1", "0 to 2^63 - 1"]),
        (["train", "--device", "toaster"], ["--device: found 'toaster'", "cpu"]),
        (["train", "--image-size", "big"], ["preprocess.image_size: found 'big'"]),
        (["train", "--set", "loss.nmae=x"], ["unknown setting 'loss.nmae'"]),
        (["train", "--set", "optim.generator.lr=1"], ["unknown setting 'optim.generator.lr'"]),
        (["train", "--set", "lss.name=x"], ["unknown section 'lss'", "loss"]),
        (["train", "--set", "loss.name=xyz"], ["unknown loss 'xyz'", "least-squares"]),
        (["train", "--set", "seed"], ["--set: found 'seed'", "section.setting=value"]),
        (["train", "--set", "train.order=random"], ["train.order: found 'random'", "shuffled"]),
        (["train", "--data", "minst"], ["--data: found 'minst'", "mnist"]),
        (["train", "--data", "nowhere.npz"], ["--data: 'nowhere.npz' does not exist"]),
        (["train", "--skip-broken"], ["unknown setting 'data.skip_broken'"]),
        (["train", "--data-root", "nowhere", "modelzoo-vanilla"], ["--data-root: 'nowhere'"]),
        (["train", "--encoding-dims", "0"], ["latent.dims: found 0"]),
        (["sample"], ["what"]),
        (["sample", "nowhere"], ["'nowhere' does not exist"]),
        (["sample", "."], ["holds no generator"]),
        (["sample", ".", "--grid", "a.jpg"], ["--grid: found 'a.jpg'", ".png"]),
        (["sample", ".", "--walk", "a.mp4"], ["--walk: found 'a.mp4'", ".gif"]),
        (["sample", ".", "--npz", "a.npy"], ["--npz: found 'a.npy'", ".npz"]),
        (["list", "losess"], ["unknown family 'losess'", "losses"]),
        (["show", "modelzoo"], None),
        (["show", "nonsense-here"], ["unknown name 'nonsense-here'"]),
        (["show", "nowhere.toml"], ["'nowhere.toml' does not exist"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input(arguments: list[str], parts: list[str] | None, cli: Cli, tmp_path: Path) -> None:
    result = cli(*arguments)
    if parts is None:
        assert result.code == 0
    else:
        line = one_line(result)
        for part in parts:
            assert part in line
    assert not list(tmp_path.iterdir()), "something was written"


def test_missing_data_says_where_it_looked_and_what_to_do(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    line = one_line(cli("train", "modelzoo-vanilla", "--data-root", "mine"), code=1)
    assert "train-images-idx3-ubyte.gz" in line
    for place in ("mine/mnist", os.environ["GANVAS_DATA"]):
        assert place in line
    assert "ganvas data fetch mnist" in line and "GANVAS_DATA" in line
    assert not (tmp_path / "runs").exists()


def test_a_corrupt_data_file_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bnonsense")
    line = one_line(cli("train", "modelzoo-vanilla", "--data-root", "."))
    assert "mnist/train-images-idx3-ubyte.gz" in line and "not the published file" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arrays", "arguments", "parts"),
    [
        ({"pictures": np.zeros((9, 8, 8), np.uint8)}, [], ["arrays pictures", "images"]),
        ({"images": np.zeros((9, 8, 8), np.int64)}, [], ["int64", "uint8"]),
        ({"images": np.zeros((1, 8, 8), np.uint8)}, [], ["too little data: found 1 images"]),
        (
            {"images": np.zeros((9, 8, 8), np.uint8)},
            ["--batch-size", "10"],
            ["too little data: 9 images", "--batch-size to 9 or less"],
        ),
        (
            {"images": np.zeros((99, 8, 8), np.uint8)},
            ["--set", "model.name=cs231n-dcgan"],
            ["cannot take 8x8 images", "--image-size"],
        ),
    ],
    ids=["no images", "wrong type", "one image", "less than a batch", "small images"],
)
def test_unusable_data(
    arrays: dict[str, Any], arguments: list[str], parts: list[str], cli: Cli, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    line = one_line(cli("train", "--data", "x.npz", *arguments))
    for part in parts:
        assert part in line
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense" * 9])
def test_a_broken_npz(content: bytes, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    assert "x.npz' is not usable" in one_line(cli("train", "--data", "x.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_an_outdir_that_holds_a_run(tiny_run: Path, cli: Cli) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}
    line = one_line(cli("train", tiny_run / "config.toml", "--outdir", tiny_run))
    assert "holds a run already" in line and "--resume" in line
    assert before == {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}


def test_an_outdir_that_cannot_be_written(tiny_run: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    line = one_line(cli("train", tiny_run / "config.toml", "--outdir", "file/run"), code=1)
    assert "cannot write 'file/run'" in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_an_outdir_without_permission(tiny_run: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    line = one_line(cli("train", tiny_run / "config.toml", "--outdir", "locked/run"), code=1)
    assert "not writable" in line


def test_sample_into_a_file_that_cannot_be_written(
    tiny_run: Path, cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    line = one_line(cli("sample", tiny_run, "--grid", "file/x.png"), code=1)
    assert "cannot write 'file/x.png'" in line


def test_a_bug_is_one_line_too_and_debug_shows_where(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str, **_: Any) -> Any:
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr("ganvas.verbs.show.show", broken)  # found on use
    result = cli("show", "modelzoo")
    assert result.code == 1
    assert result.err.startswith("ganvas: unexpected ZeroDivisionError: oh no")
    assert len(result.err.splitlines()) == 1
    debugged = cli("--debug", "show", "modelzoo")
    assert debugged.code == 1 and "Traceback" in debugged.err


def test_a_device_that_is_not_there_is_told_those_that_are(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    line = one_line(cli("train", "--device", "toaster"))
    assert line.endswith("which this machine does not have; allowed: auto, cpu\n")
    there = torch.device("mps")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: there)
    assert one_line(cli("train", "--device", "toaster")).endswith("allowed: auto, cpu, mps\n")


def test_names_from_elsewhere_cannot_move_the_cursor(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("one\x1b[31m", "two\x07"):
        for i in range(3):
            write_png(
                tmp_path / "mine" / name / f"{i}.png", rng.integers(0, 256, (1, 9, 9), np.uint8)
            )
    result = cli("data", "inspect", "mine")
    assert "one\\x1b[31m: 3" in result.out and "two\\x07: 3" in result.out
    errors = (cli("sample", "no\x1b[31mwhere"), cli("show", "\x1b]0;title\x07.toml"))
    for text in (result.out, *(one_line(error) for error in errors)):
        assert text.replace("\n", "").isprintable()


def test_a_name_that_is_not_utf8(cli: Cli, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    assert "'\\xff\\xfe' does not exist" in one_line(cli("sample", name))


def test_a_very_long_name_leaves_a_line_that_can_be_read(cli: Cli) -> None:
    line = one_line(cli("show", "x" * 5_000))
    assert len(line) < 2_100 and line.startswith("ganvas: unknown name 'xxx") and " … " in line


# Data


def test_data_show(cli: Cli) -> None:
    found = json.loads(cli("data", "show", "mnist", "--json").out)
    assert found["shape"] == [1, 28, 28] and found["status"] == "missing"
    assert len(found["files"]) == 4 and len(found["files"][0]["sha256"]) == 64
    assert "modelzoo-vanilla" in found["recipes"] and "quickstart" not in found["recipes"]
    text = cli("data", "show", "mnist").out
    assert "28x28, 1 channel" in text and text.endswith("fetch it: ganvas data fetch mnist\n")
    text = cli("data", "show", "alphabet").out
    assert "size" in text and "settings" in text and "fetch it" not in text
    assert "path" in cli("data", "show", "folder").out
    assert "did you mean mnist" in one_line(cli("data", "show", "minst"))
    assert ganvas.data.show("digits")["num_images"] == 1797


# Train


def test_the_model_zoos_command_line(cli: Cli, tmp_path: Path) -> None:
    """Its documented spelling, with its recipe in front."""
    result = cli(
        "train", "modelzoo-vanilla", "--epochs=1", "--learning_rate=0.0001", "--beta_1=0.4",
        "--batch_size=32", "--encoding_dims=64", "--outdir", "DIR", "--dry-run",
    )  # fmt: skip
    assert result.code == 0
    assert result.err.startswith("note: mnist is not all there (train-images-idx3-ubyte.gz")
    (tmp_path / "x.toml").write_text(result.out)
    run = config.load(tmp_path / "x.toml")
    base = config.build(config.read_recipe("modelzoo-vanilla").tables)
    assert config.diff(base, run) == [
        "latent.dims: 100 -> 64",
        "optim.discriminator.beta_1: 0.5 -> 0.4",
        "optim.discriminator.learning_rate: 0.0002 -> 0.0001",
        "optim.generator.beta_1: 0.5 -> 0.4",
        "optim.generator.learning_rate: 0.0002 -> 0.0001",
        "train.batch_size: 128 -> 32",
        "train.length: 50 epochs -> 1 epoch",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["x.toml"]


def test_the_model_zoos_command_line_trains(cli: Cli, tmp_path: Path) -> None:
    np.savez(
        tmp_path / "x.npz", images=np.random.default_rng(0).integers(0, 256, (64, 28, 28), np.uint8)
    )
    result = cli(
        "train", "modelzoo-vanilla", "--data", "x.npz", "--epochs=1", "--learning_rate=0.0001",
        "--beta_1=0.4", "--batch_size=32", "--encoding_dims=64", "--outdir", "DIR",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert "2 steps of 32 images (16 of them seen by D)" in result.out
    assert "trained on 32 images in" in result.out and "ganvas sample DIR" in result.out
    made = {path.name for path in (tmp_path / "DIR").iterdir()}
    assert made >= {"config.toml", "log.jsonl", "losses.png", "training.gif", "generator"}


def test_a_dry_run_prints_settings_that_repeat_themselves(cli: Cli, tmp_path: Path) -> None:
    first = cli("train", "genzoo-mnist", "--set", "loss.name=least-squares", "--dry-run")
    assert first.code == 0
    (tmp_path / "x.toml").write_text(first.out)
    assert cli("train", "x.toml", "--dry-run").out == first.out
    assert [path.name for path in tmp_path.iterdir()] == ["x.toml"]


def test_without_an_outdir_runs_are_numbered(cli: Cli, tiny_run: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        result = cli("train", tiny_run / "config.toml", "--epochs", 1)
        assert (result.code, result.err) == (0, "")
        assert f"runs/tiny-{number:03d}" in result.out
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["tiny-001", "tiny-002"]


def test_training_prints_how_it_goes(cli: Cli, tiny_run: Path) -> None:
    lines = cli("train", tiny_run / "config.toml").out.splitlines()
    assert lines[0].startswith("tiny: 64 images 8x8x1, 12 steps of 16 images on cpu")
    assert lines[0].endswith("in runs/tiny-001")
    last = [line for line in lines if line.startswith("epoch")][-1]
    assert "epoch 3.0 · step 12 of 12 · D " in last and "0:00:00 left" in last


def test_json_of_a_run_is_alone_on_standard_output(cli: Cli, tiny_run: Path) -> None:
    result = cli("train", tiny_run / "config.toml", "--json", "--evaluate", "kd32")
    assert result.code == 0
    found = json.loads(result.out)
    assert (found["folder"], found["steps"], found["images"]) == ("runs/tiny-001", 12, 192)
    assert found["finished"] and found["seconds"] > 0
    assert [row["metric"] for row in found["last"]] == ["kd32"]
    assert found["best"][0]["values"]["distance"] <= found["last"][0]["values"]["distance"]
    assert "epoch 3.0 · step 12 of 12" in result.err  # progress


def test_json_of_a_dry_run_are_the_settings(cli: Cli) -> None:
    result = cli("train", "cs231n-lsgan", "--dry-run", "--json", "--epochs", 3)
    tables = json.loads(result.out)
    assert config.build(tables) == ganvas.resolve("cs231n-lsgan", epochs=3)
    assert tables["train"]["length"] == "3 epochs"


def test_json_of_a_sample_says_what_was_written(cli: Cli, tiny_run: Path, tmp_path: Path) -> None:
    found = json.loads(cli("sample", tiny_run, "--num", 3, "--npz", "x.npz", "--json").out)
    assert found == {"images": 3, "shape": [1, 8, 8], "files": {"npz": "x.npz"}}
    found = json.loads(cli("sample", tiny_run, "--json").out)
    assert found["files"] == {"grid": "samples.png"} and (tmp_path / "samples.png").is_file()


def test_json_of_data_leaves_no_files(cli: Cli, tmp_path: Path) -> None:
    assert json.loads(cli("data", "fetch", "digits", "--json").out) == {
        "dataset": "digits",
        "files": [],
    }
    found = json.loads(cli("data", "inspect", "digits", "--json").out)
    assert (found["count"], found["sheet"]) == (1498, None)
    assert {one["dataset"] for one in json.loads(cli("data", "list", "--json").out)} >= {"digits"}
    assert not list(tmp_path.iterdir())
    found = json.loads(cli("data", "inspect", "digits", "--json", "--sheet", "x.png").out)
    assert found["sheet"] == "x.png" and (tmp_path / "x.png").is_file()


def test_json_of_a_comparison_leaves_no_page(cli: Cli, tiny_run: Path, tmp_path: Path) -> None:
    assert json.loads(cli("compare", tiny_run, "--json").out)["html"] is None
    assert not list(tmp_path.iterdir())
    cli("compare", tiny_run)
    assert [path.name for path in tmp_path.iterdir()] == ["compare.html"]


def test_data_may_be_a_file_and_first_is_the_data_sets_own(cli: Cli, tiny_npz: Path) -> None:
    result = cli("train", "cs231n-vanilla", "--data", tiny_npz, "--batch-size", 64, "--dry-run")
    assert result.code == 0
    assert f'path = "{tiny_npz}"' in result.out
    assert "first = 50000" not in result.out


# List and show


def test_list_names_everything(cli: Cli) -> None:
    result = cli("list", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["recipes"] == {n: config.read_recipe(n).about for n in config.recipe_names()}
    assert found["metrics"]
    families = {"data": "data sets", "model": "models", "latent": "latents",
                "loss": "losses", "update": "update rules"}  # fmt: skip
    for section, family in families.items():
        assert list(found[family]) == config.COMPONENTS[section].names()
        assert all(about and "\n" not in about for about in found[family].values())
    text = cli("list").out
    for names in found.values():
        assert all(name in text for name in names)


@pytest.mark.parametrize(
    ("given", "family"),
    [
        ("recipes", "recipes"),
        ("recipe", "recipes"),
        ("losses", "losses"),
        ("Loss", "losses"),
        ("data", "data sets"),
        ("data-sets", "data sets"),
        ("datasets", "data sets"),
        ("update", "update rules"),
        ("updates", "update rules"),
        ("update rule", "update rules"),
        ("metric", "metrics"),
    ],
)
def test_list_of_one_family(given: str, family: str, cli: Cli) -> None:
    assert json.loads(cli("list", given, "--json").out) == ganvas.list(given)
    assert ganvas.list(given) == {family: ganvas.list()[family]}
    assert family in cli("list", given).out


REQUIRED_KEYS = {
    "recipe", "data", "generator", "discriminator", "steps_per_epoch", "epochs", "batch_size",
    "latent", "loss", "optimizer",
}  # fmt: skip

SYSTEMS = [
    # recipe, G, D, images, shape, steps an epoch, epochs, batch, latent
    ("modelzoo-vanilla", 1_489_936, 1_460_225, 60_000, [1, 28, 28], 468, 50, 128, 100),
    ("cs231n-vanilla", 1_952_528, 267_009, 50_000, [1, 28, 28], 390, 10, 128, 96),
    ("cs231n-lsgan", 1_952_528, 267_009, 50_000, [1, 28, 28], 390, 10, 128, 96),
    ("cs231n-dcgan", 6_675_009, 1_102_721, 50_000, [1, 28, 28], 390, 10, 128, 96),
    ("mnist-classes", 328_537, 614_337, 7_781, [1, 28, 28], 389, 128.53, 20, 100),
    ("firstgan-vanilla-mnist", 1_486_352, 1_460_225, 60_000, [1, 28, 28], 600, 200, 100, 100),
    ("firstgan-dcgan-mnist", 3_574_656, 2_763_520, 60_000, [1, 64, 64], 600, 20, 100, 100),
    ("genzoo-mnist", 2_305_472, 212_672, 60_000, [1, 28, 28], 1_875, 50, 32, 100),
    ("genzoo-mnist-as-coded", 2_305_472, 212_865, 60_000, [1, 28, 28], 1_875, 50, 32, 100),
    ("genzoo-cifar10", 4_941_952, 4_113_792, 50_000, [3, 32, 32], 390, 200, 128, 100),
    ("genzoo-cifar10-as-coded", 4_941_952, 4_113_793, 50_000, [3, 32, 32], 390, 200, 128, 100),
]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system[0])
def test_show_has_the_published_numbers(system: tuple[Any, ...], cli: Cli) -> None:
    name, g, d, images, shape, steps, epochs, batch, dims = system
    result = cli("show", name, "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert set(found) >= REQUIRED_KEYS
    assert found["recipe"] == name
    assert (found["generator"]["parameters"], found["discriminator"]["parameters"]) == (g, d)
    assert (found["images"], found["shape"]) == (images, shape)
    assert (found["steps_per_epoch"], found["epochs"]) == (steps, epochs)
    assert (found["batch_size"], found["latent"]["dims"]) == (batch, dims)
    for net, count in (("generator", g), ("discriminator", d)):
        assert sum(row["parameters"] for row in found[net]["layers"]) == count
    assert found["generator"]["layers"][-1]["output"] == shape


def test_show_of_model_zoo_says_the_rest(cli: Cli) -> None:
    found = json.loads(cli("show", "modelzoo-vanilla", "--json").out)
    assert found["data"] == "mnist"
    assert found["latent"] == {"dims": 100, "distribution": "uniform"}
    assert found["loss"] == "non-saturating"
    assert found["optimizer"]["generator"]["learning_rate"] == 2e-4
    assert found["optimizer"]["generator"]["beta_1"] == 0.5
    assert found["steps"] == 23_400
    reasons = {row["setting"]: row["reason"] for row in found["settings"]}
    assert reasons["optim.generator.eps"] == "Keras 2"
    assert found["published"]["results"]
    text = cli("show", "modelzoo-vanilla").out
    for part in ("1,489,936", "1,460,225", "60,000 images of 28x28x1", "Keras 2", "gloss"):
        assert part in text


@pytest.mark.parametrize("name", config.recipe_names())
def test_every_recipe_can_be_shown(name: str, cli: Cli) -> None:
    result = cli("show", name)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{name}: ")


COMPONENTS = sorted(
    {name for registry in config.COMPONENTS.values() for name in registry.names()}
    - set(config.recipe_names())
)


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_can_be_shown(name: str, cli: Cli) -> None:
    found = json.loads(cli("show", name, "--json").out)
    assert found["name"] == name and found["about"]
    assert all(row["about"] for row in found["settings"])
    assert cli("show", name).out.startswith(f"{name} (")


@pytest.mark.parametrize("name", ["frechet", "fd10k", "fd299", "fid50k", "metric.kernel2k"])
def test_show_knows_a_metric_by_all_its_names(name: str, cli: Cli) -> None:
    own = "kd" if "kernel" in name else "fd"
    assert cli("show", name).out == cli("show", own).out


def test_list_says_what_metrics_are_called_besides(cli: Cli) -> None:
    found = json.loads(cli("list", "metrics", "--json").out)["metrics"]
    assert found["fd"].endswith(" Also: frechet, fid in Inception's features.")
    assert "Also" not in found["parzen"]


def test_show_of_a_file_of_ones_own(cli: Cli, tiny_run: Path) -> None:
    found = json.loads(cli("show", tiny_run / "config.toml", "--json").out)
    assert (found["images"], found["shape"], found["steps"]) == (64, [1, 8, 8], 12)


# With the published files


def test_a_step_on_real_mnist(real_data: Path, cli: Cli, tmp_path: Path) -> None:
    result = cli(
        "train", "modelzoo-vanilla", "--data-root", real_data, "--images", 64, "--outdir", "x"
    )
    assert (result.code, result.err) == (0, "")
    record = json.loads((tmp_path / "x" / "env.json").read_text())
    assert (record["data"]["images"], record["data"]["shape"]) == (60_000, [1, 28, 28])
