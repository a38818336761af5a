"""The runs below a folder: found, followed while they change, and never left.

A run has a short name in addresses; it is looked up among those that were found, so no path is ever
put together from what a request says.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ganvas.errors import UsageError, printable
from ganvas.rundir import RunFolder, find_runs
from ganvas.studio.reading import summary

FRESH: Final = 0.8
"""Seconds for which what was found counts as new."""
PATIENCE: Final = 0.6
"""Seconds that a first look may take before what was found by then is shown."""
WATCHED: Final = (
    "config.toml",
    "env.json",
    "status.json",
    "log.jsonl",
    "metrics.jsonl",
    "watchdog.jsonl",
    "reals.png",
    "samples",
    "checkpoints",
    "generator/model.safetensors",
    "best/model.safetensors",
)
"""What a run's description follows from."""

Mark = tuple[tuple[int, int, int] | None, ...]


class Unknown(LookupError):
    """There is no such run, generator or file."""


@dataclass
class Entry:
    """A run as it was when it was last looked at."""

    id: str
    """Its name in addresses: the path below the library's folder, with `~` for `/`."""
    folder: RunFolder
    mark: Mark
    summary: dict[str, Any]
    version: int
    """Grows with every change of any run."""


class Library:
    """All runs below a folder. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._entries: dict[str, Entry] = {}
        self._version = 0
        self._gone: dict[str, int] = {}
        self._looked = -float("inf")
        self._saved: tuple[float, dict[str, Path]] = (-float("inf"), {})
        self._lock = threading.Lock()
        self.complete = False
        """Whether all runs that there are have been looked at."""

    # What is known

    def entries(self) -> list[Entry]:
        """All runs, as they are now; of very many the first time those found by now."""
        self.refresh(PATIENCE if not self.complete else None)
        return list(self._entries.values())

    def entry(self, id: str) -> Entry:
        """A run; Unknown if there is none of that name."""
        if id not in self._entries:
            self.refresh(None)
        try:
            return self._entries[id]
        except KeyError:
            raise Unknown(f"there is no run '{printable(id):.80}'") from None

    @property
    def version(self) -> int:
        return self._version

    def changed(self, since: int) -> tuple[list[Entry], list[str]]:
        """The runs that changed after a version, and the names of those that are gone."""
        changed = [entry for entry in list(self._entries.values()) if entry.version > since]
        return changed, [id for id, version in list(self._gone.items()) if version > since]

    def refresh(self, patience: float | None = None) -> None:
        """Look for what is new, unless that was done a moment ago; end early after `patience`."""
        with self._lock:
            if time.monotonic() - self._looked < FRESH:
                return
            until = None if patience is None else time.monotonic() + patience
            self._look(until)
            self._looked = time.monotonic() if self.complete else -float("inf")

    def _look(self, until: float | None) -> None:
        found = dict(self._found())
        for id in set(self._entries) - set(found):
            del self._entries[id]
            self._version += 1
            self._gone[id] = self._version
        self.complete = True
        for id, folder in found.items():
            known = self._entries.get(id)
            if known is None and until is not None and time.monotonic() > until:
                self.complete = False
                continue
            self._look_at(id, folder, known)

    def _look_at(self, id: str, folder: RunFolder, known: Entry | None) -> None:
        mark = _mark(folder.path)
        running = known is not None and known.summary["state"] in ("running", "silent")
        if known is not None and known.mark == mark:
            if not running:
                return
            status = folder.judged_status()
            if status is not None and status.state == known.summary["state"]:
                return
        described = {"id": id, "name": self._name(folder.path), **summary(folder)}
        self._version += 1
        self._entries[id] = Entry(id, folder, mark, described, self._version)
        self._gone.pop(id, None)

    def _found(self) -> Iterator[tuple[str, RunFolder]]:
        try:
            folders = find_runs([self.root])
        except UsageError:
            folders = []  # none yet
        for folder in folders:
            if not self._leads_out(str(folder.path)):
                yield self._name(folder.path).replace("/", "~"), folder

    def _leads_out(self, folder: str) -> bool:
        """Whether something in a run's folder is a link to elsewhere."""
        places = (f"{folder}/{name}" for name in (*WATCHED, "generator", "best"))
        return any(os.path.islink(place) and not self.holds(Path(place)) for place in places)

    def _name(self, path: Path) -> str:
        relative = path.relative_to(self.root).as_posix()
        return printable(self.root.name if relative == "." else relative)

    # Generators that are no run's

    def saved_generators(self) -> dict[str, Path]:
        """Saved generators below the folder that lie in no run, by their names in addresses."""
        if time.monotonic() - self._saved[0] > FRESH:
            found = self._look_for_saved()  # before the clock is read: it may take long
            self._saved = time.monotonic(), found
        return self._saved[1]

    def _look_for_saved(self) -> dict[str, Path]:
        found = {}
        runs = {str(entry.folder.path) for entry in self.entries()}
        for place, folders, files in os.walk(self.root, followlinks=False):
            if place in runs:
                folders.clear()
                continue
            path = Path(place)
            if "config.json" in files and "model.safetensors" in files:
                folders.clear()
                if self.holds(path / "config.json") and self.holds(path / "model.safetensors"):
                    found[self._name(path).replace("/", "~")] = path
        return found

    # Where files may lie

    def holds(self, path: Path) -> bool:
        """Whether a path, all links followed, is below the folder (or there is nothing at it)."""
        try:
            return path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError):  # a circle of links
            return False


def _mark(folder: Path) -> Mark:
    """What changes whenever one of the watched files does."""
    return tuple(_stamp(f"{folder}/{name}") for name in WATCHED)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
