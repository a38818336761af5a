"""`evaluate` of a run on a medium that can only be read."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ganvas
from ganvas.errors import RunError


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "medium"
    ganvas.train(images=32, outdir=folder, evaluate="none", progress=False)
    original = os.open

    def open_(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and Path(os.fsdecode(path)).is_relative_to(folder):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return original(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", open_)
    return folder


OPTIONS: dict[str, Any] = {"metrics": "fd,memorisation", "num": 50, "features": "pixels"}


def test_the_numbers_are_given_and_a_warning(read_only: Path) -> None:
    before = sorted(path.name for path in read_only.iterdir())
    with pytest.warns(UserWarning) as said:
        rows = ganvas.evaluate(read_only, **OPTIONS)
    assert len(rows) == 2 and rows[0].values["distance"] > 0
    assert [str(one.message).partition(":")[0] for one in said] == [
        "the picture is not kept",
        "the rows are not kept",
    ]
    assert all("it is not writable" in str(one.message) for one in said)
    assert sorted(path.name for path in read_only.iterdir()) == before


def test_a_picture_that_was_asked_for_is_no_matter_of_luck(read_only: Path) -> None:
    with pytest.raises(RunError, match="cannot write"):
        ganvas.evaluate(read_only, pairs=read_only / "pairs.png", **OPTIONS)


def test_on_the_command_line_a_warning_is_one_line() -> None:
    code = "import warnings, sys\nfrom ganvas import cli\n"
    code += "cli.app = lambda **_: warnings.warn('the rows are not kept: ...')\ncli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "warning: the rows are not kept: ...\n")
