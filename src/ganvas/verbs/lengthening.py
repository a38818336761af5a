"""A run that goes on for longer than it was begun for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas.errors import UsageError

if TYPE_CHECKING:
    from ganvas.config import Length, Run
    from ganvas.rundir import RunFolder


def lengthened(begun: Run, run: Run, folder: RunFolder, checkpoint: Path | None) -> Run:
    """The run `begun` with the length of `run`, its ramps where they were.

    What is behind stays as it was trained: a ramp in percent of the run becomes one in images, so
    that values go on from where they are.

    Raises:
        UsageError: the run has come further than that, or would go on without learning anything.
    """
    from ganvas import config
    from ganvas.config import Lengths

    there = folder.checkpoints()
    num = folder.read_environment()["data"].get("images")
    if not there or not isinstance(num, int):
        raise UsageError(
            f"--resume: '{folder.path}' has no checkpoint yet, so its length cannot be changed; "
            "resume it as it is, or start a new run"
        )
    lengths = Lengths.of(begun, num)
    done = folder.step_of(checkpoint or there[-1])
    wanted = lengths.total_steps(run.train.length)
    if wanted is not None and wanted <= done:
        raise UsageError(
            f"train.length: found '{run.train.length}', which is {wanted:,} steps, and "
            f"'{folder.path}' has {done:,} behind it; allowed: more than that"
        )
    _check_minutes(begun.train.length, run.train.length, folder)
    total = lengths.total_steps(begun.train.length)
    changes = list(_in_images(begun, lengths, total, done, folder))
    tables = config.override(config.to_tables(begun), changes)
    tables = config.override(tables, [("train.length", str(run.train.length))])
    reason = f"lengthened from {begun.train.length} at step {done:,}"
    reasons = {key: text for key, text in run.reasons.items() if key not in dict(changes)}
    reasons |= {key: f"in percent of {begun.train.length} before" for key, _ in changes}
    return replace(config.build(tables), reasons=reasons | {"train.length": reason})


def said(begun: Run, run: Run) -> str:
    """What was changed of a run that is lengthened, in a line."""
    from ganvas import config

    before = dict(config.leaves(config.to_tables(begun)))
    moved = [
        f"{key} = '{value}'"
        for key, value in config.leaves(config.to_tables(run))
        if before[key] != value and key != "train.length"
    ]
    ramps = f"; ramps stay where they were: {', '.join(moved)}" if moved else ""
    return f"lengthened from {begun.train.length} to {run.train.length}{ramps}"


def refuse_start(begin_with: str | Path | None) -> None:
    """UsageError if a run that goes on is to begin with other weights."""
    if begin_with is not None:
        raise UsageError("--from: found with --resume; a run that goes on has weights of its own")


def _check_minutes(before: Length, after: Length, folder: RunFolder) -> None:
    if after.minutes is None:
        return
    log = folder.read_log()
    spent = (log[-1].get("seconds") or 0.0) / 60 if log else 0.0
    least = max(spent, before.minutes or 0.0)
    if after.minutes <= least:
        raise UsageError(
            f"train.length: found '{after}', and '{folder.path}' has {least:.3g} minutes behind "
            "it; allowed: more than that"
        )


def _in_images(
    begun: Run, lengths: Any, total: int | None, done: int, folder: RunFolder
) -> list[tuple[str, str]]:
    """Ramps in percent of the length so far as ramps in images, by their settings."""
    from ganvas import config
    from ganvas.config import Place, Ramp

    found = []
    for key, text in config.leaves(config.to_tables(begun)):
        try:
            ramp = Ramp.parse(text) if isinstance(text, str) else None
        except ValueError:
            continue
        if ramp is None:
            continue
        if key.endswith("learning_rate") and ramp.end == 0:
            raise UsageError(
                f"--resume: {key} is '{text}', so a longer run would learn nothing more; allowed: "
                "a run whose learning rates end above 0"
            )
        if ramp.ends.unit == "images":
            continue
        if total is None:
            status = folder.judged_status()
            if status is None or status.state != "finished":
                raise UsageError(
                    f"--resume: {key} is '{text}' of a run by the clock, which has not ended yet; "
                    "resume it as it is first"
                )
            total = done
        whole = lengths.images_at(total)
        places = [
            Place(round(place.amount / 100 * whole), "images") for place in (ramp.begins, ramp.ends)
        ]
        found.append((key, str(replace(ramp, begins=places[0], ends=places[1]))))
    return found
