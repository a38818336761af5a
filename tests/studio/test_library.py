"""Runs are found, followed and forgotten, and no link leads out of the folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ganvas.studio import library
from ganvas.studio.library import Library, Unknown


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "FRESH", 0.0)


def names(of: Library) -> list[str]:
    return sorted(entry.id for entry in of.entries())


def test_a_folder_without_runs_is_empty_until_one_begins(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    found = Library(tmp_path / "runs")
    assert names(found) == []
    make_run("runs/a", log=[])
    assert names(found) == ["a"]


def test_names_of_runs_in_folders_fit_into_an_address(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    make_run("sweep/lr 1", log=[])
    assert names(Library(tmp_path)) == ["sweep~lr 1"]
    assert Library(tmp_path).entry("sweep~lr 1").summary["name"] == "sweep/lr 1"


def test_a_folder_that_is_a_run_is_shown_under_its_name(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    assert names(Library(make_run("alone", log=[]))) == ["alone"]


def test_what_grows_is_told_once(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    a = make_run("a", log=[{"step": 1, "images": 10}])
    make_run("b", log=[{"step": 1, "images": 10}])
    found = Library(tmp_path)
    found.refresh()
    seen = found.version
    with (a / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": 2, "images": 20}) + "\n")
    found.refresh()
    changed, gone = found.changed(seen)
    assert [(entry.id, entry.summary["images"]) for entry in changed] == [("a", 20)]
    assert gone == []
    assert found.changed(found.version) == ([], [])


def test_a_run_that_is_moved_is_gone_under_its_old_name(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    a = make_run("a", log=[])
    found = Library(tmp_path)
    found.refresh()
    seen = found.version
    a.rename(tmp_path / "b")
    found.refresh()
    changed, gone = found.changed(seen)
    assert ([entry.id for entry in changed], gone) == (["b"], ["a"])
    with pytest.raises(Unknown, match="no run 'a'"):
        found.entry("a")
    shutil.rmtree(tmp_path / "b")
    assert names(found) == []


def test_half_written_files_are_no_reason_to_hide_a_run(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    run = make_run("a", config='recipe = "x', log=[])
    (run / "log.jsonl").write_text('{"step": 1, "images": 10}\n{"step": 2, "ima')
    (run / "status.json").write_text("{")
    (entry,) = Library(tmp_path).entries()
    assert (entry.summary["images"], entry.summary["recipe"]) == (10, "unset")


def test_a_run_that_was_killed_is_called_so(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    import socket

    status = {"state": "running", "step": 5, "total": 10, "host": socket.gethostname()}
    make_run("a", log=[], status=status)
    assert Library(tmp_path).entry("a").summary["state"] == "killed"


@pytest.mark.parametrize("name", ["config.toml", "log.jsonl", "metrics.jsonl", "samples"])
def test_a_run_with_a_link_that_leads_out_is_not_shown(
    tmp_path: Path, make_run: Callable[..., Path], name: str
) -> None:
    run = make_run("runs/a", log=[], metrics=[])
    (tmp_path / "secret").mkdir()
    if (run / name).exists():
        (run / name).rename(tmp_path / "secret" / name)
    (run / name).symlink_to(tmp_path / "secret" / name)
    assert names(Library(tmp_path / "runs")) == []
    assert names(Library(tmp_path)) == ["runs~a"], "within the folder a link is as good as a file"


def test_a_thousand_runs_are_looked_at_a_few_at_a_time(
    tmp_path: Path, make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(5):
        make_run(f"run-{i}", log=[])
    found = Library(tmp_path)
    monkeypatch.setattr(library, "PATIENCE", 0.0)
    assert len(found.entries()) < 5 and not found.complete
    found.refresh()
    assert len(found.entries()) == 5 and found.complete
