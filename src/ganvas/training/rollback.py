"""Going back after a failure: to which checkpoint, and what is done otherwise from there.

A run that goes on from a checkpoint takes the same steps as before and fails again, so something
must change. What changes is kept in the state's memory, hence in each later checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ganvas.config import Run
from ganvas.files import remove_folder
from ganvas.rundir import RunFolder
from ganvas.seeds import stream
from ganvas.training.state import State
from ganvas.training.watchdog import Alarm, Fault

MOST: Final = 3
"""Times that a run goes back; after that it stops."""

Factors = dict[str, float]
"""By the net's name, what its learning rate is multiplied by."""

FACTORS: Final[dict[Fault, Factors]] = {
    "not_finite": {"G": 0.1, "D": 0.1},  # rates that diverge are mostly wrong by a power of ten
    "diverged": {"G": 0.1, "D": 0.1},
    "dead_discriminator": {"D": 0.25},
    "collapse": {"G": 0.5, "D": 0.25},
    "worse": {"G": 0.5, "D": 0.5},
}
FRESH: Final[tuple[Fault, ...]] = ("collapse",)
"""Faults after which latents are drawn anew, too."""


@dataclass(frozen=True)
class Back:
    """A way back."""

    step: int
    """Of the checkpoint; 0: the beginning."""
    changes: Mapping[str, float]
    """What the state is to remember besides what it remembers there."""
    words: str


def way_back(run: Run, folder: RunFolder, alarm: Alarm, memory: Mapping[str, float]) -> Back | None:
    """Where to go on after a fault, and how; None if a run went back often enough.

    To the newest checkpoint from before the fault; if it was gone back to before, to the one before
    that, since it may carry the seed of the fault.
    """
    times = int(memory.get("rollbacks", 0))
    if times >= MOST:
        return None
    tried = memory.get("rolled_to", -1)
    good = [step for step in map(folder.step_of, folder.checkpoints()) if step <= alarm.since]
    step = next((step for step in reversed(good) if step != tried), 0)
    changes = {key: value for key, value in memory.items() if key.startswith("rate/")}
    changes |= {"rollbacks": times + 1.0, "rolled_to": float(step)}
    for net, factor in FACTORS[alarm.fault].items():
        changes[f"rate/{net}"] = memory.get(f"rate/{net}", 1.0) * factor
    where = f"to the checkpoint at step {step:,}" if step else "to the beginning"
    rates = " and ".join(
        f"{net}'s learning rate is {changes[f'rate/{net}']:g} of what was set"
        for net in FACTORS[alarm.fault]
    )
    fresh = ""
    if alarm.fault in FRESH:
        fresh, changes["fresh"] = ", latents are drawn from another seed", 1.0
    return Back(step, changes, f"back {where}; from there {rates}{fresh} ({times + 1} of {MOST})")


def go_back(folder: RunFolder, step: int, images: int) -> None:
    """Remove checkpoints after a step, and a best generator that saw more images than it had."""
    for checkpoint in folder.checkpoints():
        if folder.step_of(checkpoint) > step:
            remove_folder(checkpoint)
    if (folder.images_of(folder.best) or 0) > images:
        remove_folder(folder.best)


def follow_changes(run: Run, state: State) -> None:
    """Have the optimizers follow what the state remembers of the changes."""
    for name, net in run.update.optimizers.items():
        state.players.optimizers[name].factor = state.memory.get(f"rate/{net}", 1.0)


def make_changes(run: Run, state: State, changes: Mapping[str, float]) -> None:
    """Go on otherwise, right after the state was put back."""
    state.memory.update(changes)
    follow_changes(run, state)
    if changes.get("fresh"):
        seed = stream(run.seed, "latents", int(changes["rollbacks"]))
        state.players.stream.manual_seed(seed)
