"""Run folders of earlier versions: read, compared, sampled, gone on with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import ganvas
from ganvas import config
from ganvas.rundir import RunFolder, find_runs

FIXTURES = Path(__file__).parents[1] / "fixtures"
FINISHED = FIXTURES / "run-0.1-finished"


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], RunFolder]:
    return lambda name: RunFolder(shutil.copytree(FIXTURES / name, tmp_path / name))


def weights(folder: RunFolder) -> dict[str, Any]:
    return dict(load_file(folder.generator / "model.safetensors"))


def test_all_of_its_files_are_read() -> None:
    folder = RunFolder(FINISHED)
    assert find_runs([FIXTURES])[0] == folder
    assert folder.is_run and folder.read_status() is None and folder.judged_status() is None
    assert folder.read_environment()["data"]["images"] == 128
    assert [line["step"] for line in folder.read_log()] == [4, 8, 12, 16]
    assert [row["metric"] for row in folder.read_metrics()] == ["fd50", "fd50"]
    assert [path.name for path in folder.checkpoints()] == ["step-00000016"]
    assert [path.name for path in folder.samples()] == ["epoch-0001.png", "epoch-0002.png"]
    run = config.load(folder.config)
    assert (run.recipe, run.train.batch_size, run.latent.dims) == ("quickstart", 16, 4)


def test_its_generator_draws_the_same_images() -> None:
    """To within one grey level, since processors sum in different orders."""
    then = np.load(FIXTURES / "run-0.1-finished-samples.npz")["images"].astype(int)
    now = ganvas.sample(FINISHED, num=8).astype(int)
    assert now.shape == (8, 1, 8, 8) and then.size == now.size
    assert np.abs(now.reshape(then.shape) - then).max() <= 1
    assert then.std() > 10  # it is no blank sheet that agrees


def test_it_is_compared() -> None:
    found = ganvas.compare(FIXTURES)
    assert [Path(run.path).name for run in found.runs] == [FINISHED.name, "run-0.1-stopped"]
    assert [run.finished for run in found.runs] == [True, False]
    column = next(column for column in found.columns if column.label == "fd50")
    values = [point.value for point in column.cells[0].points.values()]
    rows = [RunFolder(run.folder.path).read_metrics()[-1] for run in found.runs]
    assert values == [row["values"]["distance"] for row in rows]


def test_one_that_was_killed_goes_on_to_the_same_end(copy: Callable[[str], RunFolder]) -> None:
    folder = copy("run-0.1-stopped")
    result = ganvas.train(resume=folder.path, progress=False)
    assert result.finished and (result.steps, result.images) == (16, 256)
    assert [line["step"] for line in folder.read_log()] == [4, 8, 12, 16]
    assert [row["step"] for row in folder.read_metrics()] == [8, 16]
    expected = weights(RunFolder(FINISHED))
    for key, value in weights(folder).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-3, atol=1e-4, err_msg=key)


def test_one_that_was_finished_stays_so(copy: Callable[[str], RunFolder]) -> None:
    folder = copy("run-0.1-finished")
    result = ganvas.train(resume=folder.path, progress=False)
    assert result.finished and result.steps == 16
    before, after = weights(RunFolder(FINISHED)), weights(folder)
    assert all(np.array_equal(before[key], after[key]) for key in before)
