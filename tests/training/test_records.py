"""What a run writes on its way: curves, pictures, printed samples."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganvas import drawing
from ganvas.training import loop, session
from ganvas.training.state import State

Train = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "plot_losses", lambda *_: None)


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, float]]:
    """Each step's scalars, as the update rule returned them."""
    seen: dict[int, dict[str, float]] = {}
    original = State.accumulate

    def accumulate(state: State, scalars: Any) -> None:
        seen[state.step + 1] = {key: float(value) for key, value in scalars.items()}
        original(state, scalars)

    monkeypatch.setattr(State, "accumulate", accumulate)
    return seen


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


@pytest.mark.parametrize(("period", "steps"), [("1 step", range(1, 13)), ("1 epoch", (4, 8, 12))])
def test_tensorboard_has_the_scalars_of_single_steps(
    period: str, steps: Any, losses: Any, train_tiny: Train, tmp_path: Path
) -> None:
    """And the rest, of which steps have none, with the log's lines; these hold means as ever."""
    tags = {"D/loss": "D_error"}
    train_tiny(tmp_path / "run", **{"output.scalars": period, "output.tags": tags})
    found = events(tmp_path / "run")
    for key in losses[1]:
        curve = found.Scalars(tags.get(key, key))
        assert [event.step for event in curve] == list(steps)
        assert [event.value for event in curve] == pytest.approx([losses[s][key] for s in steps])
    assert [event.step for event in found.Scalars("D/real_eval")] == [2, 4, 6, 8, 10, 12]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[0]["D/loss"] == pytest.approx((losses[1]["D/loss"] + losses[2]["D/loss"]) / 2)
    assert set(found.Tags()["scalars"]) == {
        tags.get(key, key) for line in lines for key in line if "/" in key
    }


def test_a_resumed_run_has_each_step_once(losses: Any, train_tiny: Train, tmp_path: Path) -> None:
    """A log line is due at the end alone, a checkpoint at each epoch."""
    settings = {"output.scalars": "1 step", "output.log": "3 epochs"}
    train_tiny(tmp_path / "run", **settings)
    whole = {step: dict(values) for step, values in losses.items()}
    time.sleep(1.05)  # event files are ordered by the second in their names
    train_tiny(None, resume=tmp_path / "run" / "checkpoints" / "step-00000008")
    curve = events(tmp_path / "run").Scalars("G/loss")
    assert [event.step for event in curve] == list(range(1, 13))
    expected = [whole[step]["G/loss"] for step in whole]
    assert [event.value for event in curve] == pytest.approx(expected)


def test_curves_change_nothing_else(train_tiny: Train, tmp_path: Path) -> None:
    states = []
    for name, more in (("without", {}), ("with", {"output.scalars": "1 step"})):
        train_tiny(tmp_path / name, **more)
        newest = max((tmp_path / name / "checkpoints").iterdir())
        states.append((newest / "state.safetensors").read_bytes())
    assert states[0] == states[1]


def test_pictures_come_more_often_than_sheets_and_are_drawn_once_a_step(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a step where a line, a picture and a sheet are due, G draws once."""
    drawn = []

    def draw(*words: Any) -> Any:
        drawn.append(words)
        return drawing.draw_sheet(*words)

    monkeypatch.setattr(session, "draw_sheet", draw)
    train_tiny(tmp_path / "run", **{"output.pictures": "2 steps"})
    pictures = events(tmp_path / "run").Images("samples")
    assert [picture.step for picture in pictures] == [2, 4, 6, 8, 10, 12]
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 3
    assert len(drawn) == 6


def test_the_wide_picture_has_the_sheets_tiles_each_scaled_on_its_own(
    train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(tmp_path / "run", **{"output.wide": [1, 5]})
    folder = tmp_path / "run"
    names = [sorted(path.name for path in (folder / p).iterdir()) for p in ("samples", "wide")]
    assert names[0] == names[1]
    sheet, wide = (np.asarray(Image.open(folder / p / names[0][0])) for p in ("samples", "wide"))
    scale, wide_scale = sheet.shape[0] // 22, wide.shape[0] // 12  # tiles of 8, gaps of 2
    sheet, wide = sheet[::scale, ::scale].astype(float), wide[::wide_scale, ::wide_scale]
    assert wide.shape == (12, 52)
    for place in range(5):
        row, column = divmod(place, 3)
        tile = sheet[2 + 10 * row :][:8, 2 + 10 * column :][:, :8]
        expected = (tile - tile.min()) / (tile.max() - tile.min()) * 255
        found = wide[2:10, 2 + 10 * place :][:, :8]
        assert np.abs(found - expected).max() <= 0.5 and (found.min(), found.max()) == (0, 255)
    picture = events(folder).Images("samples")[0]
    assert (picture.width, picture.height) == (52, 12)


def test_samples_are_printed_with_ds_scores(cli: Any, tiny_npz: Path, tmp_path: Path) -> None:
    settings = ["output.printed=3", "output.grid=[2, 3]", "output.sample='1 epoch'"]
    options = [word for setting in settings for word in ("--set", setting)]
    result = cli(
        "train", "--data", tiny_npz, "--epochs", 2, "--batch-size", 16, "--device", "cpu",
        "--evaluate", "none", "--outdir", "run", *options,
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    scores = [i for i, line in enumerate(lines) if "D's scores" in line]
    assert [lines[i].split(":")[0] for i in scores] == ["step 4", "step 8"]
    for i in scores:
        assert len(lines[i].split("scores ")[1].split(", ")) == 3
        rows = lines[i - 4 : i]  # images of 8 x 8, a letter for two rows
        assert {len(row) for row in rows} == {3 * 8 + 2 * 2}
        assert set("".join(rows)) <= set(" .-+*#%@")


def test_the_printed_scores_are_ds_of_those_samples(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean over all tiles of the sheet is what the log has."""
    said = []
    monkeypatch.setattr("ganvas.training.progress.Silent.say", lambda _, text: said.append(text))
    train_tiny(tmp_path / "run", **{"output.printed": 6})
    scores = torch.tensor([float(word) for word in said[-1].split("scores ")[1].split(", ")])
    line = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert float(scores.mean()) == pytest.approx(line["D/fake_eval"], abs=0.01)
