"""What is said of a run on its way, and how often: to the user, and in its status.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from ganvas.training import records
from ganvas.training.compute.device import wait_for
from ganvas.training.ending import Ending
from ganvas.training.progress import Reporter
from ganvas.training.session import Session
from ganvas.training.watch import Watch

STATUS_SECONDS: Final = 2.0
"""Least time between two looks at the run in its status.json."""
GLANCE_SECONDS: Final = 5.0
"""Time after which a user hears of a run whose log lines are further apart."""
FIRST_GLANCE: Final = 2
"""Steps, and seconds, after which that is so for the first time, with a first forecast."""


class Telling:
    """Tells the user how a run goes, at its log lines and between them; nothing in it changes.

    `now` is always of one clock.
    """

    def __init__(self, session: Session, ending: Ending, reporter: Reporter, watch: Watch) -> None:
        self._session, self._ending, self._reporter = session, ending, reporter
        self._watch = watch
        self._first_step = session.state.step
        self._told = self._shown = self._now = -math.inf
        self._warned = False

    def begin(self, now: float, finished: bool) -> None:
        """Say what is trained, or that it is `finished` already."""
        self._shown = now - GLANCE_SECONDS + FIRST_GLANCE
        total = self._ending.total
        text = _headline(self._session, total, finished)
        self._reporter.start(text, self._session.state.step, total)

    def step(self, now: float, seconds: float, logs: bool) -> None:
        """A step was made: write status.json and move the bar, and show what is new, if it is time.

        `seconds` are those of training, in all sittings. If it `logs`, a line follows by itself.
        """
        session, step = self._session, self._session.state.step
        self._now = now
        if now - self._told >= STATUS_SECONDS:
            records.write_status(session, "running", self._ending.total)
            self._reporter.tick(step)
            self._told = now
        is_early = step < self._first_step + FIRST_GLANCE
        if not logs and not is_early and now - self._shown >= GLANCE_SECONDS:
            wait_for(session.state.device)
            self.line(records.glance(session, seconds))

    def line(self, values: Mapping[str, float]) -> None:
        """Show a line, behind a forecast where it is the first."""
        if (fits := self._ending.forecast()) is not None:
            self._reporter.say(_fitting(self._session, fits))
        if self._ending.total is not None and not self._warned:
            said = self._session.monitor.costly(self._ending.total, values["seconds"])
            if said:
                self._reporter.say(said)
                self._warned = True
        notes = filter(None, (self._session.monitor.note, self._watch.note))
        self._reporter.line(values, self._ending.total, " · ".join(notes))
        self._shown = self._now


def _headline(session: Session, total: int | None, finished: bool) -> str:
    run, state = session.run, session.state
    if finished:
        return f"{run.recipe}: finished at step {state.step:,} already, in {session.folder.path}"
    channels, height, width = session.data.shape
    steps = f"{run.train.length} in steps" if total is None else f"{total:,} steps"
    drawn = session.lengths.images_per_step
    half = f"({seen} of them seen by D) " if (seen := session.lengths.seen(drawn)) < drawn else ""
    start = f"from step {state.step:,} " if state.step else ""
    headline = (
        f"{run.recipe}: {len(session.data):,} images {height}x{width}x{channels}, "
        f"{steps} of {drawn} images {half}{start}"
        f"on {state.device} in {str(state.players.precision).removeprefix('torch.')}, "
        f"in {session.folder.path}"
    )
    return "\n".join(filter(None, (headline, session.monitor.plan.about)))


def _fitting(session: Session, total: int) -> str:
    """How much fits into the minutes, from the steps made so far."""
    epochs = total / session.lengths.steps_per_epoch
    return f"about {epochs:.1f} epochs ({total:,} steps) fit in {session.run.train.length}"
