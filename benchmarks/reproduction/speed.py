"""Training speed of every recipe, each step launched from Python and each replayed as a graph."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from reproduction.folder import Line, read_lines
from reproduction.plan import Planned
from reproduction.report import clock, header, row

START = 30.0
"""Seconds that a process may take besides training; none is begun that would not end in time."""
GRAPHS = "train.cuda_graphs"


def missing(path: Path, runs: Iterable[Planned], device: str) -> list[tuple[str, bool]]:
    """Recipes, without and with graphs, that are not in the file yet; graphs are CUDA's alone."""
    known = {(found["recipe"], found["graphs"]) for found in read_lines(path)}
    kinds = (False, True) if device.startswith("cuda") else (False,)
    recipes = dict.fromkeys(run.recipe for run in runs)
    return [
        pair for recipe in recipes for pair in ((recipe, k) for k in kinds) if pair not in known
    ]


def measure(
    path: Path, todo: Iterable[tuple[str, bool]], device: str, seconds: float, minutes: float
) -> bool:
    """Measure one after another and add a line each to `path`; True if none is left."""
    deadline = time.monotonic() + 60 * minutes
    path.parent.mkdir(parents=True, exist_ok=True)
    for recipe, graphs in todo:
        if time.monotonic() + seconds + START > deadline:
            return False
        found = measure_one(recipe, graphs, device, seconds)
        print(json.dumps(found), flush=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
    return True


def measure_one(recipe: str, graphs: bool, device: str, seconds: float) -> dict[str, Any]:
    """Train for so many seconds, with nothing but log lines; images a second after a third."""
    period = 500 if device.startswith("cuda") else 5
    settings = [
        f"output.log={period} steps",
        *(f"output.{what}=1000000 steps" for what in ("sample", "checkpoint")),
        *([f"{GRAPHS}=true"] if graphs else []),
    ]
    words = [word for setting in settings for word in ("--set", setting)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ganvas", "train", recipe, "--device", device),
                *("--minutes", f"{seconds / 60:.4f}", "--evaluate", "none", *words),
                *("--outdir", str(folder)),
            ],
            capture_output=True,
            text=True,
        )
        about = {"recipe": recipe, "graphs": graphs}
        if done.returncode:
            return about | {"error": (done.stderr.strip().splitlines() or ["no word"])[-1]}
        lines = read_lines(folder / "log.jsonl")
        environment = json.loads((folder / "env.json").read_text(encoding="utf-8"))
    return about | {
        "images_per_second": round(rate(lines), 1),
        "captured": graphs and f"{GRAPHS} has no effect" not in done.stdout + done.stderr,
        "steps": lines[-1]["step"],
        "images_per_step": lines[-1]["images"] / lines[-1]["step"],
        "loss": {net: lines[-1][f"{net}/loss"] for net in "DG"},
        "device": environment["device"],
        "precision": environment["precision"],
        "torch": environment["versions"]["torch"],
    }


def rate(lines: list[dict[str, Any]]) -> float:
    """Images a second from the log line a third of the way on to the last full one."""
    full = lines[:-1] or lines  # the last one is cut short by the clock
    first, last = full[len(full) // 3], full[-1]
    if first is last:
        return float(last["images"] / last["seconds"])
    return float((last["images"] - first["images"]) / (last["seconds"] - first["seconds"]))


def table(path: Path, runs: Iterable[Planned]) -> Iterator[str]:
    """The lines of a table, with the time that the published length takes at that speed."""
    found = {(line["recipe"], line["graphs"]): line for line in read_lines(path)}
    yield from header(
        *("recipe", "steps from Python, images/s", "replayed, images/s", "ratio"),
        *("published steps", "take", "replayed", "precision", "device"),
    )
    for recipe, run in {run.recipe: run for run in reversed(list(runs))}.items():
        lines = [found.get((recipe, graphs)) for graphs in (False, True)]
        known = [line for line in lines if line and _is_known(line)]
        speeds = [line["images_per_second"] for line in known]
        yield row(
            recipe,
            *map(_shown, lines),
            f"{speeds[1] / speeds[0]:.2f}" if len(speeds) == 2 else "-",
            f"{run.steps:,}",
            *(_length(run, line) for line in lines),
            *(str(known[0][key]) if known else "-" for key in ("precision", "device")),
        )


def _is_known(line: Line) -> bool:
    """Whether its speed is what the line was made for."""
    return "error" not in line and line["captured"] == line["graphs"]


def _shown(line: Line | None) -> str:
    if line is None:
        return "-"
    if "error" in line:
        return f"failed: {line['error']}"
    return f"{line['images_per_second']:,.0f}" if _is_known(line) else "cannot be captured"


def _length(run: Planned, line: Line | None) -> str:
    if line is None or not _is_known(line):
        return "-"
    return clock(run.steps * line["images_per_step"] / line["images_per_second"])
