"""What a run folder says of its run, from its files alone."""

from __future__ import annotations

import gzip
import json
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import safe_open

from reproduction.plan import PLAN, Planned

NUM = 10_000
"""Fakes, and as many test images, that a finished run is measured with."""
RECENT = 50
"""Log lines that the present speed is taken from."""

Line = dict[str, Any]


@dataclass(frozen=True)
class Folder:
    """A run of the plan in its folder; the folder need not be there yet."""

    planned: Planned
    path: Path

    @property
    def log_file(self) -> Path:
        """What `ganvas train` printed, over all sittings."""
        return self.path.parent / "logs" / f"{self.planned.name}.log"

    @property
    def has_begun(self) -> bool:
        return (self.path / "config.toml").is_file()

    @cached_property
    def config(self) -> dict[str, Any]:
        return tomllib.loads((self.path / "config.toml").read_text(encoding="utf-8"))

    @cached_property
    def environment(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "env.json").read_text(encoding="utf-8"))
        return found

    @cached_property
    def log(self) -> list[Line]:
        """The lines of log.jsonl, or of log.jsonl.gz in a folder that was kept."""
        return read_lines(self.path / "log.jsonl")

    @cached_property
    def metrics(self) -> list[Line]:
        return read_lines(self.path / "metrics.jsonl")

    @cached_property
    def step(self) -> int:
        return int(self.log[-1]["step"]) if self.log else 0

    @property
    def images(self) -> int:
        return int(self.log[-1]["images"]) if self.log else 0

    @property
    def seconds(self) -> float:
        """Training time, over all sittings."""
        return float(self.log[-1]["seconds"]) if self.log else 0.0

    @property
    def speed(self) -> float:
        """Images a second over the last log lines."""
        if len(self.log) < 2:
            return float(self.log[-1]["images_per_second"]) if self.log else 0.0
        first, last = self.log[max(0, len(self.log) - RECENT)], self.log[-1]
        seconds = last["seconds"] - first["seconds"]
        return float((last["images"] - first["images"]) / seconds) if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the present speed; None where there is none to tell it by."""
        if not self.step or not self.speed:
            return None
        return self.images / self.step * max(0, self.planned.steps - self.step) / self.speed

    @property
    def is_finished(self) -> bool:
        """Whether the last step is done and its generator saved."""
        done = self.step >= self.planned.steps
        return done and images_of(self.path / "generator") == self.images

    def has_had(self, steps: int | None) -> bool:
        return steps is not None and self.step >= steps

    @property
    def failure(self) -> str:
        """The line with which the last sitting failed; empty if it did not."""
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return lines[-1] if lines and lines[-1].startswith("ganvas: ") else ""

    def state(self, running: set[Path]) -> str:
        """finished, running, failed, stopped or waiting."""
        if self.path.resolve() in running:
            return "running"
        if self.is_finished:
            return "finished"
        if self.failure:
            return "failed"
        return "stopped" if self.has_begun else "waiting"

    @property
    def newest_distance(self) -> str:
        """The newest Fréchet distance with its protocol, such as 'fd2k 127.5'."""
        rows = [row for row in self.metrics if is_distance(row["metric"]) and row.get("step")]
        if not rows:
            return ""
        row = max(rows, key=lambda row: row["step"])
        return f"{row['metric']} {row['values']['distance']:.4g}"

    def measured(self, images: int) -> dict[str, Line]:
        """The rows of 10,000 fakes of the generator that had been shown so many images.

        By the metric's short name; the newest of each.
        """
        rows: dict[str, Line] = {}
        for row in self.metrics:
            short = re.sub(r"\d+k?$", "", row["metric"])
            if row["images"] == images and row["num_fake"] == NUM and row["split"] == "test":
                rows[short] = row
        return rows

    def generators(self) -> dict[str, int]:
        """'last' and 'best', each with the images that it had been shown; none if not there."""
        places = {"last": self.path / "generator", "best": self.path / "best"}
        found = {which: images_of(place) for which, place in places.items()}
        return {which: images for which, images in found.items() if images is not None}

    def step_of(self, images: int) -> int:
        """The step at which so many images had been shown, rounded to a whole one."""
        return round(images * self.step / self.images) if self.images else 0

    def sheets(self) -> dict[int, Path]:
        """Sample sheets by step."""
        return {self._step_of(path): path for path in sorted(self.path.glob("samples/*.png"))}

    def _step_of(self, sheet: Path) -> int:
        kind, _, number = sheet.stem.partition("-")
        return int(number) * (self.steps_per_epoch if kind == "epoch" else 1)

    @property
    def steps_per_epoch(self) -> int:
        images, batch = self.environment["data"]["images"], self.config["train"]["batch_size"]
        if self.config["train"]["drop_last"] or self.config["train"]["order"] == "replacement":
            return int(images // batch)
        return -int(-images // batch)

    def shown_sheets(self) -> dict[int, Path]:
        """The sheets at the moments that the published document shows, and the last one."""
        sheets = self.sheets()
        last = max(sheets, default=0)
        wanted = {*self.planned.published["moments"], last}
        return {step: path for step, path in sheets.items() if step in wanted}

    def note(self, name: str) -> dict[str, Any]:
        """A JSON file beside the run's own, such as legible.json; empty if there is none."""
        path = self.path / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def read_lines(path: Path) -> list[Line]:
    """The JSON objects of a file, or of the same with .gz; one that was cut short is left out."""
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    elif (packed := path.with_name(path.name + ".gz")).is_file():
        text = gzip.decompress(packed.read_bytes()).decode()
    else:
        return []
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


def images_of(generator: Path) -> int | None:
    """The real images that a saved generator had been shown; None if there is none."""
    path = generator / "model.safetensors"
    if not path.is_file():
        return None
    with safe_open(path, "numpy") as file:
        return int((file.metadata() or {}).get("images_seen", 0))


def is_distance(metric: str) -> bool:
    return re.fullmatch(r"fd\d+k?", metric) is not None


def open_all(root: Path, runs: Iterable[Planned]) -> list[Folder]:
    return [Folder(run, root / run.name) for run in runs]


def running(root: Path) -> set[Path]:
    """Run folders below `root` that a `ganvas train` works on now, whoever started it (Linux)."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            here = (process / "cwd").resolve()
        except OSError:
            continue  # it has ended, or is not ours to look at
        if "train" in words and os.getpid() != int(process.name):
            found |= {(here / word).resolve() for word in words if word}
    return found & {(root / planned.name).resolve() for planned in PLAN}
