"""The examples run as they are, and stay short."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
FILES = {
    "train_and_sample": ["run/generator/model.safetensors", "run/losses.png", "grid.png"],
    "own_pictures": ["pictures/63.png", "run/generator/model.safetensors", "run/training.gif"],
}
"""What each example leaves behind."""


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} == set(FILES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    load(path).main(tmp_path / "made")
    assert capsys.readouterr().out
    for name in FILES[path.stem]:
        assert (tmp_path / "made" / name).stat().st_size > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["made"], "it writes elsewhere too"
    if path.stem == "train_and_sample":
        with Image.open(tmp_path / "made" / "grid.png") as picture:  # 4x4 images of 28x28
            pixels = np.asarray(picture)
        side = (4 * 30 + 2) * 2
        assert pixels.shape == (side, side)
        assert pixels.std() > 20
