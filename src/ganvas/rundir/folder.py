"""`RunFolder`: a run's files, its lock, its checkpoints, its status, its log."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ganvas.errors import RunError, UsageError
from ganvas.files import (
    Locked,
    append_lines,
    holder,
    locked,
    missing,
    remove_empty,
    remove_folder,
    write_file,
    writing,
)
from ganvas.rundir.lines import as_object, content_of, number, read_lines
from ganvas.rundir.status import Status, now

if TYPE_CHECKING:
    from ganvas.config import Run

FORMAT: Final = 1
"""Of a run folder. Folders written before there was a number count as 0, and are read too."""
CHECKPOINT_FILES: Final = ("state.json", "state.safetensors")
"""What a complete checkpoint holds."""
LARGEST_HEADER: Final = 1 << 20
"""Bytes that are read of a weights file's header at most."""
SILENT: Final = 120.0
"""Seconds after which a run on another machine that says nothing new counts as silent."""
PATIENCE: Final = 0.5
"""Seconds to wait for a lock that somebody may be looking at, or letting go of."""
APPENDING: Final = 20.0
"""Seconds to wait until somebody else has added rows."""

_NEWLY_WRITTEN: Final = re.compile(
    r"\.(config\.toml|env\.json|(log|metrics|watchdog)\.jsonl|status\.json"
    r"|reals\.png|losses\.png|training\.gif)\.\w{8}"
)
"""Names under which training writes aside in the folder itself; other verbs have other names."""

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
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def watchdog(self) -> Path:
        return self.path / "watchdog.jsonl"

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

    @property
    def is_run(self) -> bool:
        """Whether there is a run in it, whatever of its files are missing."""
        others = (self.log, self.environment, self.status, self.path / "checkpoints")
        return self.config.is_file() and any(other.exists() for other in others)

    def samples(self) -> list[Path]:
        """Sample sheets in the order in which they were drawn."""
        return sorted(self.path.glob("samples/*.png"))

    def images_of(self, generator: Path) -> int | None:
        """Real images shown to a saved generator, by its file; None if there is none to read."""
        try:
            with (generator / "model.safetensors").open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header = as_object(file.read(min(size, LARGEST_HEADER))) or {}
            return int(header["__metadata__"]["images_seen"])
        except (OSError, LookupError, TypeError, ValueError):
            return None

    # Begin, hold, end

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
        self.write_environment(environment)
        write_file(self.log, b"")
        self.rewrite_config(run)  # last: it marks the folder as a run

    def rewrite_config(self, run: Run) -> None:
        """Write the run's settings; RunError if that is not possible."""
        from ganvas import config  # here, since readers of run folders can do without it

        write_file(self.config, config.save(run).encode())

    @contextmanager
    def locked(self) -> Iterator[RunFolder]:
        """Keep everybody else from training in this folder; the kernel unlocks it after a kill.

        Folders that are made for it are removed again if nothing was written into them.

        Raises:
            UsageError: a process trains in it already, or a later version of ganvas wrote it.
            RunError: it cannot be written.
        """
        written = number(self.read_environment().get("format"))
        if written and written > FORMAT:
            raise UsageError(
                f"'{self.path}' is a run folder of format {written}, of a later version of ganvas; "
                f"this version goes on with format {FORMAT} and earlier ones"
            )
        with writing(self.path), ExitStack() as stack:
            stack.callback(remove_empty, missing(self.path))
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(locked(self._lock, PATIENCE))
            except Locked as error:
                raise UsageError(
                    f"'{self.path}' is in use: {error.holder or 'another process'} trains in it; "
                    "wait for its end, stop it, or name another folder"
                ) from None
            held = stack.pop_all()
        with held:
            yield self

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def sweep(self) -> None:
        """Tidy up what a kill left behind; only who has the folder `locked` may do it.

        Files and checkpoints that were being written or removed go. A checkpoint that was being
        replaced comes back, unless its replacement is in place.
        """
        checkpoints = self.path / "checkpoints"
        for aside in checkpoints.glob(".step-*.old"):  # as `replace_folder` names them
            kept = checkpoints / aside.name.removeprefix(".").removesuffix(".old")
            if _is_complete(aside) and not _is_complete(kept):
                shutil.rmtree(kept, ignore_errors=True)
                with writing(kept):
                    aside.rename(kept)
            else:
                shutil.rmtree(aside, ignore_errors=True)
        for entry in checkpoints.glob("*"):
            if re.fullmatch(r"\.step-\d+\.\d+", entry.name) or _is_half(entry):
                shutil.rmtree(entry, ignore_errors=True)
        for entry in self.path.glob(".*"):
            if _NEWLY_WRITTEN.fullmatch(entry.name):
                entry.unlink(missing_ok=True)
        for folder in (self.generator, self.best, self.path / "samples", self.path / "wide"):
            for entry in folder.glob(".*"):
                if re.fullmatch(r"\..+\.[a-z]+\.\w{8}", entry.name) and entry.is_file():
                    entry.unlink(missing_ok=True)

    # Checkpoints

    def checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:08d}"

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first; copies and other names beside them do not count."""
        found = self.path.glob("checkpoints/step-*")
        whole = [path for path in found if _step(path.name) is not None and _is_complete(path)]
        return sorted(whole, key=self.step_of)

    def step_of(self, checkpoint: Path) -> int:
        return int(checkpoint.name.removeprefix("step-"))

    def prune_checkpoints(self, keep: int, best: int | None = None) -> None:
        """Remove all complete checkpoints but the newest `keep`, at least one, and that of `best`.

        None is ever met half removed, and nothing else beside them is touched.
        """
        for old in self.checkpoints()[: -max(1, keep)]:
            if self.step_of(old) != best:
                remove_folder(old)

    # Settings and environment

    def read_settings(self) -> dict[str, Any]:
        """config.toml as tables, of whatever version; UsageError if it cannot be read."""
        try:
            text = self.config.read_text(encoding="utf-8")
            return tomllib.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"'{self.config}' cannot be read: {error}") from None

    def read_environment(self) -> dict[str, Any]:
        """env.json, of whatever version; what it lacks is not there, but `data`, then empty."""
        found = as_object(content_of(self.environment)) or {}
        data = found.get("data")
        return found | {"data": data if isinstance(data, dict) else {}}

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        record = {"format": FORMAT} | dict(environment)
        write_file(self.environment, json.dumps(record, indent=1).encode())

    # Status

    def write_status(self, status: Status) -> None:
        """Say how the run is doing; cheap, whole at any moment, and no reason to end a run."""
        record = {"format": FORMAT} | asdict(status)
        if self.path.is_dir():
            try:
                write_file(self.status, json.dumps(record, indent=1).encode(), durable=False)
            except RunError:
                pass  # what fails here fails where it matters too, and is told there

    def fail(self, reason: str) -> None:
        """Say that the run failed, and why, if it is this process that runs it."""
        status = self.read_status()
        if status and (status.state, status.pid) == ("running", os.getpid()):
            self.write_status(replace(status, state="failed", reason=reason, time=now()))

    def read_status(self) -> Status | None:
        """status.json as it was written; None if it is missing, damaged, or says no state."""
        return Status.of_json(as_object(content_of(self.status)) or {})

    def judged_status(self) -> Status | None:
        """What to believe: as `read_status`, but a run that says `running` may be none.

        On this machine it is `killed` if no process holds the folder. Of a run on another machine
        that cannot be told: it is `silent`, since `time`, when it has said nothing for SILENT
        seconds.
        """
        status = self.read_status()
        if status is None or status.state != "running" or holder(self._lock):
            return status
        status = self.read_status()  # it may have ended between the two looks
        if status is None or status.state != "running":
            return status
        if status.host == socket.gethostname():
            return replace(status, state="killed")
        return replace(status, state="silent") if status.age > SILENT else status

    # Log and metrics

    def read_log(self) -> list[Line]:
        """The log's lines, None for what is no number; what is no line of a log is left out."""
        return [
            {key: number(value) for key, value in line.items()}
            for line in read_lines(self.log)
            if number(line.get("step")) is not None
        ]

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows of all evaluations, oldest first; what is none is left out."""
        return [row for row in read_lines(self.metrics) if isinstance(row.get("metric"), str)]

    def append_log(self, line: Mapping[str, float]) -> None:
        """Add a line; values that are not finite are written as null.

        Counts and clocks come first, then the scalars by name, whatever order they are given in.
        """
        finite = {key: value if math.isfinite(value) else None for key, value in line.items()}
        scalars = sorted(key for key in finite if "/" in key)
        ordered = {key: finite[key] for key in (*(k for k in finite if "/" not in k), *scalars)}
        append_lines(self.log, json.dumps(ordered).encode() + b"\n")

    def flush_log(self) -> None:
        """Have what was logged so far on disk when this returns."""
        append_lines(self.log, b"", durable=True)

    def append_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; of several processes that do so at once, none loses any."""
        added = "".join(json.dumps(row) + "\n" for row in rows)
        with locked(self._metrics_lock, APPENDING):
            append_lines(self.metrics, added.encode(), durable=True)

    def read_watchdog(self) -> list[dict[str, Any]]:
        """What the watchdog saw, oldest first; what is no such line is left out."""
        return [line for line in read_lines(self.watchdog) if isinstance(line.get("fault"), str)]

    def append_watchdog(self, line: Mapping[str, Any]) -> None:
        append_lines(self.watchdog, json.dumps(line).encode() + b"\n", durable=True)

    @property
    def _metrics_lock(self) -> Path:
        return self.path / ".metrics.lock"

    def rewind(self, step: int) -> list[str]:
        """Drop what was logged and evaluated after `step`, for it is about to be done again.

        All else stays as it is, byte for byte, but lines of the log that cannot be read. Returns
        what a user should know of, a sentence each.
        """
        remarks = []
        if not self.log.is_file():
            remarks.append(f"'{self.log}' is missing; what was logged up to step {step:,} is lost")
        lines = [
            (line, as_object(line)) for line in content_of(self.log).split(b"\n") if line.strip()
        ]
        read = [(line, found) for line, found in lines if found is not None]
        torn = 1 if lines and lines[-1][1] is None else 0  # the last line: a kill does that
        if lost := len(lines) - len(read) - torn:
            remarks.append(f"'{self.log}': {lost} damaged line{'s' * (lost > 1)} left out")
        write_file(self.log, _joined(line for line, found in read if not _is_after(found, step)))
        if self.metrics.is_file():
            with locked(self._metrics_lock, APPENDING):
                rows = content_of(self.metrics).split(b"\n")
                kept = (row for row in rows if row and not _is_after(as_object(row), step))
                write_file(self.metrics, _joined(kept))
        return remarks

    def rewind_watchdog(self, step: int, rollbacks: int) -> None:
        """Drop what was seen after `step` by a run that had gone back so often till there."""
        lines = content_of(self.watchdog).split(b"\n")
        kept = [of for of in lines if of and not _is_after(as_object(of), step, rollbacks)]
        if kept:
            write_file(self.watchdog, _joined(iter(kept)))
        else:
            self.watchdog.unlink(missing_ok=True)


def _joined(lines: Iterator[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _is_after(line: Mapping[str, Any] | None, step: int, rollbacks: int = 0) -> bool:
    line = line or {}
    found, times = number(line.get("step")), number(line.get("rollbacks")) or 0
    return found is not None and (times, found) > (rollbacks, step)


def _step(name: str) -> int | None:
    """The step in a checkpoint's name; None for other names."""
    match = re.fullmatch(r"step-(\d{8,})", name)
    return int(match[1]) if match else None


def _is_complete(checkpoint: Path) -> bool:
    return all((checkpoint / name).is_file() for name in CHECKPOINT_FILES)


def _is_half(entry: Path) -> bool:
    """Whether it is the rest of a checkpoint, with nothing in it that is somebody else's."""
    if _step(entry.name) is None or not entry.is_dir() or _is_complete(entry):
        return False
    return {path.name for path in entry.iterdir()} <= set(CHECKPOINT_FILES)
