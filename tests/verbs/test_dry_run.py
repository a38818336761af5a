"""--dry-run refuses what a run refuses before its first step, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganvas.images import write_png

Cli = Callable[..., Any]


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """65 colour images of 20x20."""
    images = np.random.default_rng(0).integers(0, 256, (65, 20, 20, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images)
    return tmp_path / "x.npz"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("genzoo-cifar10", "--batch-size", 32), "cannot take 20x20 images"),
        (("firstgan-dcgan-mnist", "--batch-size", 8, "--image-size", 60), "with a power of two"),
        (("quickstart", "--batch-size", 66), "too little data: 65 images do not fill one step"),
        (
            ("cs231n-dcgan", "--batch-size", 64, "--set", "train.drop_last=false"),
            "that leaves a batch of one image, which BatchNorm cannot train on",
        ),
        (("quickstart", "--device", "toaster"), "--device: found 'toaster'"),
        (("quickstart", "--evaluate", "classes"), "evaluate.metrics: classes"),
        (("quickstart", "--set", "train.cuda_graphs=true", "--device", "cpu"), "cuda_graphs"),
        (("quickstart", "--outdir", "x.npz/run"), "'x.npz' is a file"),
    ],
    ids=str,
)
def test_it_refuses_what_a_run_refuses(
    arguments: tuple[Any, ...], said: str, npz: Path, cli: Cli, tmp_path: Path
) -> None:
    both = [cli("train", *arguments, "--data", "x.npz", *dry) for dry in (("--dry-run",), ())]
    for done in both:
        assert done.code != 0 and len(done.err.splitlines()) == 1
    assert said in both[0].err
    assert "x.npz/run" in arguments or both[0].err == both[1].err
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_what_is_well_is_printed_and_nothing_written(npz: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli("train", "--data", "x.npz", "--outdir", "run", "--dry-run")
    assert (done.code, done.err) == (0, "") and 'recipe = "modern"' in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_broken_pictures(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(40):
        write_png(tmp_path / "mine" / f"{i}.png", rng.integers(0, 256, (1, 8, 8), dtype=np.uint8))
    (tmp_path / "mine" / "7.png").write_bytes(b"\x89PNG broken")
    refused = cli("train", "--data", "mine", "--dry-run")
    assert refused.code == 2 and "7.png" in refused.err
    assert cli("train", "--data", "mine", "--dry-run", "--skip-broken").code == 0


def test_a_folder_that_holds_a_run(tiny_run: Path, cli: Cli) -> None:
    config = tiny_run / "config.toml"
    done = cli("train", config, "--outdir", tiny_run, "--dry-run")
    assert done.code == 2 and "holds a run already" in done.err
    assert cli("train", "--resume", tiny_run, "--dry-run").code == 0
    changed = cli("train", "--resume", tiny_run, "--seed", 5, "--dry-run")
    assert changed.code == 2 and "seed: 0 -> 5" in changed.err


def test_missing_files_of_a_data_set_are_a_remark(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANVAS_DATA", str(tmp_path))
    monkeypatch.setattr("ganvas.data.download.user_cache", lambda: tmp_path / "cache")
    done = cli("train", "modelzoo-vanilla", "--dry-run", "--json")
    assert done.code == 0
    assert done.err.startswith("note: mnist is not all there")
    assert done.err.endswith("ganvas data fetch mnist\n")


def test_settings_without_effect_are_said(cli: Cli) -> None:
    done = cli(
        "train", "--evaluate", "none", "--set", "evaluate.best=fd.distance", "--dry-run",
    )  # fmt: skip
    assert done.code == 0
    assert done.err == (
        "note: evaluate.best = 'fd.distance' has no effect: nothing is measured on the way "
        "(evaluate.metrics)\n"
    )
