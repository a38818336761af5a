"""The run folder: its files, its lock, and what a crash or its user may leave of it."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from ganvas import config
from ganvas.errors import RunError, UsageError
from ganvas.files import Locked, aside_of, locked
from ganvas.rundir import RunFolder
from ganvas.training.environment import environment

RUN = config.build(config.read_recipe("cs231n-vanilla").tables)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.create(RUN, {"data": {"sha256": "x"}})
    return made


def checkpoint(folder: RunFolder, *steps: int) -> None:
    for step in steps:
        folder.checkpoint(step).mkdir()
        for name in ("state.json", "state.safetensors"):
            (folder.checkpoint(step) / name).write_text(str(step))


def log(folder: RunFolder, *steps: int) -> None:
    for step in steps:
        folder.append_log({"step": step, "D/loss": step / 3})


def test_create_writes_what_defines_the_run(folder: RunFolder) -> None:
    assert config.load(folder.config) == RUN
    assert folder.read_environment() == {"format": 1, "data": {"sha256": "x"}}
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
    (folder.path / "checkpoints" / ".step-00000007.old").mkdir()
    checkpoint(folder, 7)
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
    checkpoint(folder, 10, 9, 100, 2)
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
    checkpoint(folder, 1, 2, 3, 4)
    folder.prune_checkpoints(1, best=2)
    assert [folder.step_of(path) for path in folder.checkpoints()] == [2, 4]
    folder.prune_checkpoints(1, best=4)
    assert [folder.step_of(path) for path in folder.checkpoints()] == [4]


def test_what_the_watchdog_saw_of_steps_that_were_given_up_stays(folder: RunFolder) -> None:
    """A run that went back once, and is gone on with from step 20."""
    folder.rewind_watchdog(20, 0)
    assert not folder.watchdog.exists()
    for step, rollbacks in ((10, 0), (50, 0), (15, 1), (30, 1), (12, 2)):
        folder.append_watchdog({"step": step, "rollbacks": rollbacks, "fault": "collapse"})
    with folder.watchdog.open("a") as file:
        file.write('mine\n{"mine": 1}\n')
    folder.rewind_watchdog(20, 1)
    kept = [(line["step"], line["rollbacks"]) for line in folder.read_watchdog()]
    assert kept == [(10, 0), (50, 0), (15, 1)]
    assert folder.watchdog.read_bytes().endswith(b'mine\n{"mine": 1}\n')


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


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[1]", b"{}", b'{"data": 3}'])
def test_of_a_damaged_environment_nothing_is_known(
    content: bytes | None, folder: RunFolder
) -> None:
    folder.environment.unlink()
    if content is not None:
        folder.environment.write_bytes(content)
    assert folder.read_environment() == {"data": {}}


def test_the_environment_says_what_the_numbers_depend_on() -> None:
    record = environment(torch.device("cpu"), torch.float32, {"images": 3, "sha256": "x"})
    assert json.loads(json.dumps(record)) == record
    assert record["data"] == {"images": 3, "sha256": "x"}
    assert record["versions"]["torch"] == torch.__version__
    assert record["threads"] == torch.get_num_threads()
    assert len(record["source_sha256"]) == 64
    assert record == environment(torch.device("cpu"), torch.float32, {"images": 3, "sha256": "x"})


# Checkpoints: never less than one good one


@pytest.mark.parametrize(
    "name", ["step-00000092.bak", "step-00000092 (copy)", "step-92", "step-0000009x", "step-", "x"]
)
def test_what_lies_beside_checkpoints_is_none_and_stays(name: str, folder: RunFolder) -> None:
    checkpoint(folder, 92)
    other = shutil.copytree(folder.checkpoint(92), folder.path / "checkpoints" / name)
    assert folder.checkpoints() == [folder.checkpoint(92)]
    folder.prune_checkpoints(1)
    folder.sweep()
    assert folder.checkpoint(92).is_dir() and (other / "state.json").is_file()


@pytest.mark.parametrize("missing", ["state.json", "state.safetensors"])
def test_half_a_checkpoint_is_not_listed_and_swept(missing: str, folder: RunFolder) -> None:
    checkpoint(folder, 1, 2, 3)
    (folder.checkpoint(3) / missing).unlink()
    (folder.checkpoint(2) / missing).unlink()
    (folder.checkpoint(2) / "notes.txt").write_text("somebody's")
    assert folder.checkpoints() == [folder.checkpoint(1)]
    folder.prune_checkpoints(1)  # the half ones do not count among the newest
    assert folder.checkpoints() == [folder.checkpoint(1)]
    folder.sweep()
    assert not folder.checkpoint(3).exists()
    assert (folder.checkpoint(2) / "notes.txt").is_file()


def test_at_least_one_checkpoint_is_kept(folder: RunFolder) -> None:
    checkpoint(folder, 1, 2)
    folder.prune_checkpoints(0)
    assert folder.checkpoints() == [folder.checkpoint(2)]


def test_a_kill_while_pruning_leaves_whole_checkpoints(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(folder, 1, 2, 3)

    def cut_short(gone: Path) -> None:
        (gone / "state.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", cut_short)
        with pytest.raises(KeyboardInterrupt):
            folder.prune_checkpoints(1)
    assert folder.checkpoints() == [folder.checkpoint(2), folder.checkpoint(3)]
    folder.sweep()
    assert len(list((folder.path / "checkpoints").iterdir())) == 2


def test_a_checkpoint_whose_replacement_was_cut_short_comes_back(folder: RunFolder) -> None:
    checkpoint(folder, 5)
    aside = aside_of(folder.checkpoint(5))
    folder.checkpoint(5).rename(aside)
    (folder.path / "checkpoints" / ".step-00000005.4711").mkdir()
    assert folder.checkpoints() == []
    folder.sweep()
    assert folder.checkpoints() == [folder.checkpoint(5)]
    assert len(list((folder.path / "checkpoints").iterdir())) == 1
    # one whose replacement is in place goes, a damaged one never takes a good one's place
    shutil.copytree(folder.checkpoint(5), aside)
    (aside / "state.json").write_text("older")
    folder.sweep()
    assert (folder.checkpoint(5) / "state.json").read_text() == "5" and not aside.exists()


def test_a_generator_says_what_it_was_shown(folder: RunFolder) -> None:
    assert folder.images_of(folder.generator) is None
    weights, metadata = {"a": np.zeros(3, np.float32)}, {"images_seen": "1234"}
    save_file(weights, folder.path / "model.safetensors", metadata)
    assert folder.images_of(folder.path) == 1234
    header = b'{"__metadata__": {"images_seen": "many"}}'
    for content in (
        b"",
        b"\xff" * 100,
        b"\xff" * 8 + b"{}",
        len(header).to_bytes(8, "little") + header,
    ):
        (folder.path / "model.safetensors").write_bytes(content)
        assert folder.images_of(folder.path) is None


# The lock


def test_a_folder_in_use_is_one_line_that_says_by_whom(folder: RunFolder) -> None:
    with folder.locked() as held:
        assert held == folder
        with pytest.raises(
            UsageError, match="is in use: process [0-9]+ on .* trains in it"
        ) as error:
            with folder.locked():
                pass
    assert str(os.getpid()) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UsageError, match="the work's own"):
        with folder.locked():
            raise UsageError("the work's own")
    with pytest.raises(Locked):  # another lock, met in the work, is not taken for this one
        with folder.locked(), locked(folder.path / "x"), locked(folder.path / "x"):
            pass


def test_a_folder_that_was_made_for_nothing_goes(tmp_path: Path) -> None:
    new, own = RunFolder(tmp_path / "a" / "new"), RunFolder(tmp_path / "own")
    own.path.mkdir()
    for folder in (new, own):
        with pytest.raises(UsageError), folder.locked():
            raise UsageError("too little data")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    with new.locked():
        new.create(RUN, {})
    assert new.is_run


def test_a_folder_of_a_later_version_is_not_written(folder: RunFolder) -> None:
    folder.write_environment({"format": 2})
    with pytest.raises(UsageError, match="is a run folder of format 2, of a later version"):
        with folder.locked():
            pass
    assert folder.read_environment() == {"format": 2, "data": {}}  # reading it is no harm
    folder.environment.write_text('{"versions": {}}')  # from before there was a number
    with folder.locked():
        pass


# Lines that several write, and damaged ones


def test_rows_that_two_processes_add_are_all_there(folder: RunFolder) -> None:
    code = (
        "import sys; from pathlib import Path; from ganvas.rundir import RunFolder\n"
        "for i in range(50):\n"
        "    RunFolder(Path(sys.argv[1])).append_metrics([{'metric': sys.argv[2], 'step': i}] * 2)"
    )
    others = [
        subprocess.Popen([sys.executable, "-c", code, str(folder.path), name]) for name in "ab"
    ]
    while any(other.poll() is None for other in others):
        folder.rewind(100)
    assert [other.wait(60) for other in others] == [0, 0]
    rows = folder.read_metrics()
    for name in "ab":
        steps = [row["step"] for row in rows if row["metric"] == name]
        assert steps == [i for i in range(50) for _ in range(2)]
    assert not list(folder.path.glob(".*"))


def test_rewinding_keeps_good_lines_behind_damaged_ones_and_says_so(folder: RunFolder) -> None:
    log(folder, 2)
    first = folder.log.read_bytes()
    with folder.log.open("ab") as file:
        file.write(b'\xff\n{"step": "five"}\n')
    log(folder, 4, 8)
    with folder.log.open("ab") as file:
        file.write(b'{"step": 10, "D/lo')
    assert [line["step"] for line in folder.read_log()] == [2, 4, 8]
    folder.metrics.write_bytes(b'\xff\n{"metric": "fd", "step": 9}\n{"metric": "fd", "step": []}\n')
    (remark,) = folder.rewind(4)
    assert "log.jsonl': 1 damaged line left out" in remark
    assert folder.log.read_bytes().startswith(first + b'{"step": "five"}\n{"step": 4')
    assert [line["step"] for line in folder.read_log()] == [2, 4]
    assert folder.metrics.read_bytes() == b'\xff\n{"metric": "fd", "step": []}\n'


def test_a_missing_log_is_made_anew_and_named(folder: RunFolder) -> None:
    folder.log.unlink()
    assert folder.read_log() == []
    (remark,) = folder.rewind(12)
    assert "is missing; what was logged up to step 12 is lost" in remark
    assert folder.log.read_bytes() == b"" and folder.rewind(12) == []


def test_a_log_line_has_its_keys_in_one_order(folder: RunFolder) -> None:
    folder.append_log({"step": 1, "images": 2, "G/loss": 3.0, "D/loss": 4.0})
    folder.append_log({"step": 2, "images": 2, "D/loss": 4.0, "G/loss": 3.0})
    orders = [list(json.loads(line)) for line in folder.log.read_text().splitlines()]
    assert orders == [["step", "images", "D/loss", "G/loss"]] * 2


def test_what_is_no_number_in_a_log_is_none(folder: RunFolder) -> None:
    folder.log.write_text('{"step": 3, "a": "x", "b": true, "c": 1e999, "d": 0.5}\n{"a": 1}\n')
    assert folder.read_log() == [{"step": 3, "a": None, "b": None, "c": None, "d": 0.5}]


@pytest.mark.parametrize("content", ["recipe = ", "a = " + "[" * 100_000, "\x00"])
def test_settings_that_cannot_be_read_are_one_line(content: str, folder: RunFolder) -> None:
    assert folder.read_settings()["recipe"] == "cs231n-vanilla"
    folder.config.write_text(content)
    with pytest.raises(UsageError, match=r"config\.toml' cannot be read") as error:
        folder.read_settings()
    assert "\n" not in str(error.value)
