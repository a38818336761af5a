"""Quality against time: methods side by side, each with the same processor minutes.

    python benchmarks/quality.py run --data mnist [--data FOLDER] [--method modern] [--seeds 0,1,2]
        [--at 1,2,5,10,20] [--against FOLDER=DATA]
    python benchmarks/quality.py report [--output FILE.md]

run     trains each method on each data set, one after another, on one thread. After so many
        processor minutes of training steps 10,000 images are drawn and measured: Fréchet distance,
        precision and recall. What is in the folder (--folder, by default runs/quality) is not done
        again, and a run that was stopped, or is to be longer now, goes on from its last mark.
report  writes the table, and the curves as a picture beside it.

Methods are ganvas's recipes and `tutorial-dcgan`, the DCGAN of PyTorch's tutorial. Without --method
they are `modern` and the classics that were made for such images. `--against` says with what the
fakes of a folder are compared, if not with the folder itself, which then needs a test split.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NUM: Final = 10_000
"""Images that are compared."""
METRICS: Final = "fd10k,prdc2k"
RESULTS: Final = Path(__file__).parent / "results"
TUTORIAL: Final = "tutorial-dcgan"
GREY: Final = ("modern", "cs231n-dcgan", "genzoo-mnist", TUTORIAL)
COLOUR: Final = ("modern", "genzoo-cifar10", TUTORIAL)
PLAIN: Final[dict[str, Any]] = {
    "train.device": "cpu",
    "train.precision": "float32",
    "evaluate.metrics": "none",
    "output.log": "500 steps",
}
"""Of ganvas's runs."""


@dataclass(frozen=True)
class Case:
    """A method on a data set with a seed."""

    data: str
    method: str
    seed: int
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / f"{Path(self.data).name}-{self.method}-seed{self.seed}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What was measured, by the minutes."""
        file = self.path / "quality.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return sorted(map(json.loads, lines), key=lambda row: float(row["minutes"]))

    @property
    def done(self) -> float:
        """Minutes of the last mark."""
        return max((float(row["minutes"]) for row in self.rows), default=0.0)

    def left(self, marks: Sequence[float]) -> list[float]:
        """Those that are still to come; what was passed over is not gone back to."""
        return [mark for mark in sorted(marks) if mark > self.done]


Draw = Callable[[int, int], Any]
"""From a number and a seed to uint8 images."""


class Clock:
    """Processor minutes of training; what a mark costs is taken out."""

    def __init__(self, used: float) -> None:
        self._zero = time.process_time() - 60 * used

    def __call__(self) -> float:
        return (time.process_time() - self._zero) / 60

    def back_to(self, reading: float) -> None:
        self._zero += 60 * (self() - reading)


def run(args: argparse.Namespace) -> None:
    os.nice(args.nice)
    marks = [float(mark) for mark in args.at.split(",")]
    against = dict(pair.split("=", 1) for pair in args.against)
    for data in args.data:
        for seed in map(int, args.seeds.split(",")):
            for method in args.method or _fitting(data):
                case = Case(data, method, seed, args.folder)
                if left := case.left(marks):
                    print(f"{case.path.name}: to {left[-1]:g} minutes", flush=True)
                    case.path.mkdir(parents=True, exist_ok=True)
                    train = _train_tutorial if method == TUTORIAL else _train_recipe
                    train(case, left, against.get(data, data))


def _fitting(data: str) -> Sequence[str]:
    return GREY if _images(data).shape[1] == 1 else COLOUR


def _images(data: str) -> Any:
    from ganvas.config import Preprocess
    from ganvas.data.catalogue import open_dataset
    from ganvas.data.prepare import load_images

    return load_images(open_dataset(data), Preprocess()).images


def _train_recipe(case: Case, left: list[float], against: str) -> None:
    from dataclasses import replace

    import ganvas
    from ganvas.config import Length
    from ganvas.data.prepare import load_images
    from ganvas.generator import snapshot
    from ganvas.rundir import RunFolder
    from ganvas.training.hooks import Hooks
    from ganvas.training.labels import classes_told
    from ganvas.training.loop import fit
    from ganvas.training.progress import Silent
    from ganvas.training.state import State

    run = ganvas.resolve(case.method, data=case.data, settings=PLAIN | {"seed": case.seed})
    without_end = replace(run.train, length=Length(10**9, "images"))
    never = replace(run.output, sample="1000000000 images", checkpoint="1000000000 images")
    run = replace(run, train=without_end, output=never)
    images = load_images(run.data, run.preprocess)
    classes, _ = classes_told(run.model, images)
    clock: Clock | None = None

    def after_step(state: State) -> None:
        nonlocal clock
        clock = clock or Clock(case.done)
        if not left or clock() < left[0]:
            return
        now, mark = clock(), left.pop(0)
        shown = state.step * run.train.batch_size
        generator = snapshot(run, state.sampler, images.shape, shown, classes)
        measure(case, mark, shown, generator.sample, against)
        clock.back_to(now)
        if not left:
            os.kill(os.getpid(), signal.SIGTERM)  # which ends the run in order, to be resumed

    folder = RunFolder(case.path / "run")
    fit(run, folder, Silent(), resume=folder.is_run, hooks=Hooks(after_step=after_step))


def _train_tutorial(case: Case, left: list[float], against: str) -> None:
    from baselines.tutorial_dcgan import TutorialDCGAN

    file = case.path / "tutorial.pt"
    system = TutorialDCGAN(_images(case.data), case.seed)
    if file.exists():
        system.load(file)
    clock = Clock(case.done)
    for _ in system.steps():
        if clock() >= left[0]:
            now = clock()
            measure(case, left.pop(0), system.seen, system.sample, against)
            system.save(file)
            clock.back_to(now)
            if not left:
                return


def measure(case: Case, mark: float, images: int, draw: Draw, against: str) -> None:
    """Draw and measure fakes, and append a row to the case's."""
    import numpy as np

    from ganvas.images import grid, scale_for, write_png

    fakes = draw(NUM, case.seed)
    sheet = grid(fakes[:100], 10, 10)
    write_png(case.path / f"{mark:g}-minutes.png", sheet, scale_for(sheet.shape[1]))
    file = case.path / "fakes.npz"
    np.savez(file, images=fakes)
    # in a process of its own, as the extractor's memory is large
    words = [sys.executable, "-m", "ganvas", "evaluate", str(file), "--data", against]
    words += ["--metrics", METRICS, "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    file.unlink()
    if done.returncode:
        sys.exit(f"quality: {done.stderr.strip()}")
    row: dict[str, Any] = {"minutes": mark, "images": images}
    for found in json.loads(done.stdout):
        for key, value in found["values"].items():
            if key in ("distance", "precision", "recall"):
                row |= {key: float(f"{value:.4g}"), f"real {key}": found["floor"].get(key)}
    with (case.path / "quality.jsonl").open("a") as lines:
        lines.write(json.dumps(row) + "\n")
    print(f"{case.path.name} at {mark:g} minutes: {json.dumps(row)}", flush=True)


# The report


def report(args: argparse.Namespace) -> None:
    found = [_case(path, args.folder) for path in sorted(args.folder.glob("*-seed*"))]
    cases = [case for case in found if case.rows]
    if not cases:
        sys.exit(f"quality: nothing was measured in '{args.folder}' yet")
    lines = [
        f"Quality against time, on one thread of {processor()}. Minutes are those that a processor",
        "worked on training steps. Fréchet distance of 10,000 images (best: so far), precision and",
        "recall of 2,000; `benchmarks/quality.py`.",
        "",
    ]
    for data in sorted({case.data for case in cases}):
        some = [case for case in cases if case.data == data]
        real = some[0].rows[0]["real distance"]
        lines += [f"## {data}", "", f"Real images: {real:.3g}.", ""]
        lines += _table(some)
        lines += ["", f"![{data}]({picture(args.output, data).name})", ""]
        _draw(some, data, picture(args.output, data))
    args.output.write_text("\n".join(lines))
    print(f"wrote {args.output}")


def picture(output: Path, data: str) -> Path:
    return output.with_name(f"{output.stem}-{data}.png")


def _case(path: Path, folder: Path) -> Case:
    name, _, seed = path.name.rpartition("-seed")
    methods = sorted({*GREY, *COLOUR}, key=len, reverse=True)
    method = next(one for one in methods if name.endswith(f"-{one}"))
    return Case(name.removesuffix(f"-{method}"), method, int(seed), folder)


def _table(cases: Sequence[Case]) -> list[str]:
    head = ["method", "seed", "minutes", "images", "distance", "best", "precision", "recall"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for case in cases:
        best = float("inf")
        for row in case.rows:
            best = min(best, row["distance"])
            values = [f"{row['distance']:.3g}", f"{best:.3g}"]
            values += [f"{row[key]:.2f}" for key in ("precision", "recall")]
            place = [case.method, str(case.seed), f"{row['minutes']:g}", f"{row['images']:,}"]
            lines.append("| " + " | ".join([*place, *values]) + " |")
    return lines


def _draw(cases: Sequence[Case], data: str, file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    colours: dict[str, Any] = {}
    for case in cases:
        minutes = [row["minutes"] for row in case.rows]
        distances = [row["distance"] for row in case.rows]
        label = None if case.method in colours else case.method
        (line,) = axes.plot(
            minutes, distances, marker="o", label=label, color=colours.get(case.method)
        )
        colours[case.method] = line.get_color()
    axes.axhline(cases[0].rows[0]["real distance"], color="grey", linestyle=":", label="real")
    axes.set(xscale="log", yscale="log", title=data)
    axes.set(xlabel="processor minutes", ylabel="Fréchet distance")
    marks = sorted({row["minutes"] for case in cases for row in case.rows})
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "an unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "an unknown processor"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    added = verbs.add_parser("run")
    added.set_defaults(does=run)
    added.add_argument("--data", action="append", required=True)
    added.add_argument("--method", action="append", help="a recipe, or tutorial-dcgan")
    added.add_argument("--seeds", default="0")
    added.add_argument("--at", default="1,2,5,10,20", help="processor minutes")
    added.add_argument("--against", action="append", default=[], metavar="FOLDER=DATA")
    added.add_argument("--nice", type=int, default=5)
    added.add_argument("--folder", type=Path, default=Path("runs/quality"))
    added = verbs.add_parser("report")
    added.set_defaults(does=report)
    added.add_argument("--folder", type=Path, default=Path("runs/quality"))
    added.add_argument("--output", type=Path, default=RESULTS / "quality.md")
    return parser.parse_args()


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args = parse()
    args.does(args)


if __name__ == "__main__":
    main()
