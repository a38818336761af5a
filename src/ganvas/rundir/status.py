"""How a run is doing: the content of status.json."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

RunState = Literal["running", "finished", "stopped", "failed", "killed", "silent"]
"""Those that are written, and two that a reader concludes: see `RunFolder.judged_status`.

`stopped` is a run that a signal ended in order; like one that was killed it can go on.
"""
WRITTEN: Final[tuple[RunState, ...]] = ("running", "finished", "stopped", "failed")


def now() -> str:
    """The time as a run folder has it: ISO 8601 in UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class Status:
    """What a run says of itself, and the process that says it."""

    state: RunState
    step: int = 0
    total: int | None = None
    """Steps of the whole run, as far as is known."""
    images: int | None = None
    """Real images shown."""
    recipe: str = ""
    reason: str = ""
    """Why it stopped or failed, in one line."""
    started: str = field(default_factory=now)
    """When this sitting began; the same in all that it writes."""
    time: str = field(default_factory=now)
    """When this was written."""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)

    @property
    def age(self) -> float:
        """Seconds since it was written; infinite if its time makes no sense."""
        try:
            return (datetime.now(UTC) - datetime.fromisoformat(self.time)).total_seconds()
        except (ValueError, TypeError):
            return math.inf

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Status | None:
        """What a status.json says, of whatever version; None if it does not say a state."""

        def text(key: str) -> str:
            value = found.get(key)
            return value if isinstance(value, str) else ""

        def count(key: str) -> int | None:
            value = found.get(key)
            return value if type(value) is int and value >= 0 else None

        if found.get("state") not in WRITTEN:
            return None
        return cls(
            state=found["state"],
            step=count("step") or 0,
            total=count("total"),
            images=count("images"),
            recipe=text("recipe"),
            reason=text("reason"),
            started=text("started"),
            time=text("time"),
            pid=count("pid") or 0,
            host=text("host"),
        )
