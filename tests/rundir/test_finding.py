"""Numbers of run folders, each given out once, and which folders are runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ganvas.errors import RunError, UsageError
from ganvas.rundir import RunFolder, claim, find_runs


def claimed(recipe: str, runs: Path) -> Path:
    with claim(recipe, runs) as folder:
        assert folder.path.is_dir()
        return folder.path


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
    assert claimed("a-b", tmp_path) == tmp_path / expected


def test_the_first_folder_needs_no_runs_folder(tmp_path: Path) -> None:
    assert claimed("a", tmp_path / "none" / "b") == tmp_path / "none" / "b" / "a-001"
    assert not (tmp_path / "none").exists()  # for nothing was written


def test_a_recipe_name_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "axb-004").mkdir()
    assert claimed("a.b", tmp_path).name == "a.b-001"


def test_a_number_is_there_and_locked_until_the_end(tmp_path: Path) -> None:
    with claim("a", tmp_path) as first, claim("a", tmp_path) as second:
        assert (first.path.name, second.path.name) == ("a-001", "a-002")
        with pytest.raises(UsageError, match="a-001' is in use"):
            with first.locked():
                pass
        (first.path / "config.toml").write_text("")
    assert [path.name for path in tmp_path.iterdir()] == ["a-001"]  # nothing was written into 002
    assert [path.name for path in first.path.iterdir()] == ["config.toml"]


def test_processes_that_start_at_once_get_a_folder_each(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ganvas.rundir import claim\n"
        "for _ in range(15):\n"
        "    with claim('a', Path(sys.argv[1])) as folder:\n"
        "        (folder.path / 'config.toml').open('x').close()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    others = [subprocess.Popen(command) for _ in range(4)]
    assert [other.wait(60) for other in others] == [0, 0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a-{i:03d}" for i in range(1, 61)]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write '.*runs'") as error:
        claimed("a", tmp_path / "file" / "runs")
    assert "\n" not in str(error.value)


# Which folders are runs


@pytest.mark.parametrize("beside", ["log.jsonl", "env.json", "status.json", "checkpoints"])
def test_a_run_is_known_by_its_config_and_any_other_file(beside: str, tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    run.mkdir(parents=True)
    (run / "config.toml").write_text("")
    with pytest.raises(UsageError, match="no run folder and there is none below it"):
        find_runs([tmp_path])
    (run / beside).mkdir()
    assert find_runs([tmp_path, run, tmp_path / "deep" / ".." / "deep"]) == [RunFolder(run)]
    assert find_runs([str(tmp_path / "de*")]) == [RunFolder(run)]


def test_what_is_no_folder_is_one_line(tmp_path: Path) -> None:
    for given, words in (("nowhere", "is not a folder"), ("x*", "matches no run folder")):
        with pytest.raises(UsageError, match=words):
            find_runs([str(tmp_path / given)])


def test_reading_run_folders_loads_nothing_heavy() -> None:
    code = (
        "import sys, ganvas.rundir\n"
        "sys.exit(bool({'torch', 'numpy', 'pydantic', 'tomlkit', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
