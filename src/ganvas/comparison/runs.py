"""Run folders as a comparison reads them: whatever of their files is there, from any version."""

from __future__ import annotations

import glob
import json
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ganvas import config
from ganvas.comparison.spread import number_text
from ganvas.config import Length
from ganvas.errors import UsageError
from ganvas.rundir import RunFolder

UNSET = "unset"


@dataclass(frozen=True)
class RunRecord:
    """What a run folder says of its run. What a file lacks is missing here, never guessed."""

    folder: RunFolder
    settings: dict[str, Any]
    """config.toml by dotted names; under data.sha256 what env.json says of the images."""
    environment: dict[str, Any]
    """env.json by dotted names."""
    log: list[dict[str, Any]]
    """The lines of log.jsonl."""
    rows: list[dict[str, Any]]
    """The lines of metrics.jsonl."""
    status: dict[str, Any] = field(default_factory=dict)
    """status.json: how the run stands; empty if it was made before there was such a file."""

    @property
    def path(self) -> str:
        return str(self.folder.path)

    @property
    def recipe(self) -> str:
        return str(self.settings.get("recipe", UNSET))

    @property
    def seed(self) -> Any:
        return self.settings.get("seed", UNSET)

    @property
    def code(self) -> str:
        """Version and source of ganvas that began the run: '0.1.0 (03183d6dd314)'."""
        version = self.environment.get("versions.ganvas", UNSET)
        return f"{version} ({str(self.environment.get('source_sha256', UNSET))[:12]})"

    @cached_property
    def begun(self) -> str:
        """When the run was begun, in UTC, by the name of its first TensorBoard file."""
        names = [path.name for path in self.folder.path.glob("events.out.tfevents.*")]
        stamps = [int(m[1]) for n in names if (m := re.match(r"events\.out\.tfevents\.(\d+)", n))]
        if not stamps:
            return UNSET
        return datetime.fromtimestamp(min(stamps), UTC).strftime("%Y-%m-%d %H:%M")

    def last(self, key: str) -> float | None:
        """A value of the log's last line."""
        return number(self.log[-1].get(key)) if self.log else None

    @property
    def finished(self) -> bool:
        """Whether the run says so; otherwise, whether its log reaches the length in the settings.

        The log cannot tell of a run by the clock, which ends before its minutes are over.
        """
        if self.status.get("state") in ("finished", "stopped", "failed"):
            return bool(self.status["state"] == "finished")
        done, whole, _ = self._progress
        return bool(whole) and done >= whole

    @property
    def state(self) -> str:
        done, whole, unit = self._progress
        if not self.log:
            return "nothing logged"
        if self.finished:
            return "finished"
        return f"at {number_text(done)} of {number_text(whole)} {unit}"

    @property
    def _progress(self) -> tuple[float, float, str]:
        """How much is done, of how much, in the unit of the run's length."""
        try:
            length = Length.parse(self.settings.get("train.length"))
        except ValueError:
            return self.last("epoch") or 0.0, 0.0, "epochs"
        done = {
            "epochs": self.last("epoch"),
            "images": self.last("images"),
            "minutes": (self.last("seconds") or 0.0) / 60,
        }
        return done[length.unit] or 0.0, length.amount, length.unit


def read_runs(what: Sequence[str | Path]) -> list[RunRecord]:
    """The runs of run folders, of all run folders below other folders, and of patterns.

    Raises:
        UsageError: there is no run, or its config.toml cannot be read.
    """
    folders: dict[Path, Path] = {}
    for given in what:
        for path in _run_folders(given):
            folders.setdefault(path.resolve(), path)
    if not folders:
        raise UsageError("compare: found no runs; name run folders, or a folder that holds some")
    return [_read(RunFolder(path)) for path in folders.values()]


def _run_folders(given: str | Path) -> list[Path]:
    path = Path(given)
    if not path.exists() and any(sign in str(given) for sign in "*?["):
        matches = [Path(match) for match in sorted(glob.glob(str(given), recursive=True))]
        found = [run for match in matches if match.is_dir() for run in _below(match)]
        if not found:
            raise UsageError(f"'{given}' matches no run folder (config.toml and log.jsonl)")
        return found
    if not path.is_dir():
        raise UsageError(
            f"'{given}' is not a folder; name run folders, or a folder that holds some"
        )
    found = _below(path)
    if not found:
        raise UsageError(
            f"'{given}' is no run folder and there is none below it; "
            "a run folder holds config.toml and log.jsonl"
        )
    return found


def _below(folder: Path) -> list[Path]:
    """The folder itself if it is a run, otherwise every run below it, in order of their names."""
    runs = []
    for place, folders, files in os.walk(folder, followlinks=False):
        if {"config.toml", "log.jsonl"} <= set(files):
            runs.append(Path(place))
            folders.clear()
        folders.sort()
    return runs


def _read(folder: RunFolder) -> RunRecord:
    try:
        tables = tomllib.loads(folder.config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"'{folder.config}' cannot be read: {error}") from None
    environment = dict(config.leaves(_object(folder.environment)))
    plain = json.loads(json.dumps(tables, default=str))  # dates, which TOML has and JSON lacks
    settings = dict(config.leaves(config.from_older(plain)))
    if "data.sha256" in environment:
        settings["data.sha256"] = str(environment["data.sha256"])[:12]
    lines = _lines(folder.log), _lines(folder.metrics)
    return RunRecord(folder, settings, environment, *lines, _object(folder.path / "status.json"))


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; a line that a crash cut short is left out."""
    lines = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.split("\n"):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            lines.append(value)
    return lines


def number(value: object) -> float | None:
    """A number as a float; None for anything else, infinite ones and those near it too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None
