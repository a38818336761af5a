"""Training speed of two versions of ganvas, in turn, on this machine.

    python benchmarks/two_versions.py BEFORE AFTER [--rounds 5] [--threads 2] [RECIPE ...]

BEFORE and AFTER are checkouts; both run under this Python. In each round every recipe is trained
for the same number of steps by one version and then by the other, in changing order. Printed is the
ratio of images/s, after to before: its median and its range over the rounds, of the lines that a
run logs once it is warm.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

STEPS = {
    "cs231n-vanilla": 600,
    "cs231n-dcgan": 60,
    "modelzoo-vanilla": 400,
    "mnist-classes": 200,
    "firstgan-dcgan-mnist": 24,
    "genzoo-mnist": 120,
    "genzoo-cifar10": 24,
}
"""Recipes, and the steps that take some seconds."""
BATCH = {"mnist-classes": 20, "genzoo-mnist": 32, "firstgan-dcgan-mnist": 100}
LINES = 6
"""Log lines of a run; the first is left out."""


def images_per_second(source: Path, recipe: str, threads: int) -> float:
    steps = STEPS[recipe]
    environment = os.environ | {
        "PYTHONPATH": str(source / "src"),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        words = [
            *("train", recipe, f"--images={steps * BATCH.get(recipe, 128)}", f"--outdir={run}"),
            *("--evaluate=none", "--device=cpu", f"--set=output.log={steps // LINES} steps"),
            *("--set=output.sample=100000 steps", "--set=output.checkpoint=100000 steps"),
        ]
        command = [sys.executable, "-m", "ganvas", *words]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return statistics.median(line["images_per_second"] for line in lines[1:LINES])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("recipes", nargs="*", default=list(STEPS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    sides = [options.before.resolve(), options.after.resolve()]
    print("| recipe | before, images/s | after | ratio, median | least | largest |")
    print("|---|---|---|---|---|---|")
    for recipe in options.recipes:
        found: list[tuple[float, float]] = []
        for number in range(options.rounds):
            order = sides if number % 2 == 0 else sides[::-1]
            speeds = {side: images_per_second(side, recipe, options.threads) for side in order}
            found.append((speeds[sides[0]], speeds[sides[1]]))
        ratios = sorted(after / before for before, after in found)
        before, after = (statistics.median(side) for side in zip(*found, strict=True))
        print(
            f"| {recipe} | {before:,.0f} | {after:,.0f} | {statistics.median(ratios):.3f} "
            f"| {ratios[0]:.3f} | {ratios[-1]:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
