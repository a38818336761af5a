"""Which folders are runs, and what the next one is called."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ganvas.errors import UsageError
from ganvas.files import missing, remove_empty, writing
from ganvas.rundir.folder import RunFolder


@contextmanager
def claim(recipe: str, runs: Path = Path("runs")) -> Iterator[RunFolder]:
    """Make runs/RECIPE-NNN with the next number, which nobody else can get, and hold it locked.

    It is removed again if nothing was written into it.

    Raises:
        RunError: it cannot be made.
    """
    taken = [re.fullmatch(rf"{re.escape(recipe)}-(\d+)", path.name) for path in runs.glob("*")]
    number = 1 + max((int(match[1]) for match in taken if match), default=0)
    above = missing(runs)
    with writing(runs):
        while True:
            folder = RunFolder(runs / f"{recipe}-{number:03d}")
            try:
                folder.path.mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
    try:
        with folder.locked():
            yield folder
    finally:
        remove_empty([folder.path, *above])


def find_runs(what: Sequence[str | Path]) -> list[RunFolder]:
    """The run folders among these, below other folders, and below what patterns match; each once.

    Raises:
        UsageError: one of these is, and holds, no run folder.
    """
    found: dict[Path, RunFolder] = {}
    for given in what:
        for path in _runs_at(given):
            found.setdefault(path.resolve(), RunFolder(path))
    return list(found.values())


def _runs_at(given: str | Path) -> list[Path]:
    path = Path(given)
    if not path.exists() and any(sign in str(given) for sign in "*?["):
        matches = [Path(match) for match in sorted(glob.glob(str(given), recursive=True))]
        found = [run for match in matches if match.is_dir() for run in _runs_below(match)]
        if not found:
            raise UsageError(f"'{given}' matches no run folder (config.toml and log.jsonl)")
        return found
    if not path.is_dir():
        raise UsageError(
            f"'{given}' is not a folder; name run folders, or a folder that holds some"
        )
    found = _runs_below(path)
    if not found:
        raise UsageError(
            f"'{given}' is no run folder and there is none below it; "
            "a run folder holds config.toml and log.jsonl"
        )
    return found


def _runs_below(folder: Path) -> list[Path]:
    """The folder itself if it is a run, otherwise every run below it, in order of their names."""
    runs = []
    for place, folders, files in os.walk(folder, followlinks=False):
        if "config.toml" in files and RunFolder(Path(place)).is_run:
            runs.append(Path(place))
            folders.clear()
        folders.sort()
    return runs
