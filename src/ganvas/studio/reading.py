"""What the page and the API say of a run, from its folder."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ganvas import card, config
from ganvas.comparison.runs import RunRecord, plain
from ganvas.config import Length
from ganvas.errors import UsageError, printable
from ganvas.rundir import RunFolder, number, tail
from ganvas.rundir.lines import newest

LONGEST: Final = 20_000
"""Lines of a log that one answer holds at most."""
CLOCKS: Final = ("step", "images", "epoch", "seconds", "images_per_second")
"""What a log line has besides scalars."""


# All runs


def summary(folder: RunFolder) -> dict[str, Any]:
    """A run in a line: how it is doing, how far it is, what it reached. Cheap for any length."""
    record = _record(folder)
    line = record.log[-1] if record.log else {}
    status = record.status
    state, reason = (status.state, status.reason) if status else ("", "")
    sheets = _sheet_names(folder)
    step = max(status.step if status else 0, int(line.get("step") or 0))
    images = line.get("images")
    if status and status.images is not None:
        images = max(status.images, images or 0)
    total = status.total if status else None
    logged, seconds = line.get("images"), line.get("seconds")
    rate = logged / seconds if logged and seconds else None  # as `ganvas compare` has it
    return {
        "recipe": record.recipe,
        "seed": record.seed,
        "state": state or ("finished" if record.finished else "unknown"),
        "reason": printable(reason),
        "host": printable(status.host) if status else "",
        "started": status.started if status else None,
        "updated": _modified(folder),
        "step": step,
        "total": total,
        "images": images,
        "epoch": line.get("epoch"),
        "length": str(record.settings.get("train.length", "")),
        "progress": _progress(record, step, total),
        "seconds": seconds,
        "images_per_second": rate,
        "time_left": _time_left(record, rate, step, total) if state == "running" else None,
        "metric": _decisive(record),
        "sheets": len(sheets),
        "sheet": max(sheets, default=None),
        "alarms": len(folder.read_watchdog()),
    }


def _record(folder: RunFolder) -> RunRecord:
    """The run, with no more of its log than the last line."""
    try:
        settings = dict(config.leaves(config.from_older(plain(folder.read_settings()))))
    except UsageError:
        settings = {}  # half written, or damaged: the rest can still be shown
    last = newest(folder.log)
    log = [{key: number(value) for key, value in last.items()}] if last else []
    return RunRecord(folder, settings, {}, log, folder.read_metrics(), folder.judged_status())


def _sheet_names(folder: RunFolder) -> list[str]:
    """As `RunFolder.samples` has them, without a path for each: there may be thousands."""
    try:
        return [name for name in os.listdir(folder.path / "samples") if name.endswith(".png")]
    except OSError:
        return []


def _modified(folder: RunFolder) -> str | None:
    """When something was last written into it."""
    times = []
    for path in (folder.status, folder.log, folder.metrics, folder.config):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds") if times else None


def _length(record: RunRecord) -> Length | None:
    try:
        return Length.parse(record.settings.get("train.length"))
    except ValueError:
        return None


def _progress(record: RunRecord, step: int, total: int | None) -> float | None:
    """From 0 to 1."""
    if record.finished:
        return 1.0
    done, whole, unit = record.progress
    if total and unit != "minutes":
        return min(1.0, step / total)
    return min(1.0, done / whole) if whole else None


def _time_left(record: RunRecord, rate: float | None, step: int, total: int | None) -> float | None:
    """Seconds of training, at the rate so far."""
    length, seconds = _length(record), record.last("seconds")
    if length and length.minutes and seconds is not None:
        return max(0.0, 60 * length.minutes - seconds)
    images, logged = record.last("images"), record.last("step")
    if not (total and rate and images and logged):
        return None
    return max(0.0, (total - step) * images / logged / rate)


def _decisive(record: RunRecord) -> dict[str, Any] | None:
    """The metric by which the best generator is kept: its last value, its best one, its protocol.

    The best is that of the generator which the run itself kept as such.
    """
    chosen = str(record.settings.get("evaluate.best") or "")
    family, _, key = chosen.partition(".")
    measured = [row for row in record.rows if isinstance(row.get("values"), dict) and row["values"]]
    on_the_way = [row for row in measured if number(row.get("step")) is not None]
    rows = [r for r in on_the_way if re.match(rf"{re.escape(family)}\d*$", r["metric"])]
    rows = rows or on_the_way or measured
    if not rows:
        return None
    last = next(row for row in reversed(rows) if row["metric"] == rows[0]["metric"])
    same = [r for r in rows if r["metric"] == last["metric"]]
    same = [r for r in same if r.get("extractor_sha256") == last.get("extractor_sha256")]
    key = key if key in last["values"] else next(iter(last["values"]))
    best_images = record.folder.images_of(record.folder.best)
    best = [r for r in same if r.get("images") == best_images] if best_images is not None else []
    floor = last.get("floor")
    return {
        "metric": printable(last["metric"]),
        "value": printable(key),
        "last": number(last["values"].get(key)),
        "last_images": number(last.get("images")),
        "best": number(best[-1]["values"].get(key)) if best else None,
        "best_images": best_images if best else None,
        "floor": number(floor.get(key)) if isinstance(floor, dict) else None,
        "protocol": protocol(last),
    }


def protocol(row: Mapping[str, Any]) -> str:
    """What a row's numbers depend on, in words; "" if it does not say."""
    try:
        return printable(card.protocol(row))
    except (LookupError, TypeError, ValueError, AttributeError):
        return ""


# One run


def detail(folder: RunFolder) -> dict[str, Any]:
    """All of a run but its log and its pictures."""
    environment = plain(folder.read_environment())
    return {
        "sheets": sheets(folder),
        "reals": folder.reals.is_file(),
        "checkpoints": [folder.step_of(path) for path in folder.checkpoints()],
        "generators": generators(folder),
        "metrics": metrics(folder),
        "alarms": [plain(line) for line in folder.read_watchdog()],
        "settings": settings(folder),
        "environment": [[key, value] for key, value in config.leaves(environment)],
        "files": files(folder),
    }


def sheets(folder: RunFolder) -> list[dict[str, Any]]:
    """The sample sheets in the order of their steps, and where in training each was drawn."""
    line = newest(folder.log) or {}
    step, epoch, images = (number(line.get(key)) for key in ("step", "epoch", "images"))
    found = []
    for path in folder.samples():
        match = re.fullmatch(r"(epoch|step)-(\d+)\.png", path.name)
        at = int(match[2]) if match else None
        if match and match[1] == "epoch":
            at = round(int(match[2]) * step / epoch) if step and epoch else None
        sheet: dict[str, Any] = {"file": path.name, "step": at, "epoch": None, "images": None}
        if at is not None and step:
            sheet["images"] = round(at * images / step) if images else None
            sheet["epoch"] = at * epoch / step if epoch else None
        found.append(sheet)
    return sorted(found, key=lambda one: (one["step"] is None, one["step"], one["file"]))


def generators(folder: RunFolder) -> list[dict[str, Any]]:
    """What images can be drawn with: `newest`, `best` and the checkpoints."""
    found: list[dict[str, Any]] = []
    for which, path in (("newest", folder.generator), ("best", folder.best)):
        if (path / "config.json").is_file() and (path / "model.safetensors").is_file():
            found.append({"which": which, "images": folder.images_of(path), "step": None})
    if found:
        found += [
            {"which": path.name, "images": None, "step": folder.step_of(path)}
            for path in folder.checkpoints()
        ]
    return found


def metrics(folder: RunFolder) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl with numbers in them, each with its protocol in words."""
    rows = [plain(row) for row in folder.read_metrics()]
    return [
        row | {"protocol": protocol(row)} for row in rows if isinstance(row.get("values"), dict)
    ]


def settings(folder: RunFolder) -> list[dict[str, Any]]:
    """Every setting with the recipe's value and reason, where the recipe is a bundled one."""
    try:
        tables = config.from_older(plain(folder.read_settings()))
    except UsageError:
        return []
    known, reasons = _bundled(str(tables.get("recipe", "")))
    return [
        {
            "setting": key,
            "value": value,
            "recipe": known.get(key),
            "changed": key in known and key != "recipe" and known[key] != value,
            "reason": reasons.get(key, "") if known.get(key) == value else "",
        }
        for key, value in config.leaves(tables)
    ]


@functools.lru_cache(maxsize=64)
def _bundled(recipe: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A bundled recipe's settings and their reasons; nothing of others."""
    if recipe not in config.recipe_names():
        return {}, {}
    read = config.read_recipe(recipe)
    return dict(config.leaves(read.tables)), read.reasons


def files(folder: RunFolder) -> list[dict[str, Any]]:
    """Files to take away: all of the folder's own, and those of its generators."""
    found = []
    for path in sorted(_offered(folder.path)):
        try:
            size = path.stat().st_size
        except OSError:
            continue
        found.append({"file": path.relative_to(folder.path).as_posix(), "bytes": size})
    return found


def _offered(folder: Path) -> Iterator[Path]:
    for pattern in ("*", "generator/*", "best/*"):
        for path in folder.glob(pattern):
            if path.is_file() and not path.name.startswith("."):
                yield path


# The log


def log(folder: RunFolder, offset: int = 0, points: int = LONGEST) -> dict[str, Any]:
    """The lines added to the log since a byte, as columns: every n-th of them, and the last.

    `offset` is where to go on; `rewound` says that the log was written anew, and that this is all.
    """
    found = tail(folder.log, offset)
    lines = [line for line in found.lines if number(line.get("step")) is not None]
    every = -(-len(lines) // max(2, min(points, LONGEST)))
    kept = lines[::every] if every > 1 else lines
    if every > 1 and kept[-1] is not lines[-1]:
        kept.append(lines[-1])
    return {
        "offset": found.offset,
        "rewound": found.rewound,
        "lines": len(lines),
        "every": max(1, every),
        "columns": _columns(kept),
    }


def _columns(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    keys = dict.fromkeys(CLOCKS if lines else ())
    for line in lines:
        keys |= dict.fromkeys(printable(key) for key in line)
    return {key: [number(line.get(key)) for line in lines] for key in keys}
