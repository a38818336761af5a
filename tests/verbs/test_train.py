"""`train` and `resolve`: a recipe or a Run, options that stand for settings, going on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import ganvas
from ganvas import config
from ganvas.config import Length
from ganvas.errors import UsageError
from ganvas.verbs.train import Options, Sets

# Options


def test_an_option_of_a_setting_sets_it_and_nothing_else() -> None:
    values = {
        "epochs": 7, "images": 70, "minutes": 0.7, "batch_size": 7, "learning_rate": 0.07,
        "beta_1": 0.7, "encoding_dims": 7, "image_size": 7, "seed": 7, "device": "cpu",
        "evaluate": "none", "every": "7 steps", "skip_broken": True, "on_failure": "stop",
    }  # fmt: skip
    marked = {
        name: mark.settings
        for name, annotation in Options.__annotations__.items()
        for mark in get_args(annotation)
        if isinstance(mark, Sets)
    }
    assert set(marked) == set(values)
    base = ganvas.resolve("cs231n-vanilla")
    for name, value in values.items():
        if name == "skip_broken":  # which only a folder has
            continue
        changed = config.diff(base, ganvas.resolve("cs231n-vanilla", **{name: value}))
        assert [line.partition(":")[0] for line in changed] == sorted(marked[name]), name


def test_lengths_have_the_unit_of_their_option() -> None:
    for options, length in (
        ({"epochs": 2}, Length(2, "epochs")),
        ({"images": 2}, Length(2, "images")),
        ({"minutes": 2}, Length(2, "minutes")),
    ):
        assert ganvas.resolve(**options).train.length == length


def test_what_is_none_or_false_is_not_given() -> None:
    nothing = dict.fromkeys(Options.__annotations__) | {"skip_broken": False}
    assert ganvas.resolve("genzoo-mnist", **nothing) == ganvas.resolve("genzoo-mnist")
    assert ganvas.resolve("genzoo-mnist", seed=0) == ganvas.resolve("genzoo-mnist")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 1, "minutes": 1}, "--epochs and --minutes: found together"),
        ({"epochs": 1, "settings": {"train.length": "1 image"}}, "--epochs and --set train.length"),
        ({"seed": 1, "settings": ["seed=2"]}, "--seed and --set seed: found together"),
        ({"settings": ["seed=2", "seed=3"]}, "--set seed and --set seed: found together"),
    ],
)
def test_a_setting_that_is_given_twice_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ganvas.resolve(**options)


def test_a_setting_may_differ_from_an_option_for_both_nets() -> None:
    settings = {"optim.generator.learning_rate": 2e-4}
    optim = ganvas.resolve(learning_rate=1e-4, settings=settings).optim
    assert (optim.generator.learning_rate, optim.discriminator.learning_rate) == (2e-4, 1e-4)


def test_a_recipe_may_be_a_path(tiny_run: Path) -> None:
    assert ganvas.resolve(tiny_run / "config.toml") == config.load(tiny_run / "config.toml")


def test_every_needs_something_to_measure() -> None:
    with pytest.raises(UsageError, match="--every: found '1 epoch' where nothing is evaluated"):
        ganvas.resolve(evaluate="none", every="1 epoch")


# A Run


def test_a_resolved_run_is_trained_as_the_recipe_would_be(tiny_run: Path, tmp_path: Path) -> None:
    run = ganvas.resolve(tiny_run / "config.toml", epochs=1)
    first = ganvas.train(run, outdir=tmp_path / "a", progress=False)
    ganvas.train(tiny_run / "config.toml", epochs=1, outdir=tmp_path / "b", progress=False)
    weights = [tmp_path / name / "generator" / "model.safetensors" for name in "ab"]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert config.load(tmp_path / "a" / "config.toml") == run
    assert (first.steps, first.finished) == (4, True)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"epochs": 1}, "train.length"),
        ({"seed": 0}, "seed"),
        ({"settings": {"loss.flip": True}}, "loss.flip"),
        ({"data": "digits"}, "data"),
    ],
)
def test_a_run_takes_no_further_settings(
    options: dict[str, Any], name: str, tmp_path: Path
) -> None:
    run = ganvas.resolve()
    with pytest.raises(UsageError, match=rf"^{name}: found with a Run, .*ganvas\.resolve$"):
        ganvas.train(run, outdir=tmp_path / "run", **options)
    assert not list(tmp_path.iterdir())


def test_a_run_is_resumed_only_with_its_own_settings(
    tmp_path: Path, train_tiny: Callable[..., Any]
) -> None:
    folder = tmp_path / "run"
    train_tiny(folder)
    run = config.load(folder / "config.toml")
    assert ganvas.train(run, resume=folder, progress=False).steps == 12
    with pytest.raises(UsageError, match=r"--resume: .*seed: 0 -> 4"):
        ganvas.train(ganvas.resolve(folder / "config.toml", seed=4), resume=folder, progress=False)


def test_a_run_of_before_there_was_one_length_goes_on(tiny_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_run, tmp_path / "older"))
    file = folder / "config.toml"
    text = file.read_text()
    assert text.count('length = "3 epochs"') == 1
    file.write_text(text.replace('length = "3 epochs"', "epochs = 3"))
    shutil.rmtree(folder / "checkpoints" / "step-00000012")
    done = ganvas.train(resume=folder, progress=False)
    assert (done.steps, done.finished) == (12, True)
    weights = [path / "generator" / "model.safetensors" for path in (folder, tiny_run)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
