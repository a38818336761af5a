"""Images a second of training: ganvas against Keras/TensorFlow and plain PyTorch, on the processor.

    python benchmarks/train_speed.py [--recipes NAME ...] [--batch recipe 128] [--rounds 3]
        [--seconds 20] [--sides ganvas plain keras compiled] [--float32]
        [--keras-python ENVIRONMENT/bin/python] [--output]

Every side trains the same nets by the same update on the same random uint8 images:

    ganvas    as `ganvas train` does, in the precision it chooses (float32 with --float32)
    plain     PyTorch eager, float32, as its DCGAN tutorial writes it (baselines/plain_torch.py)
    keras     Keras/TensorFlow, float32, with XLA and without (baselines/keras_nets.py)
    compiled  the plain nets in torch.compile

Each measurement is a fresh process, the sides in turn, round after round. A process makes its first
step (timed from the start of the process), warms up for a fifth of --seconds and then times blocks
of steps; what counts is the median of its blocks, and of the rounds. One process by hand prints one
line of JSON:

    python benchmarks/train_speed.py --side keras --recipe genzoo-mnist --batch 128 --seconds 20
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RECIPES = (
    "modelzoo-vanilla",
    "cs231n-vanilla",
    "cs231n-lsgan",
    "cs231n-dcgan",
    "mnist-classes",
    "firstgan-vanilla-mnist",
    "firstgan-vanilla-alphabet",
    "firstgan-dcgan-mnist",
    "firstgan-dcgan-alphabet",
    "genzoo-mnist",
    "genzoo-cifar10",
)
SIDES = {
    "ganvas": ("ganvas",),
    "plain": ("plain",),
    "keras": ("keras", "keras-xla"),
    "compiled": ("compiled",),
}
"""The processes of each side; the fastest of them counts."""
MAX_IMAGES = 10_000
RESULTS = Path(__file__).parent / "results"

Spec = dict[str, Any]
"""What a process is told, as JSON, because TensorFlow's environment need not have ganvas."""
Result = dict[str, Any]
"""What it prints."""


# One process


def measure(side: str, spec: Spec, seconds: float) -> Result:
    """Train in this process and time it."""
    import numpy as np

    shape = (spec["num_images"], *spec["shape"])
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    about: Result = {}
    if side == "ganvas":
        step, precision = prepare_ganvas(spec, images)
        about["precision"] = str(precision).removeprefix("torch.")
    elif side in ("plain", "compiled"):
        from baselines import plain_torch

        step = plain_torch.prepare(spec, images, compiled=side == "compiled")
    else:
        from baselines import keras_nets

        step = keras_nets.prepare(spec, images, jit_compile=side == "keras-xla")
    times = time_steps(step, seconds, spec["started"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times["peak_mb"] = peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
    if side == "ganvas":
        from baselines import work

        about["ceiling_tflops"] = work.ceiling(precision, min(1.0, seconds / 20))
    about["versions"] = {name: found for name in PACKAGES if (found := version_of(name))}
    about |= {"side": side, "recipe": spec["recipe"], "batch": spec["batch"]}
    return about | {"images_per_second": spec["images"] / times["step_seconds"]} | times


def prepare_ganvas(spec: Spec, images: Any) -> tuple[Callable[[], Any], Any]:
    """A function that trains one step as `ganvas.training.loop` does; its precision."""
    import torch

    import ganvas.training.loop  # what `ganvas train` imports
    from ganvas.config.length import Lengths
    from ganvas.data.loader import Loader
    from ganvas.data.store import Store
    from ganvas.pixels import ImageSet
    from ganvas.training.compute.graph import Steps
    from ganvas.training.compute.process import keep_freed_memory
    from ganvas.training.joint import fewest_passes
    from ganvas.training.state import new_state

    keep_freed_memory()
    config, device = ganvas.config, torch.device("cpu")
    run = config.build(spec["tables"])
    lengths = Lengths.of(run, len(images))
    state = new_state(run, tuple(spec["shape"]), device)
    store = Store(ImageSet(images), device, with_labels=False)
    loader = Loader(store, lengths, run.train.order, run.seed, run.model.value_range)
    chosen = fewest_passes(run.update, run.loss, run.penalty, state.players.D)
    steps = Steps(run, state, loader, chosen)

    def step() -> Any:
        state.clear_sums()
        steps.take(lengths.images_at(state.step))
        return state.sums["D/loss"]

    return step, state.players.precision


def time_steps(step: Callable[[], Any], seconds: float, started: float) -> Result:
    """The time of the first step and the median of a step later on; float() waits for a result."""
    float(step())
    first_step = time.time() - started
    begin, num, single = time.perf_counter(), 0, 0.0
    while num < 2 or time.perf_counter() - begin < seconds / 5:
        start = time.perf_counter()
        float(step())
        single, num = time.perf_counter() - start, num + 1

    per_block = max(1, round(seconds / 10 / single))
    blocks: list[float] = []
    begin = time.perf_counter()
    while not blocks or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(per_block):
            result = step()
        last_loss = float(result)
        blocks.append((time.perf_counter() - start) / per_block)
    return {
        "step_seconds": statistics.median(blocks),
        "first_step_seconds": first_step,
        "steps": 1 + num + per_block * len(blocks),
        "last_loss": last_loss,
    }


PACKAGES = ("torch", "tensorflow", "tensorflow-cpu", "keras", "numpy", "ganvas")


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# The driver


def describe(recipe: str, batch: int | None, float32: bool) -> Spec:
    """A recipe for every side, from ganvas's own settings of it."""
    import torch
    from baselines import work

    from ganvas import config, resolve
    from ganvas.models.summary import num_parameters

    settings: dict[str, Any] = {"train.precision": "float32"} if float32 else {}
    if config.read_recipe(recipe).tables["update"]["name"] == "controller":
        # all three updates at every step, whatever the losses: the same work for every side
        names = ("d_fake_threshold", "g_threshold", "d_real_threshold")
        settings |= {f"update.{name}": -1.0 for name in names}
    run = resolve(recipe, batch_size=batch, device="cpu", settings=settings)
    tables = config.to_tables(run)
    assert run.data.known, "the data set's size is not known without reading it"
    num_images, (channels, *sides) = run.data.known
    shape = (channels, *(run.preprocess.image_size or sides))
    with torch.device("meta"):
        G, D = run.model.generator(shape, run.latent.dims), run.model.discriminator(shape)
        inputs = torch.empty(2, run.latent.dims), torch.empty(2, *shape)
    return {
        "recipe": recipe,
        "batch": run.train.batch_size,
        "images": run.train.batch_size * run.update.batches_per_step,
        "shape": shape,
        "num_images": min(num_images, MAX_IMAGES),
        "value_range": run.model.value_range,
        "parameters": {"G": num_parameters(G), "D": num_parameters(D)},
        "gflop": work.flop_per_image(G, D, inputs, work.rule(tables["update"])) / 1e9,
        "tables": tables,
    }


def measure_apart(side: str, spec: Spec, seconds: float, keras_python: str) -> Result:
    """`measure` in a fresh process; {"error": ...} if that fails."""
    python = keras_python if side.startswith("keras") else sys.executable
    command = [python, __file__, "--side", side, "--seconds", str(seconds)]
    environment = dict(os.environ)
    if side == "ganvas":
        environment.setdefault("GOMP_SPINCOUNT", "5000")  # as its command line does
    with tempfile.TemporaryDirectory() as cache:
        environment["TORCHINDUCTOR_CACHE_DIR"] = cache  # compiled anew, as at a user's first run
        command += ["--spec", json.dumps(spec | {"started": time.time()})]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"side": side, "recipe": spec["recipe"], "batch": spec["batch"], "error": lines[-1]}
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def has_tensorflow(python: str) -> bool:
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('tensorflow') is None)"
    return not subprocess.run([python, "-c", code]).returncode


def compare(args: argparse.Namespace) -> Iterator[str]:
    """Measure everything and yield the lines of the report."""
    sides = list(args.sides)
    if "keras" in sides and not has_tensorflow(args.keras_python):
        print(
            f"keras is left out: {args.keras_python} has no TensorFlow; `pip install "
            "tensorflow-cpu` there, or name another environment's python with --keras-python",
            file=sys.stderr,
        )
        sides.remove("keras")
    load = os.getloadavg()[0]
    specs = {}
    for recipe in args.recipes:
        for batch in args.batch:
            spec = describe(recipe, None if batch == "recipe" else int(batch), args.float32)
            specs[recipe, spec["batch"]] = spec  # a recipe's own batch size may be in the list
    results: list[Result] = []
    for round_ in range(args.rounds):
        for spec in specs.values():
            for side in (process for name in sides for process in SIDES[name]):
                result = measure_apart(side, spec, args.seconds, args.keras_python)
                shown = result.get("error") or f"{result['images_per_second']:.1f} images/s"
                place = f"round {round_ + 1}, {spec['recipe']}, batch {spec['batch']}, {side}"
                print(f"{place}: {shown}", file=sys.stderr, flush=True)
                results.append(result)
    yield from report(list(specs.values()), results, sides, load, args)


# The report


def report(
    specs: list[Spec], results: list[Result], sides: list[str], load: float, args: Any
) -> Iterator[str]:
    versions = {k: v for result in results for k, v in result.get("versions", {}).items()}
    yield (
        f"Training on {processor()}, {os.cpu_count()} cores, load {load:.1f} at the start; "
        f"{', '.join(f'{name} {found}' for name, found in sorted(versions.items()))}, "
        f"{platform.python_implementation()} {platform.python_version()}; "
        f"{args.rounds} rounds of {args.seconds:g} s; {time.strftime('%Y-%m-%d')}."
    )
    chosen = "float32" if args.float32 else "the precision it chooses"
    yield f"`benchmarks/train_speed.py`; ganvas in {chosen}, all others in float32."
    yield "\n## Images a second\n"
    ratios = [side for side in ("keras", "plain", "compiled") if side in sides]
    yield row(
        "recipe", "batch", *sides, *(f"ganvas / {side}" for side in ratios), "GFLOP an image",
        "TFLOP/s", "precision", "ceiling", "share",
    )  # fmt: skip
    yield "|---" * (7 + len(sides) + len(ratios)) + "|"
    for spec in specs:
        best = {side: fastest(side, spec, results) for side in sides}
        speeds = {side: best[side]["images_per_second"] for side in sides if best[side]}
        cells = [f"{speeds[side]:,.0f}" if side in speeds else "-" for side in sides]
        if "keras" in speeds and best["keras"]["side"] == "keras-xla":
            cells[sides.index("keras")] += " (XLA)"
        both = {side: {"ganvas", side} <= set(speeds) for side in ratios}
        cells += [f"{speeds['ganvas'] / speeds[s]:.2f}" if both[s] else "-" for s in ratios]
        cells.append(f"{spec['gflop']:.4g}")
        if "ganvas" in speeds:
            rate, ganvas = speeds["ganvas"] * spec["gflop"] / 1e3, best["ganvas"]
            top = ganvas["ceiling_tflops"]
            cells += [f"{rate:.3f}", ganvas["precision"], f"{top:.2f}", f"{rate / top:.0%}"]
        else:
            cells += ["-"] * 4
        yield row(spec["recipe"], str(spec["batch"]), *cells)
    yield "\n## Each side\n"
    yield row(
        "recipe", "batch", "side", "images/s", "lowest to highest round", "step, ms",
        "start to first step, s", "peak memory, MB",
    )  # fmt: skip
    yield "|---" * 8 + "|"
    for spec in specs:
        for side in (process for name in sides for process in SIDES[name]):
            yield detail(side, spec, results)
    yield NOTES


NOTES = """
Images/s counts real images: batch size over the median time of a step. A step is everything between
two batches: gathering and scaling the images, drawing latents, losses, all updates. GFLOP an image
counts the products of matrices and convolutions that the method needs (baselines/work.py has the
passes of each update rule); TFLOP/s is that times ganvas's images/s, ceiling the best rate of a
2048x1024x1024 product in the same precision in the same process. With the controller rule
(mnist-classes) all three updates are made at every step. Keras counts as the faster of with and
without XLA. Compiled code is never taken from an earlier process. Peak memory leaves out the helper
processes of torch.compile."""


def fastest(side: str, spec: Spec, results: list[Result]) -> Result | None:
    """The medians of a side's fastest process."""
    found = [m for process in SIDES[side] if (m := medians(process, spec, results))]
    return max(found, key=lambda m: m["images_per_second"], default=None)


def medians(process: str, spec: Spec, results: list[Result]) -> Result | None:
    rounds = successes(process, spec, results)
    if not rounds:
        return None
    numbers = [key for key, value in rounds[0].items() if isinstance(value, float)]
    return rounds[0] | {key: statistics.median(r[key] for r in rounds) for key in numbers}


def successes(process: str, spec: Spec, results: list[Result]) -> list[Result]:
    wanted = (process, spec["recipe"], spec["batch"])
    rounds = [r for r in results if (r["side"], r["recipe"], r["batch"]) == wanted]
    return [r for r in rounds if "error" not in r]


def detail(process: str, spec: Spec, results: list[Result]) -> str:
    found, start = medians(process, spec, results), (spec["recipe"], str(spec["batch"]), process)
    if not found:
        return row(*start, "failed", "-", "-", "-", "-")
    speeds = [r["images_per_second"] for r in successes(process, spec, results)]
    return row(
        *start,
        f"{found['images_per_second']:,.1f}",
        f"{min(speeds):,.1f} to {max(speeds):,.1f}",
        f"{1e3 * found['step_seconds']:.2f}",
        f"{found['first_step_seconds']:.1f}",
        f"{found['peak_mb']:,.0f}",
    )


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--batch", nargs="+", default=["recipe"], help='sizes, or "recipe"')
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="timed in each process")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--float32", action="store_true", help="ganvas in float32 too")
    parser.add_argument("--keras-python", default=sys.executable, help="python with tensorflow")
    parser.add_argument("--output", action="store_true", help=f"write {RESULTS.name}/*.md too")
    parser.add_argument("--side", help="one process by hand: a side, or keras-xla")
    parser.add_argument("--recipe", default="genzoo-mnist", help="for --side")
    parser.add_argument("--spec", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.spec:
        print(json.dumps(measure(args.side, args.spec, args.seconds)))
    elif args.side:
        batch = None if args.batch[0] == "recipe" else int(args.batch[0])
        spec = describe(args.recipe, batch, args.float32)
        print(json.dumps(measure_apart(args.side, spec, args.seconds, args.keras_python)))
    else:
        text = "\n".join(compare(args)) + "\n"
        print(text)
        if args.output:
            hardware = re.sub(r"[^a-z0-9]+", "-", f"{processor()} {os.cpu_count()} cores".lower())
            RESULTS.mkdir(exist_ok=True)
            name = f"train-speed_{hardware.strip('-')}_{time.strftime('%Y-%m-%d')}.md"
            (RESULTS / name).write_text(text)


if __name__ == "__main__":
    main()
