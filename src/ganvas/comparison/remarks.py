"""What a reader must know beside the numbers, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ganvas.comparison.groups import Group, telling
from ganvas.comparison.runs import UNSET, RunRecord
from ganvas.comparison.spread import LEAST_SEEDS
from ganvas.comparison.table import Column
from ganvas.errors import printable

HARDWARE: Final = ("processor", "device", "threads")

_WORDS: Final = {
    "num_fake": "{} fakes",
    "num_reference": "{} reference images",
    "split": "{} images",
    "data": "of {}",
    "num_train": "{} training images",
    "train_sha256": "training images {:.12}",
    "seed": "evaluation seed {}",
    "extractor": "features {}",
    "resize": "resize {}",
    "fingerprint": "reference images {:.12}",
    "extractor_sha256": "extractor {:.12}",
}
_FOLLOWS: Final = {
    "metric": ("num_fake", "num_reference"),
    "num_reference": ("num_fake",),
    "fingerprint": ("data", "split", "seed", "num_fake", "num_reference"),
    "train_sha256": ("num_train",),
    "extractor_sha256": ("extractor",),
    "resize": ("extractor",),
}
"""A field of the protocol is not worth a word where its value follows from these fields'."""


def remarks(groups: Sequence[Group], columns: Sequence[Column], num_tests: int) -> list[str]:
    """The remarks, the most important first."""
    return [
        *_unlike(columns),
        *_ended_badly(groups),
        *_not_measured(groups),
        *_stale(groups, columns),
        *_seeds(groups),
        *_tests(groups, num_tests),
        *_best(columns),
        *_hardware(groups),
    ]


def _unlike(columns: Sequence[Column]) -> Iterator[str]:
    marked: dict[str, dict[str, Column]] = {}
    for column in columns:
        if column.mark:
            marked.setdefault(column.family, {})[column.mark] = column
    for family, of in marked.items():
        words = describe([column.protocol for column in of.values()])
        sides = "; ".join(f"[{mark}] {text}" for mark, text in zip(of, words, strict=True))
        yield f"{family} stands in {len(of)} kinds of columns, which do not compare: {sides}"


def describe(protocols: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each protocol, in words, the fields in which not all of them agree."""
    differ = set(telling(protocols))
    chosen = {key for key in differ if _adds(key, differ, protocols)}
    if chosen & {"data", "split"}:
        chosen |= {"data", "split"}  # only together do they say which images
    keys = dict.fromkeys([*_WORDS, *(key for one in protocols for key in one)])
    told = [key for key in keys if key in chosen]
    words = [[_word(key, one[key]) for key in told if key in one] for one in protocols]
    return [", ".join(of) or f"{told[0]} {UNSET}" for of in words]


def passport(protocol: Mapping[str, Any]) -> str:
    """A metric's protocol in a few words: '1,000 fakes, 1,000 reference images, test images, …'."""
    told = [key for key in _WORDS if protocol.get(key) not in (None, "", "none")]
    return ", ".join(_word(key, protocol[key]) for key in told)


def _adds(key: str, differ: set[str], protocols: Sequence[Mapping[str, Any]]) -> bool:
    before = [other for other in _FOLLOWS.get(key, ()) if other in differ]
    known = [tuple(str(one.get(other)) for other in before) for one in protocols]
    with_key = [(*of, str(one.get(key))) for of, one in zip(known, protocols, strict=True)]
    return len(set(with_key)) > len(set(known))


def _word(key: str, value: Any) -> str:
    shown = UNSET if value is None else str(value)
    if key.startswith("num_") and isinstance(value, int):
        shown = f"{value:,}"
    return _WORDS[key].format(shown) if key in _WORDS else f"{key} {shown}"


def _ended_badly(groups: Sequence[Group]) -> Iterator[str]:
    for run in _runs(groups):
        status = run.status
        if not status:
            continue
        if status.state == "failed":
            yield f"{run.name} failed: {printable(status.reason)}"
        elif status.state == "silent":
            yield f"{run.name} has been silent since {printable(status.time)}, on another machine"
        elif status.state in ("killed", "stopped"):
            yield f"{run.name} was {status.state}; go on with: ganvas train --resume {run.name}"


def _not_measured(groups: Sequence[Group]) -> Iterator[str]:
    for run in _runs(groups):
        if run.rows:
            continue
        if run.drawn_from is not None:
            yield f"{run.name} has not been measured; do it with: ganvas evaluate {run.name}"
        else:
            yield f"{run.name} has not been measured, and has no generator yet"


def _stale(groups: Sequence[Group], columns: Sequence[Column]) -> Iterator[str]:
    """Numbers of earlier generators, each with the command after which it says so no more."""
    for run in _runs(groups):
        if run.drawn_from is None or (run.status and run.status.state == "running"):
            continue
        older: dict[tuple[str, float], dict[str, None]] = {}
        for column in columns:
            points = column.curves.get(run.path, []) if column.is_metric else []
            images = points[-1].images if points else None
            if images is not None and images < run.drawn_from:
                key = _options(column.protocol), images
                older.setdefault(key, {})[column.metric] = None
        for (options, images), metrics in older.items():
            yield (
                f"{run.name}: {', '.join(metrics)} after {images:,.0f} images, not of the newest "
                f"generator, after {run.drawn_from:,.0f}; measure it with: "
                f"ganvas evaluate {run.name} --metrics {','.join(metrics)}{options}"
            )


def _options(protocol: Mapping[str, Any]) -> str:
    """The options of `ganvas evaluate` besides the metric that lead to such a protocol."""
    inception = " --features inception" if protocol.get("extractor") == "inception" else ""
    split = " --split train" if str(protocol.get("split")).startswith("train") else ""
    seed = protocol.get("seed")
    return f"{inception}{split}{f' --seed {seed}' if seed else ''}"


def _seeds(groups: Sequence[Group]) -> Iterator[str]:
    single = [group.name for group in groups if len(group.counted) == 1]
    if len(single) == len(groups) > 1:
        yield "one seed each: no spread, so a difference may be chance"
    else:
        for name in single:
            yield f"{name}: one seed: no spread"
    for group in groups:
        for run in group.runs:
            if run not in group.counted:
                yield f"{run.name} repeats seed {run.seed}, so mean and spread leave it out"


def _tests(groups: Sequence[Group], num: int) -> Iterator[str]:
    if num:
        yield (
            f"{num} differences were tested (Welch's t-test, two-sided, at 5 %, between groups of "
            f"{LEAST_SEEDS} seeds or more); of so many, {num / 20:.2g} on average come out as "
            "larger than chance by chance alone"
        )
    elif len(groups) > 1 and any(len(group.counted) > 1 for group in groups):
        yield (
            f"no difference was tested: that takes two groups of {LEAST_SEEDS} seeds or more, "
            "measured alike"
        )


def _best(columns: Sequence[Column]) -> Iterator[str]:
    if any(column.which == "best" for column in columns):
        yield (
            "best: of several measurements of a run the best one; chosen by its own number, "
            "it flatters, the more so the more often a run was measured"
        )


def _hardware(groups: Sequence[Group]) -> Iterator[str]:
    kinds = {
        ", ".join(f"{key} {run.environment[key]}" for key in HARDWARE if key in run.environment)
        for run in _runs(groups)
    }
    if len(kinds) > 1:
        known = "; ".join(sorted(kind or UNSET for kind in kinds))
        yield f"seconds and images/s come from different hardware: {known}"


def _runs(groups: Sequence[Group]) -> Iterator[RunRecord]:
    for group in groups:
        yield from group.runs
