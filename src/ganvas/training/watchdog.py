"""Watches a run and says in words what went wrong, at which image, and what to try."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from torch import Tensor

from ganvas.config import Action, Run
from ganvas.losses.adversarial import Saturating
from ganvas.metrics.rows import Row
from ganvas.pixels import Pixels
from ganvas.training.plan import Criterion

Fault = Literal["data", "not_finite", "diverged", "dead_discriminator", "collapse", "worse"]
Memory = dict[str, float]
"""Counts from one look to the next; part of a checkpoint."""

DEAD_LOSS: Final = 1e-4
"""A loss of D that is nothing, and"""
STARVED: Final = 1e-3
"""G's mean step, in learning rates, that is none; 0.1 to 0.5 is usual."""
DEAD_LINES: Final = 5
"""Log lines in a row after which either is a fault."""
GROWN: Final = 50.0
"""Times a net's weights have grown since the first step that are too many; 2 to 5 is usual."""
JUMPED: Final = 5.0
"""The same from one log line to the next; 1.1 is usual."""
ALIKE: Final = 0.2
"""Median distance of a sample to the one most like it, in that of real images, below which a sheet
shows nearly one image, or a few; it is 0.5 to 1 where all is well."""
VARIED: Final = 0.5
"""The same of a sheet from which on samples that are alike later are a fall."""
ALIKE_SHEETS: Final = 3
"""Sheets in a row that say so."""
EARLY: Final = 1_000
"""Steps in which samples may be alike and all is well: many nets begin with one image."""
LOST: Final = 0.5
"""Share of the classes that real images hit below which some are lost."""
REPEATED: Final = 0.5
"""Share of fakes that repeat another one, beyond what real images do."""
WORSE: Final = 2.0
"""Times as far from real images as the best generator that are far worse."""
FEW_IMAGES: Final = 50
"""Training images that D soon knows by heart."""


@dataclass(frozen=True)
class Place:
    """Where a run is."""

    step: int
    images: int
    """Real images shown."""
    is_last: bool = False
    """Whether it is the run's end."""


@dataclass(frozen=True)
class Alarm:
    """What was seen, what to try, and what is to be done about it."""

    fault: Fault
    seen: str
    """With the number of images at which."""
    advice: str
    action: Action
    since: int = 0
    """The last step at which all was well, as far as is known: checkpoints up to it are good."""

    @property
    def message(self) -> str:
        return f"{self.seen}; try {self.advice}"


def action_on(run: Run, fault: Fault) -> Action:
    """What the settings say is to be done about a fault."""
    if fault == "data":
        return "warn"
    if run.train.on_failure is not None:
        return "warn" if run.train.on_failure == "continue" else run.train.on_failure
    action: Action = getattr(run.watchdog, fault)
    return action


# Before the first step


def check_data(run: Run, num_images: int, reals: Pixels) -> Iterator[Alarm]:
    """Look at the training images: their number, and some of them, uint8 (N, C, H, W)."""
    if len(reals) > 1 and not diversity(reals):
        yield Alarm(
            "data",
            f"of {len(reals)} training images, those of reals.png, half are the same as another",
            "ganvas data inspect; of images that are all alike there is nothing to learn but one, "
            "and no number means much",
            action_on(run, "data"),
        )
    if num_images < FEW_IMAGES:
        yield Alarm(
            "data",
            f"there are {num_images} training images, which D soon knows by heart: from then on G "
            "copies them or learns nothing",
            "more images, or an augmentation (ganvas list augmentations), and look at "
            "ganvas evaluate RUN --metrics memorisation --pairs pairs.png",
            action_on(run, "data"),
        )


# At each step


def not_finite(scalars: Mapping[str, Tensor | float]) -> list[str]:
    """The losses among a step's scalars, or a line's, that are NaN or infinite."""
    return [key for key, value in scalars.items() if "loss" in key and not math.isfinite(value)]


def check_finite(
    run: Run, place: Place, losses: Sequence[str], origin: str, memory: Memory
) -> Iterator[Alarm]:
    """Say once that losses are not finite; `origin` is where that came from, if it is known."""
    if not losses:
        memory.pop("not_finite", None)
        return
    if memory.get("not_finite"):
        return
    memory["not_finite"] = 1.0
    lower = _lower("optim.generator", run.optim.generator.learning_rate, 10)
    yield Alarm(
        "not_finite",
        f"{' and '.join(losses)} not finite at step {place.step:,}, {place.images:,} images"
        + (f": {origin}" if origin else ""),
        f"a lower --learning-rate{lower}, or --set train.precision=float32 if it is bfloat16",
        action_on(run, "not_finite"),
        since=place.step - 1,
    )


# At each line of the log


def check_losses(
    run: Run, place: Place, line: Mapping[str, float], pace: float, memory: Memory
) -> Iterator[Alarm]:
    """Look at a log line; `pace` is G's mean step in learning rates."""
    nothing, starved = abs(line["D/loss"]) < DEAD_LOSS, pace < STARVED
    memory["dead_lines"] = memory.get("dead_lines", 0) + 1 if nothing or starved else 0
    if not memory["dead_lines"]:
        memory["alive"] = place.step
    if memory["dead_lines"] != DEAD_LINES:
        return
    what = f"D's loss has been below {DEAD_LOSS:g}" if nothing else "G has stood still"
    yield Alarm(
        "dead_discriminator",
        f"{what} for {DEAD_LINES} log lines at {place.images:,} images: D tells real from fake "
        f"without effort (D/loss {line['D/loss']:.2g}, D/real {line.get('D/real', math.nan):.3g}, "
        f"D/fake {line.get('D/fake', math.nan):.3g}), and G learns next to nothing; its steps are "
        f"{pace:.2g} learning rates long, where 0.1 to 0.5 is usual",
        _slower_D(run),
        action_on(run, "dead_discriminator"),
        since=int(memory.get("alive", 0)),
    )


def _slower_D(run: Run) -> str:
    """What to try where D is too strong."""
    tries = []
    if isinstance(run.loss, Saturating):
        tries.append("--set loss.name=non-saturating, which pulls where this loss is flat")
    if getattr(run.update, "d_steps", 1) > 1:
        tries.append("--set update.d_steps=1")
    rate = run.optim.discriminator.learning_rate
    if isinstance(rate, float):
        tries.append(f"--set optim.discriminator.learning_rate={rate / 4:g}")
    if hasattr(run.loss, "real_target"):
        tries.append("smoothed labels (--set loss.real_target=0.9)")
    return ", or ".join(tries)


def check_weights(
    run: Run, place: Place, sizes: Mapping[str, float], memory: Memory
) -> Iterator[Alarm]:
    """Look at the root mean square of each net's weights, by the net's name, at a log line.

    The first ones, at step 0, are what later ones are compared with.
    """
    grown = []
    for net, size in sizes.items():
        first = memory.setdefault(f"first/{net}", size)
        before = memory.get(f"size/{net}", first)
        memory[f"size/{net}"] = size
        if not math.isfinite(size) or first <= 0:
            continue
        if size > GROWN * first or size > JUMPED * before:
            grown.append(f"{net}'s {size / first:.3g} times")
    if not grown:
        memory["steady"] = place.step
        memory.pop("diverged", None)
    elif not memory.get("diverged"):
        memory["diverged"] = 1.0
        lower = _lower("optim.generator", run.optim.generator.learning_rate, 10)
        yield Alarm(
            "diverged",
            f"weights run away: {' and '.join(grown)} as large as at the start, at "
            f"{place.images:,} images; the learning rate is too high",
            f"a lower --learning-rate{lower}",
            action_on(run, "diverged"),
            since=int(memory.get("steady", 0)),
        )


def _lower(section: str, rate: object, by: float) -> str:
    return f" {rate / by:g}" if isinstance(rate, float) else f" ({section} has {rate})"


# At each sheet


def check_samples(
    run: Run, place: Place, fakes: Pixels, reals: Pixels, memory: Memory
) -> Iterator[Alarm]:
    """Compare how unlike fakes are with how unlike as many reals are; uint8 (N, C, H, W).

    Samples that are alike early in a run have not collapsed, unless they were varied before. At the
    end one sheet is enough.
    """
    allowed = diversity(reals)
    if len(fakes) < 4 or not allowed:
        return
    found = diversity(fakes) / allowed
    if found >= VARIED:
        memory["varied"] = 1.0
    if found >= ALIKE:
        memory["alike_sheets"], memory["unlike"] = 0, place.step
        return
    if place.step < EARLY and not memory.get("varied"):
        return
    memory["alike_sheets"] = count = memory.get("alike_sheets", 0) + 1
    if count == ALIKE_SHEETS or (place.is_last and count < ALIKE_SHEETS):
        sheets = f"the last {ALIKE_SHEETS} sheets show" if count > 1 else "the last sheet shows"
        yield Alarm(
            "collapse",
            f"{sheets} nearly one image, or a few, at {place.images:,} images: half of the samples "
            f"have another that is {found:.2g} times as far away as the nearest of real images; "
            "G has collapsed",
            _other_balance(run),
            action_on(run, "collapse"),
            since=int(memory.get("unlike", 0)),
        )


def _other_balance(run: Run) -> str:
    return f"another --seed, {_slower_D(run)}, or another loss"


def diversity(images: Pixels) -> float:
    """Median over images of the distance to the nearest other one, in grey levels a pixel."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    squares = (rows**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * rows @ rows.T
    np.fill_diagonal(apart, np.inf)
    nearest = np.sqrt(np.maximum(apart.min(axis=1), 0) / rows.shape[1])
    return float(np.median(nearest))


# At each evaluation


def check_rows(
    run: Run,
    place: Place,
    last: Sequence[Row],
    best: Sequence[Row],
    criterion: Criterion | None,
    memory: Memory,
) -> Iterator[Alarm]:
    """Look at the newest evaluation, beside the best one."""
    lost = _lost(last) if place.step >= EARLY or place.is_last else ""
    if lost and not memory.get("lost"):
        yield Alarm(
            "collapse",
            f"{lost}, at {place.images:,} images: G has collapsed, in part",
            _other_balance(run),
            action_on(run, "collapse"),
            since=int(memory.get("kept", 0)),
        )
    memory["lost"] = float(bool(lost))
    if not lost:
        memory["kept"] = place.step
    worse = _worse(last, best, criterion)
    memory["worse_rows"] = count = memory.get("worse_rows", 0) + 1 if worse else 0
    if worse and (count == 2 or (place.is_last and count == 1)):
        yield Alarm(
            "worse",
            f"the generator at {place.images:,} images is far worse than the best one: {worse}",
            "the one in best/, and a shorter run, or a learning rate that falls "
            "(--set 'optim.generator.learning_rate=... to 0 from 50 % to 100 %')",
            "warn" if place.is_last else action_on(run, "worse"),
            since=best[0].step or 0,
        )


def _lost(rows: Sequence[Row]) -> str:
    """What of the real images' variety is missing, by the metrics that tell."""
    found = []
    for row in rows:
        hit, all_hit = row.values.get("classes_hit"), row.floor.get("classes_hit")
        if hit is not None and all_hit and hit < LOST * all_hit:
            found.append(f"{hit:g} of {all_hit:g} classes are drawn")
        near, usual = row.values.get("near"), row.floor.get("near", 0.0)
        if "duplicates" in row.settings and near is not None and near - usual > REPEATED:
            found.append(f"{100 * near:.0f} % of the samples repeat another one")
    return " and ".join(found)


def _worse(last: Sequence[Row], best: Sequence[Row], criterion: Criterion | None) -> str:
    """How the value that decides fell behind the best one, if it did by far."""
    if criterion is None or not last or not best or last[0].step == best[0].step:
        return ""
    for new, old in (
        (a, b) for a in last for b in best if a.metric == b.metric == criterion.metric
    ):
        key = criterion.key
        if key not in new.values or key not in old.values:
            continue
        floor = new.floor.get(key, 0.0)
        now, then = (_behind(criterion, row.values[key], floor) for row in (new, old))
        apart = _apart(new.intervals.get(key), old.intervals.get(key))
        # nearer than that to real images, all are as good
        least = abs(floor) / 4 if criterion.better == "lower" else 0.05
        if now > WORSE * max(then, least) and apart:
            return f"{new.metric} {new.values[key]:.4g} against {old.values[key]:.4g}"
    return ""


def _behind(criterion: Criterion, value: float, floor: float) -> float:
    """How far a value is from what real images have; infinite if it is no number."""
    distance = {"lower": value - floor, "higher": floor - value, "half": abs(value - 0.5)}
    found = distance[criterion.better]
    return found if math.isfinite(found) else math.inf


def _apart(one: tuple[float, float] | None, two: tuple[float, float] | None) -> bool:
    """Whether two intervals do not meet; where there is none, nobody knows better."""
    return one is None or two is None or one[0] > two[1] or two[0] > one[1]
