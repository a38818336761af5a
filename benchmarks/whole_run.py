"""What a run costs besides its training steps, and how long it takes to the first one.

    python benchmarks/whole_run.py [--recipe modelzoo-vanilla] [--epochs 5] [--starts 5]
        [--data-root FOLDER]

Trains the recipe as `ganvas train` does, with a clock around what the loop does besides steps: log
lines, sheets, checkpoints, evaluations, the pictures at the end. Then starts the command afresh,
several times, until its first step is done; and samples 10,000 images with the generator.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = ("log", "sample", "checkpoint", "pictures")
"""What the loop counts besides the step, by its names."""

FIRST_STEP = """
import sys, time
from ganvas.training.state import State
def first(*args):
    print("first step", time.time(), file=sys.stderr)
    raise SystemExit
State.accumulate = first
from ganvas.cli import main
main()
"""


def whole_run(args: argparse.Namespace, folder: Path) -> None:
    """Train and print where the time went."""
    import ganvas
    from ganvas.rundir import RunFolder
    from ganvas.training.hooks import Hooks
    from ganvas.training.loop import fit
    from ganvas.training.progress import Silent

    hooks = Hooks()
    begun = time.perf_counter()
    run = ganvas.resolve(args.recipe, epochs=args.epochs)
    with RunFolder(folder).locked() as locked:
        done = fit(run, locked, Silent(), args.data_root, hooks=hooks)
    whole = time.perf_counter() - begun
    print(f"{args.recipe}, {args.epochs} epochs, {done.images:,} images: {whole:.1f} s in all")
    spent = {name: hooks.spent.get(name, 0.0) for name in PARTS}
    rest = whole - done.seconds - done.evaluation_seconds - spent["pictures"]
    rows = spent | {"evaluations": done.evaluation_seconds, "loading": rest}
    for name, seconds in rows.items():
        print(f"  {name:<22} {seconds:8.2f} s {seconds / whole:7.2%}")
    total = sum(spent.values())
    print(f"  {'the first four':<22} {total:8.2f} s {total / whole:7.2%}   (target: 3 %)")


def start_to_first_step(args: argparse.Namespace) -> None:
    """Fresh processes; the first warms the file cache and is not counted."""
    root = ["--data-root", str(args.data_root)] if args.data_root else []
    times = []
    for _ in range(args.starts + 1):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", FIRST_STEP, "train", args.recipe, *root]
            begun = time.time()
            done = subprocess.run(
                [*command, "--outdir", f"{folder}/run"], capture_output=True, text=True
            )
        line = next(s for s in done.stderr.splitlines() if s.startswith("first step"))
        times.append(float(line.split()[-1]) - begun)
    counted = times[1:]
    print(
        f"start to first step: median {statistics.median(counted):.2f} s, "
        f"{min(counted):.2f} to {max(counted):.2f} s over {args.starts} starts   (target: 3 s)"
    )


def sampling(folder: Path) -> None:
    command = [sys.executable, "-m", "ganvas", "sample", str(folder), "--num", "10000"]
    begun = time.perf_counter()
    subprocess.run([*command, "--npz", str(folder / "fakes.npz")], check=True, capture_output=True)
    print(f"ganvas sample --num 10000 --npz: {time.perf_counter() - begun:.1f} s, imports included")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="modelzoo-vanilla")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--data-root", type=Path, default=os.environ.get("GANVAS_DATA"))
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        whole_run(args, folder)
        start_to_first_step(args)
        sampling(folder)


if __name__ == "__main__":
    main()
