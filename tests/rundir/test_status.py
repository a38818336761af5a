"""What a run says of itself, and what of it is to be believed."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ganvas.rundir import RunFolder, Status, now

HERE = socket.gethostname()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_a_status_is_read_as_it_was_written(folder: RunFolder) -> None:
    assert folder.read_status() is None and folder.judged_status() is None
    status = Status(
        state="failed",
        step=12,
        total=100,
        images=768,
        recipe="tiny",
        reason="the disk is full",
        started="2026-01-02T03:04:05+00:00",
    )
    folder.write_status(status)
    assert folder.read_status() == status == folder.judged_status()
    assert (status.pid, status.host) == (os.getpid(), HERE)
    assert json.loads(folder.status.read_text())["format"] == 1
    assert [path.name for path in folder.path.iterdir()] == ["status.json"]


def test_times_are_in_utc_and_give_an_age() -> None:
    assert now().endswith("+00:00")
    then = (datetime.now(UTC) - timedelta(seconds=90)).isoformat(timespec="seconds")
    assert 89 < Status(state="running", time=then).age < 95
    for time in ("", "yesterday", "2026-01-02"):
        assert Status(state="running", time=time).age == float("inf")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"{}", b'{"state": "killed"}', b'{"state": []}', b"[" * 100_000],
)
def test_a_damaged_status_is_none(content: bytes, folder: RunFolder) -> None:
    folder.status.write_bytes(content)
    assert folder.read_status() is None


def test_of_odd_values_the_others_are_read(folder: RunFolder) -> None:
    found: dict[str, Any] = {"state": "stopped", "step": "7", "total": -1, "images": 5, "pid": True}
    folder.status.write_text(json.dumps(found | {"host": 3, "of_a_later_version": 1}))
    status = folder.read_status()
    assert status == Status(state="stopped", images=5, started="", time="", pid=0, host="")


def test_saying_so_is_no_reason_to_end_a_run(folder: RunFolder) -> None:
    folder.status.mkdir()
    folder.write_status(Status(state="running"))
    gone = RunFolder(folder.path / "removed")
    gone.write_status(Status(state="running"))
    assert not gone.path.exists()


# What to believe


def test_a_run_that_is_locked_is_running(folder: RunFolder) -> None:
    with folder.locked():
        folder.write_status(Status(state="running", step=3))
        found = folder.judged_status()
        assert found and (found.state, found.step) == ("running", 3)
    found = folder.judged_status()
    assert found and (found.state, found.step) == ("killed", 3)


def test_a_run_that_was_killed_is_known_for_it(folder: RunFolder) -> None:
    code = (
        "import os, sys; from pathlib import Path; from ganvas.rundir import *\n"
        "with RunFolder(Path(sys.argv[1])).locked() as folder:\n"
        "    folder.write_status(Status(state='running', step=5)); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder.path)], timeout=60)
    assert done.returncode == -9
    found = folder.judged_status()
    assert found and (found.state, found.step) == ("killed", 5)
    with folder.locked():  # and it can go on at once
        pass


def test_a_run_elsewhere_is_silent_when_it_says_nothing(folder: RunFolder) -> None:
    fresh = Status(state="running", host="elsewhere")
    folder.write_status(fresh)
    assert folder.judged_status() == fresh
    then = (datetime.now(UTC) - timedelta(minutes=10)).isoformat(timespec="seconds")
    folder.write_status(replace(fresh, time=then))
    assert folder.judged_status() == replace(fresh, time=then, state="silent")
    folder.write_status(replace(fresh, time=then, state="finished"))
    assert folder.judged_status() == replace(fresh, time=then, state="finished")


def test_a_run_that_ends_while_it_is_looked_at_was_not_killed(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_status(Status(state="running"))

    def ends(lock: Path) -> None:
        folder.write_status(Status(state="finished"))

    monkeypatch.setattr("ganvas.rundir.folder.holder", ends)
    found = folder.judged_status()
    assert found and found.state == "finished"


def test_looking_keeps_nobody_from_going_on(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look takes the lock for an instant."""
    looks, flock = [1, 2, 3], fcntl.flock

    def looked_at(file: Any, operation: int) -> None:
        if operation & fcntl.LOCK_EX and looks:
            looks.pop()
            raise BlockingIOError
        flock(file, operation)

    monkeypatch.setattr("fcntl.flock", looked_at)
    with folder.locked():
        assert looks == []
