"""Runs as a comparison sees them: what their folders say, from any version, fit to be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ganvas import config
from ganvas.comparison.spread import number_text
from ganvas.config import Length
from ganvas.errors import printable
from ganvas.rundir import Line, RunFolder, Status, find_runs

UNSET = "unset"
DEEPEST: Final = 20
"""Tables in tables, beyond which nothing is read; ours have four."""


@dataclass(frozen=True)
class RunRecord:
    """What a run folder says of its run. What a file lacks is missing here, never guessed."""

    folder: RunFolder
    settings: dict[str, Any]
    """config.toml by dotted names; under data.sha256 what env.json says of the images."""
    environment: dict[str, Any]
    """env.json by dotted names."""
    log: list[Line]
    """The lines of log.jsonl."""
    rows: list[dict[str, Any]]
    """The lines of metrics.jsonl."""
    status: Status | None = None
    """How the run is doing, as far as it can be believed; None in folders of older versions."""

    @property
    def path(self) -> str:
        """The folder; `name` is how it is shown."""
        return str(self.folder.path)

    @property
    def name(self) -> str:
        return printable(self.path)

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
        try:
            return datetime.fromtimestamp(min(stamps), UTC).strftime("%Y-%m-%d %H:%M")
        except (ValueError, OverflowError, OSError):
            return UNSET  # no such file, or one with an odd name

    def last(self, key: str) -> float | None:
        """A value of the log's last line."""
        return self.log[-1].get(key) if self.log else None

    @cached_property
    def drawn_from(self) -> float | None:
        """Real images that the generator had been shown which the folder keeps as its newest."""
        return self.folder.images_of(self.folder.generator)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end: it says so, or its log has the length asked for."""
        if self.status:
            return self.status.state == "finished"
        done, whole, _ = self.progress
        return bool(whole) and done >= whole

    def outgrew(self, images: float | None) -> bool:
        """Whether the run ended with another generator than that after so many images."""
        newest = self.drawn_from
        return self.finished and images is not None and newest is not None and images < newest

    @property
    def state(self) -> str:
        """'finished', 'killed at 3 of 10 epochs', and of older versions 'at 3 of 10 epochs'."""
        done, whole, unit = self.progress
        word = self.status.state if self.status else ""
        if self.finished:
            return "finished"
        if not self.log:
            return f"{word}, nothing logged".removeprefix(", ")
        if not whole:
            return word or UNSET
        return f"{word} at {number_text(done)} of {number_text(whole)} {unit}".strip()

    @property
    def progress(self) -> tuple[float, float, str]:
        """How far the log goes, the length that was asked for, and the unit of both."""
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
    return [_read(folder) for folder in find_runs(what)]


def _read(folder: RunFolder) -> RunRecord:
    settings = dict(config.leaves(config.from_older(plain(folder.read_settings()))))
    environment = dict(config.leaves(plain(folder.read_environment())))
    environment.pop("format", None)
    settings.pop("imports", None)  # where code lay; what it is, the components' names say
    if "data.sha256" in environment:
        settings["data.sha256"] = str(environment["data.sha256"])[:12]
    rows = [
        _with_training_images(plain(row), settings, environment) for row in folder.read_metrics()
    ]
    return RunRecord(folder, settings, environment, folder.read_log(), rows, folder.judged_status())


def _with_training_images(
    row: dict[str, Any], settings: Mapping[str, Any], environment: Mapping[str, Any]
) -> dict[str, Any]:
    """A row of a version that did not say which images the generator was trained on: the run's."""
    own = str(row.get("data")).partition(" ")[0] == settings.get("data.name")
    if row.get("num_train") is not None or not own:
        return row
    known = {"num_train": environment.get("data.images")}
    return row | known | {"train_sha256": environment.get("data.sha256")}


def plain(value: Any, depth: int = 0) -> Any:
    """Plain values with every text in them printable: a folder may come from a stranger."""
    if value is None or isinstance(value, int | float):
        return value
    if depth == DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {printable(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    return printable(str(value))  # TOML has dates, which JSON and pages lack
