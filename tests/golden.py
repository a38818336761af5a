"""Seeded runs of every recipe, recorded before a change and compared to the bit after it.

    python tests/golden.py record before.json [RECIPE ...]    on the code as it is
    python tests/golden.py check before.json [RECIPE ...]     after the change, same machine

Each recipe is trained on 2,000 images on one thread in float32, through the command line of the
`ganvas` on the path. Kept are the SHA-256 of each tensor of the generator and of the newest
checkpoint, the lines of log.jsonl without clock readings, the SHA-256 of each sheet's pixels, and
for some recipes the values of every metric. Other processors sum in another order, so records
hold on the machine that made them; tests/test_losses_stay.py keeps what holds between machines.
The data come from $GANVAS_DATA; a recipe whose data are nowhere to be found is left out by name.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

MEASURED = {
    "quickstart": [],
    "cs231n-lsgan": [],
    "mnist-classes": ["--data=mnist"],
    "genzoo-cifar10": [],
}
"""Recipes whose generator is measured, with the options that takes."""
METRICS = "fd,kd,prdc,classes,parzen,1nn,duplicates,memorisation"
CLOCKS = {"seconds", "images_per_second"}
SETTINGS = {
    "train.precision": "float32",
    "output.log": "5 steps",
    "output.sample": "10 steps",
    "output.checkpoint": "10 steps",
}


def ganvas(*words: str) -> str:
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(["ganvas", *words], capture_output=True, text=True, env=one_thread)
    if done.returncode:
        raise RuntimeError(f"ganvas {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def tensors(path: Path) -> dict[str, str]:
    return {
        key: hashlib.sha256(value.tobytes()).hexdigest()[:16]
        for key, value in sorted(load_file(path).items())
    }


def sheets(folder: Path) -> dict[str, str]:
    files = [folder / "reals.png", *sorted((folder / "samples").glob("*.png"))]
    pixels = {file.name: np.asarray(Image.open(file)).tobytes() for file in files}
    return {name: hashlib.sha256(value).hexdigest()[:16] for name, value in pixels.items()}


def log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in sorted(line.items()) if k not in CLOCKS} for line in lines]


def record(recipe: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        options = [f"--set={key}={value}" for key, value in SETTINGS.items()]
        words = ["--images=2000", "--device=cpu", "--evaluate=none", f"--outdir={run}"]
        ganvas("train", recipe, *words, *options)
        newest = sorted((run / "checkpoints").iterdir())[-1]
        seen: dict[str, Any] = {
            "generator": tensors(run / "generator" / "model.safetensors"),
            "checkpoint": tensors(newest / "state.safetensors"),
            "log": log(run),
            "sheets": sheets(run),
        }
        if recipe in MEASURED:
            words = [f"--metrics={METRICS}", "--num=300", "--json", *MEASURED[recipe]]
            rows = ganvas("evaluate", str(run), *words)
            seen["metrics"] = {row["metric"]: row["values"] for row in json.loads(rows)}
    return seen


def record_all(recipes: list[str]) -> dict[str, Any]:
    def one(recipe: str) -> dict[str, Any] | None:
        try:
            seen = record(recipe)
        except RuntimeError as error:
            print(f"left out: {error}", file=sys.stderr)
            return None
        print(f"{recipe}: {len(seen['checkpoint'])} tensors, {len(seen['log'])} log lines")
        return seen

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(recipes, pool.map(one, recipes), strict=True))
    return {recipe: seen for recipe, seen in found.items() if seen}


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """Where two records differ, each as 'place: before -> after'."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before | after)
        pairs = [(f"{place}/{key}", before.get(key), after.get(key)) for key in keys]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(f"{place}/{i}", *pair) for i, pair in enumerate(zip(before, after, strict=True))]
    else:
        return [] if before == after else [f"{place}: {before} -> {after}"]
    return [line for name, old, new in pairs for line in differences(old, new, name)]


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in ("record", "check"):
        sys.exit(f"usage: {sys.argv[0]} record|check FILE.json [RECIPE ...]")
    what, file, *names = sys.argv[1:]
    known = json.loads(Path(file).read_text()) if Path(file).exists() else {}
    recipes = names or list(json.loads(ganvas("list", "--json"))["recipes"])
    seen = json.loads(json.dumps(record_all(recipes)))
    if what == "record":
        Path(file).write_text(json.dumps(known | seen, indent=1))
        print(f"{len(seen)} recipes recorded in {file}")
        return
    found = differences({name: known[name] for name in recipes if name in known}, seen)
    print("\n".join(found[:40]) or f"{len(seen)} recipes equal to the bit")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
