"""The watchdog at work in a run: what it looks at and when, and how it says what it saw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from ganvas.training.progress import Reporter
from ganvas.training.rollback import MOST, Back, way_back
from ganvas.training.session import Session
from ganvas.training.tracing import origin
from ganvas.training.watchdog import (
    Alarm,
    Place,
    check_data,
    check_finite,
    check_losses,
    check_rows,
    check_samples,
    check_weights,
    not_finite,
)


@dataclass
class Watch:
    """Looks at a run in progress; what it sees waits in `alarms` until it is told."""

    session: Session
    reporter: Reporter
    alarms: list[Alarm] = field(default_factory=list)
    note: str = ""
    """The newest alarm in short, for the progress line."""

    def begin(self) -> None:
        """Look at the training images and at the nets, before the first step of a run."""
        session = self.session
        if session.state.step == 0:
            self._look_at_weights()
            said = [line for line in session.folder.read_watchdog() if line["fault"] == "data"]
            if not said:
                self.alarms += check_data(session.run, len(session.data), session.reals)
            self.tell()

    def is_spoilt(self) -> bool:
        """Whether a loss of the newest step is the first that is not finite.

        Only where a look costs no waiting; elsewhere it is seen at the next line of the log.
        """
        state = self.session.state
        if state.device.type != "cpu" or "not_finite" in state.memory:
            return False
        return bool(not_finite(state.latest))

    def line(self, line: Mapping[str, float], share: float) -> None:
        """Look at a line of the log, with the run as far as `share`."""
        run, memory, place = self.session.run, self.session.state.memory, self._place()
        losses = not_finite(line)
        where = origin(self.session, share) if losses and "not_finite" not in memory else ""
        self.alarms += check_finite(run, place, losses, where, memory)
        if not losses:
            self.alarms += check_losses(run, place, line, self._pace(), memory)
            self._look_at_weights()

    def sheet(self, is_last: bool) -> None:
        """Look at the newest sheet."""
        session = self.session
        fakes, memory = session.sheet(), session.state.memory
        place = self._place(is_last)
        self.alarms += check_samples(session.run, place, fakes, session.reals, memory)

    def rows(self, is_last: bool) -> None:
        """Look at the newest evaluation."""
        session, monitor = self.session, self.session.monitor
        if not monitor.last or monitor.last[0].step != session.state.step:
            return  # it could not be measured
        place, memory = self._place(is_last), session.state.memory
        criterion = monitor.plan.criterion
        self.alarms += check_rows(
            session.run, place, monitor.last, monitor.best_rows, criterion, memory
        )

    @property
    def is_failing(self) -> bool:
        """Whether the run is not to go on as it does."""
        return any(alarm.action != "warn" for alarm in self.alarms)

    def tell(self) -> Back | None:
        """Say what was seen since the last time, and keep it in the run folder.

        Returns the way back, where there is to be one. `alarms` is empty afterwards, but for those
        that the run is to stop for.
        """
        told, self.alarms = self.alarms, []
        back = self._way_back(told)
        for alarm in told:
            action = alarm.action
            if action == "rollback":
                action = "rollback" if back else "stop"
            if action != alarm.action:
                alarm = replace(alarm, seen=f"{alarm.seen}, after the run went back {MOST} times")
            if action == "stop":
                self.alarms.append(alarm)
            self.reporter.warn(alarm.message)
            place = self._place()
            self.note = f"! {alarm.fault.replace('_', ' ')} at {place.images:,} images"
            self.session.folder.append_watchdog(
                {
                    "step": place.step,
                    "images": place.images,
                    "fault": alarm.fault,
                    "message": alarm.message,
                    "seen": alarm.seen,
                    "advice": alarm.advice,
                    "action": action,
                    "change": back.words if back and action == "rollback" else "",
                    "rollbacks": int(self.session.state.memory.get("rollbacks", 0)),
                }
            )
        if self.alarms:
            return None
        if back:
            self.reporter.warn(back.words)
        return back

    def _way_back(self, alarms: Sequence[Alarm]) -> Back | None:
        actions = {alarm.action for alarm in alarms}
        if "rollback" not in actions or "stop" in actions:
            return None
        session = self.session
        alarm = min(
            (alarm for alarm in alarms if alarm.action == "rollback"), key=lambda one: one.since
        )
        return way_back(session.run, session.folder, alarm, session.state.memory)

    def _place(self, is_last: bool = False) -> Place:
        step = self.session.state.step
        return Place(step, self.session.lengths.images_at(step), is_last)

    def _pace(self) -> float:
        """G's mean step in learning rates, of the optimizer that moves it most."""
        run, optimizers = self.session.run, self.session.state.players.optimizers
        paces = [
            optimizers[name].pace() for name, net in run.update.optimizers.items() if net == "G"
        ]
        return max(paces, default=math.inf)

    def _look_at_weights(self) -> None:
        session, players = self.session, self.session.state.players
        sizes = {"G": _size(players.G), "D": _size(players.D)}
        self.alarms += check_weights(session.run, self._place(), sizes, session.state.memory)


def _size(net: nn.Module) -> float:
    """Root mean square of a net's weights, without biases and BatchNorm's scales."""
    weights = [value.detach() for value in net.parameters() if value.dim() > 1]
    total = sum(float(value.square().sum()) for value in weights)
    return math.sqrt(total / max(1, sum(value.numel() for value in weights)))
