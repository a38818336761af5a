"""The run folder: names, numbers, the log and what a crash may leave of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from ganvas import config
from ganvas.errors import RunError, UsageError
from ganvas.rundir import RunFolder, next_folder
from ganvas.training.environment import environment

RUN = config.build(config.read_recipe("cs231n-vanilla").tables)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.create(RUN, {"data": {"sha256": "x"}})
    return made


def log(folder: RunFolder, *steps: int) -> None:
    for step in steps:
        folder.append_log({"step": step, "D/loss": step / 3})


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "a-b-001"),
        (["a-b-001", "a-b-002"], "a-b-003"),
        (["a-b-007"], "a-b-008"),
        (["a-b-999"], "a-b-1000"),
        (["a-b-1000", "a-b-9"], "a-b-1001"),
        (["a-b-c-005", "a-005", "xa-b-005", "a-b-005x", "a-b-"], "a-b-001"),
    ],
)
def test_the_next_folder_has_the_next_number(
    taken: list[str], expected: str, tmp_path: Path
) -> None:
    for name in taken:
        (tmp_path / name).mkdir()
    assert next_folder("a-b", tmp_path) == tmp_path / expected


def test_the_first_folder_needs_no_runs_folder(tmp_path: Path) -> None:
    assert next_folder("a", tmp_path / "none") == tmp_path / "none" / "a-001"


def test_a_recipe_name_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "axb-004").mkdir()
    assert next_folder("a.b", tmp_path).name == "a.b-001"


def test_create_writes_what_defines_the_run(folder: RunFolder) -> None:
    assert config.load(folder.config) == RUN
    assert folder.read_environment() == {"data": {"sha256": "x"}}
    assert folder.read_log() == []
    assert {path.name for path in folder.path.iterdir()} == {
        "checkpoints",
        "config.toml",
        "env.json",
        "log.jsonl",
        "samples",
    }


def test_a_folder_that_holds_a_run_is_refused(folder: RunFolder) -> None:
    log(folder, 1)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="holds a run already.*--resume"):
        folder.create(RUN, {"data": {"sha256": "y"}})
    assert before == {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write '.*run'") as error:
        RunFolder(tmp_path / "file" / "run").create(RUN, {})
    assert "\n" not in str(error.value)


def test_log_lines_are_json_with_all_digits(folder: RunFolder) -> None:
    log(folder, 1, 2)
    lines = folder.log.read_text().splitlines()
    assert [json.loads(line) for line in lines] == folder.read_log()
    assert folder.read_log()[0]["D/loss"] == 1 / 3


def test_what_is_not_finite_is_null(folder: RunFolder) -> None:
    folder.append_log({"step": 1, "a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.5})
    assert folder.read_log() == [{"step": 1, "a": None, "b": None, "c": None, "d": 0.5}]
    assert "NaN" not in folder.log.read_text() and "Infinity" not in folder.log.read_text()


def test_a_torn_last_line_is_left_out(folder: RunFolder) -> None:
    log(folder, 1, 2)
    whole = folder.log.read_bytes()
    for cut in range(whole.index(b"\n") + 2, len(whole) - 1):
        folder.log.write_bytes(whole[:cut])
        assert [line["step"] for line in folder.read_log()] == [1], whole[:cut]


def test_sweeping_removes_what_a_kill_left_and_nothing_else(folder: RunFolder) -> None:
    for name in ("samples", "checkpoints", "generator"):
        (folder.path / name).mkdir(exist_ok=True)
    left = [
        ".log.jsonl.a1b2c3d4",
        "samples/.epoch-0001.png.0c2n1309",
        "generator/.README.md.abcdefgh",
    ]
    kept = ["log.jsonl", "samples/epoch-0001.png", ".notes", "samples/.hidden.png"]
    for name in left + kept:
        (folder.path / name).write_text("x")
    (folder.path / "checkpoints" / ".step-00000007.4711").mkdir()
    (folder.path / "checkpoints" / "step-00000007").mkdir()
    folder.sweep()
    assert not any((folder.path / name).exists() for name in left)
    assert all((folder.path / name).exists() for name in kept)
    assert [path.name for path in (folder.path / "checkpoints").iterdir()] == ["step-00000007"]


def test_rewinding_drops_what_will_be_logged_again(folder: RunFolder) -> None:
    log(folder, 2, 4, 6, 8)
    first_lines = folder.log.read_bytes()[: folder.log.read_bytes().index(b'{"step": 6')]
    with folder.log.open("a") as file:
        file.write('{"step": 10, "D/lo')
    folder.rewind(5)
    assert folder.log.read_bytes() == first_lines
    log(folder, 6)
    assert [line["step"] for line in folder.read_log()] == [2, 4, 6]


def test_rewinding_keeps_the_line_of_that_very_step(folder: RunFolder) -> None:
    log(folder, 2, 4, 6)
    folder.rewind(4)
    assert [line["step"] for line in folder.read_log()] == [2, 4]
    folder.rewind(0)
    assert folder.read_log() == []


def test_checkpoints_are_in_order_and_the_newest_are_kept(folder: RunFolder) -> None:
    for step in (10, 9, 100, 2):
        folder.checkpoint(step).mkdir()
    (folder.path / "checkpoints" / ".step-00000300.77").mkdir()  # one that a crash cut short
    assert [path.name for path in folder.checkpoints()] == [
        "step-00000002",
        "step-00000009",
        "step-00000010",
        "step-00000100",
    ]
    folder.prune_checkpoints(2)
    assert [path.name for path in folder.checkpoints()] == ["step-00000010", "step-00000100"]
    folder.prune_checkpoints(5)
    assert len(folder.checkpoints()) == 2


def test_the_best_checkpoint_is_not_pruned(folder: RunFolder) -> None:
    for step in (1, 2, 3, 4):
        folder.checkpoint(step).mkdir()
    folder.prune_checkpoints(1, best=2)
    assert [folder.step_of(path) for path in folder.checkpoints()] == [2, 4]
    folder.prune_checkpoints(1, best=4)
    assert [folder.step_of(path) for path in folder.checkpoints()] == [4]


def test_rewinding_drops_rows_of_later_steps_and_keeps_all_others(folder: RunFolder) -> None:
    assert folder.read_metrics() == []
    folder.append_metrics([{"metric": "fd", "step": step} for step in (2, 4, None)])
    with folder.metrics.open("a") as file:
        file.write("a note")
    folder.append_metrics([{"metric": "fd", "step": 6}])
    assert [row["step"] for row in folder.read_metrics()] == [2, 4, None, 6]
    folder.rewind(3)
    lines = folder.metrics.read_text().splitlines()
    assert lines[2] == "a note" and len(lines) == 3
    assert [row["step"] for row in folder.read_metrics()] == [2, None]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_environment_is_one_line(content: bytes, folder: RunFolder) -> None:
    folder.environment.write_bytes(content)
    with pytest.raises(UsageError, match=r"env\.json' cannot be read"):
        folder.read_environment()


def test_the_environment_says_what_the_numbers_depend_on() -> None:
    record = environment(torch.device("cpu"), torch.float32, {"images": 3, "sha256": "x"})
    assert json.loads(json.dumps(record)) == record
    assert record["data"] == {"images": 3, "sha256": "x"}
    assert record["versions"]["torch"] == torch.__version__
    assert record["threads"] == torch.get_num_threads()
    assert len(record["source_sha256"]) == 64
    assert record == environment(torch.device("cpu"), torch.float32, {"images": 3, "sha256": "x"})
