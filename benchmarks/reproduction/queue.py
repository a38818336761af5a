"""Train the runs of the plan one after another, each in a process of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from reproduction.folder import Folder, open_all, running
from reproduction.plan import Planned

LOOK = 1.0
"""Seconds between two looks at a run in progress."""
PATIENCE = 300.0
"""Seconds that a run may take to end in order; a kill then loses what came after a checkpoint."""


@dataclass(frozen=True)
class Queue:
    """The runs in a folder and how they are trained."""

    root: Path
    runs: Sequence[Planned]
    threads: int = 1
    nice: int = 19
    device: str = ""
    """Empty: what `ganvas train` chooses."""
    big_first: bool = False
    """On a GPU: the longest first, and each to its end."""
    settings: tuple[str, ...] = ()
    """Further settings of runs that begin now."""

    def order(self) -> list[Planned]:
        if self.big_first:
            return sorted(self.runs, key=lambda run: -run.minutes)
        return list(self.runs)

    def work(self, minutes: float) -> bool:
        """Go on where it stopped, for so many minutes; True if nothing was left to begin."""
        deadline = time.monotonic() + 60 * minutes
        tried: set[str] = set()
        with _signals() as stopped:
            while not stopped.is_set() and time.monotonic() < deadline:
                started = self._start(tried)
                if started is None:
                    return True
                folder, process = started
                tried.add(folder.planned.name)
                self._wait(folder, process, deadline, stopped)
        return False

    def next(self, tried: set[str]) -> Folder | None:
        """The first run that is neither done nor in progress nor in `tried`."""
        busy = running(self.root)
        for folder in open_all(self.root, self.order()):
            planned = folder.planned
            if planned.name in tried or folder.path.resolve() in busy or folder.is_finished:
                continue
            if not self.big_first and folder.has_had(planned.enough):
                continue
            return folder
        return None

    def command(self, folder: Folder) -> list[str]:
        words = ["nice", "-n", str(self.nice), sys.executable, "-m", "ganvas", "train"]
        if folder.has_begun:
            return [*words, "--resume", str(folder.path)]
        device = ["--device", self.device] if self.device else []
        settings = [word for setting in self.settings for word in ("--set", setting)]
        return [
            *(words + folder.planned.arguments + device + settings),
            *("--outdir", str(folder.path)),
        ]

    def _start(self, tried: set[str]) -> tuple[Folder, subprocess.Popen[bytes]] | None:
        """Start the next run; a lock keeps two queues from starting the same one."""
        (self.root / "logs").mkdir(parents=True, exist_ok=True)
        with (self.root / ".queue.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder = self.next(tried)
            if folder is None:
                return None
            threads = str(self.threads)
            environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
            command = self.command(folder)
            _say(folder, f"{'goes on' if folder.has_begun else 'begins'}: {' '.join(command)}")
            with folder.log_file.open("ab") as log:
                process = subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
                )
        return folder, process

    def _wait(
        self,
        folder: Folder,
        process: subprocess.Popen[bytes],
        deadline: float,
        stopped: threading.Event,
    ) -> None:
        """Until the run ends, the time is up, or it has had enough steps."""
        planned, root = folder.planned, folder.path.parent
        began = time.monotonic()
        while process.poll() is None:
            stopped.wait(LOOK)
            now = Folder(planned, root / planned.name)
            enough = not self.big_first and now.has_had(planned.enough)
            if stopped.is_set() or time.monotonic() >= deadline or enough:
                _end(process)
                break
        now = Folder(planned, root / planned.name)
        spent = time.monotonic() - began
        said = now.state(running(root))
        reason = f": {now.failure}" if said == "failed" else ""
        _say(now, f"{said} at step {now.step:,} of {planned.steps:,} after {spent:.0f} s{reason}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to save its state and end; it is killed if it takes too long."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event, and the run in progress ends in order."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(folder: Folder, text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {folder.planned.name} {text}", flush=True)
