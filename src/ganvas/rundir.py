"""The run folder: its file names, its log, its record of the machine and the code."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganvas import config
from ganvas.config import Run
from ganvas.errors import UsageError
from ganvas.files import write_file, writing

Line = dict[str, float | None]


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps what it makes. Every file is written whole, or appended line by line."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def environment(self) -> Path:
        return self.path / "env.json"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def reals(self) -> Path:
        return self.path / "reals.png"

    @property
    def losses(self) -> Path:
        return self.path / "losses.png"

    @property
    def animation(self) -> Path:
        return self.path / "training.gif"

    @property
    def generator(self) -> Path:
        return self.path / "generator"

    @property
    def best(self) -> Path:
        """The generator with the best value of the metric that decides."""
        return self.path / "best"

    def checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:08d}"

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted(self.path.glob("checkpoints/step-*"))

    def step_of(self, checkpoint: Path) -> int:
        return int(checkpoint.name.removeprefix("step-"))

    def prune_checkpoints(self, keep: int, best: int | None = None) -> None:
        """Remove all but the newest `keep` checkpoints and that of step `best`."""
        for old in self.checkpoints()[:-keep]:
            if self.step_of(old) != best:
                shutil.rmtree(old)

    def sweep(self) -> None:
        """Remove what a kill left of files and checkpoints that were being written."""
        for place in (
            self.path,
            self.generator,
            self.best,
            *(self.path / p for p in ("checkpoints", "samples", "wide")),
        ):
            for entry in place.glob(".*"):
                if re.fullmatch(r"\.step-\d+\.\d+", entry.name):
                    shutil.rmtree(entry)
                elif re.fullmatch(r"\..+\.[a-z]+\.\w{8}", entry.name) and entry.is_file():
                    entry.unlink()

    def samples(self) -> list[Path]:
        """Sample sheets in the order in which they were drawn."""
        return sorted(self.path.glob("samples/*.png"))

    def create(self, run: Run, environment: Mapping[str, Any]) -> None:
        """Make the folder with the run's config and environment in it.

        Raises:
            UsageError: there is a run in it already.
            RunError: it cannot be written.
        """
        if self.config.exists():
            raise UsageError(
                f"--outdir: '{self.path}' holds a run already; go on with it "
                f"(ganvas train --resume {self.path}) or name another folder"
            )
        with writing(self.path):
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            (self.path / "samples").mkdir(exist_ok=True)
        write_file(self.environment, json.dumps(environment, indent=1).encode())
        write_file(self.log, b"")
        write_file(self.config, config.save(run).encode())  # last: it marks the folder as a run

    def read_environment(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self.environment.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"'{self.environment}' cannot be read: {error}") from None
        return record

    def read_log(self) -> list[Line]:
        """The log's lines; one that a crash cut short is left out."""
        lines: list[Line] = []
        for text in self.log.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
        return lines

    def rewind(self, step: int) -> None:
        """Drop what was logged and evaluated after `step`, for it is about to be done again."""
        kept = [json.dumps(line) for line in self.read_log() if (line["step"] or 0) <= step]
        write_file(self.log, "".join(line + "\n" for line in kept).encode())
        if self.metrics.is_file():
            rows = self.metrics.read_text(encoding="utf-8").splitlines()
            kept = [row for row in rows if (_parsed(row).get("step") or 0) <= step]
            write_file(self.metrics, "".join(row + "\n" for row in kept).encode())

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows of all evaluations, oldest first; what is none is left out."""
        if not self.metrics.is_file():
            return []
        rows = map(_parsed, self.metrics.read_text(encoding="utf-8").splitlines())
        return [row for row in rows if row]

    def append_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; the file is written whole."""
        old = self.metrics.read_bytes() if self.metrics.is_file() else b""
        if old and not old.endswith(b"\n"):
            old += b"\n"
        added = "".join(json.dumps(row) + "\n" for row in rows)
        write_file(self.metrics, old + added.encode())

    def append_log(self, line: Mapping[str, float]) -> None:
        """Add a line; values that are not finite are written as null."""
        finite = {key: value if math.isfinite(value) else None for key, value in line.items()}
        with writing(self.log), self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite) + "\n")

    def flush_log(self) -> None:
        """Have what was logged so far on disk when this returns."""
        with writing(self.log), self.log.open("a") as file:
            os.fsync(file.fileno())


def _parsed(text: str) -> dict[str, Any]:
    """A line's JSON object; an empty one if it holds none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def next_folder(recipe: str, runs: Path = Path("runs")) -> Path:
    """runs/RECIPE-NNN with the first number that is free."""
    taken = [re.fullmatch(rf"{re.escape(recipe)}-(\d+)", path.name) for path in runs.glob("*")]
    number = 1 + max((int(match[1]) for match in taken if match), default=0)
    return runs / f"{recipe}-{number:03d}"
