"""A studio in a process of its own, for the benchmarks of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """Where it answers."""

    host: str
    """With the port, as the header Host has it."""
    token: str
    pid: int

    @property
    def port(self) -> int:
        return int(self.host.rpartition(":")[2])


@contextmanager
def studio(runs: Path) -> Iterator[Server]:
    """A studio of the runs below a folder, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ganvas", "studio", str(runs), "--no-browser"],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout
        address = [process.stdout.readline() for _ in range(2)][1].strip()
        _, _, host, token, _ = address.split("/")
        yield Server(host, token, process.pid)
    finally:
        process.terminate()
        process.wait(60)
