"""Time the metrics against prdc and torch-fidelity on the same arrays, in one process, in turn.

    python benchmarks/metrics_speed.py [--num 10000] [--dims 128] [--rounds 3] [--save FILE]

Needs prdc and torch-fidelity (its formulas only; no torchvision). The first round warms up and is
left out; the table has the median of the others, and the result of each so that speed is for the
same number. Seconds of the processor, over all threads, tell more than those of the clock where
other work runs at the same time. OMP_NUM_THREADS sets the threads of all programs.

If MNIST is there (GANVAS_DATA), `ganvas evaluate` is timed as well: 10,000 fakes in an .npz file,
the first time, with an empty cache, and the second time. The fakes are training images with noise.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import platform
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # before torch starts, as the command does

import numpy as np
import platformdirs
import torch

import ganvas
from ganvas.data.datasets import MNIST
from ganvas.errors import RunError
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.kernel import KernelDistance
from ganvas.metrics.metric import Metric, Views
from ganvas.metrics.prdc import PrecisionRecallDensityCoverage


def fidelity() -> tuple[Any, Any]:
    """torch-fidelity's KID and FID modules, without what reads images: that needs torchvision."""
    package, unused = types.ModuleType("torch_fidelity"), types.ModuleType("torch_fidelity.utils")
    package.__path__ = importlib.util.find_spec("torch_fidelity").submodule_search_locations
    unused.__getattr__ = lambda name: None  # type: ignore[method-assign]
    sys.modules |= {module.__name__: module for module in (package, unused)}
    return tuple(
        importlib.import_module(f"torch_fidelity.metric_{name}") for name in ("kid", "fid")
    )


def contests(num: int, dims: int) -> dict[str, dict[str, Callable[[], dict[str, float]]]]:
    import prdc

    kid, fid = fidelity()
    rng = np.random.default_rng(0)
    real = rng.standard_normal((num, dims), dtype=np.float32)
    fake = 1.02 * rng.standard_normal((num, dims), dtype=np.float32) + np.float32(0.02)
    torch_real, torch_fake = torch.from_numpy(real), torch.from_numpy(fake)

    def ours(metric: Metric) -> dict[str, float]:
        statistics = metric.statistics(Views(features=real))
        return metric.compare(statistics, Views(features=fake)).values

    def ours_prdc() -> dict[str, float]:
        return ours(PrecisionRecallDensityCoverage())

    def their_prdc() -> dict[str, float]:
        with contextlib.redirect_stdout(io.StringIO()):
            return prdc.compute_prdc(real, fake, nearest_k=5)

    def ours_kid() -> dict[str, float]:
        metric = KernelDistance(subset_size=1000)  # without the distance over all pairs
        x, y = metric.lifted(real), metric.lifted(fake)
        distances = metric.over_subsets(x, metric.subsets_of(x), y)
        return {"mean": float(distances.mean()), "std": float(distances.std())}

    def their_kid() -> dict[str, float]:
        result = kid.kid_features_to_metric(torch_real, torch_fake, verbose=False)
        return {key.rsplit("_")[-1]: value for key, value in result.items()}

    def ours_fid() -> dict[str, float]:
        return ours(FrechetDistance(groups=0))

    def their_fid() -> dict[str, float]:
        parts = [fid.fid_features_to_statistics(rows) for rows in (torch_real, torch_fake)]
        return {"distance": fid.fid_statistics_to_metric(*parts, verbose=False)[fid.KEY_METRIC_FID]}

    return {
        "precision, recall, density, coverage": {"ganvas": ours_prdc, "prdc": their_prdc},
        "kernel distance, 100 x 1,000": {"ganvas": ours_kid, "torch-fidelity": their_kid},
        "Fréchet distance": {"ganvas": ours_fid, "torch-fidelity": their_fid},
    }


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of the clock and of the processor, and the result."""
    clock, processor = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - clock, time.process_time() - processor, result


def table(num: int, dims: int, rounds: int) -> str:
    load = os.getloadavg()[0]
    lines = [
        "",
        f"{num:,} real and {num:,} fake images, {dims} float32 features, in turn in one process.",
        "",
        "| metric | program | seconds | of processor | times as fast | by processor | result |",
        "|---|---|---|---|---|---|---|",
    ]
    for metric, programs in contests(num, dims).items():
        seconds: dict[str, list[tuple[float, float]]] = {program: [] for program in programs}
        results: dict[str, dict[str, float]] = {}
        for _ in range(rounds + 1):
            for program, run in programs.items():
                *both, results[program] = timed(run)
                seconds[program].append(tuple(both))
        medians = {
            p: [statistics.median(t) for t in zip(*s[1:], strict=True)] for p, s in seconds.items()
        }
        slowest = [max(times) for times in zip(*medians.values(), strict=True)]
        for program, (clock, processor) in medians.items():
            shown = ", ".join(f"{value:.6g}" for value in results[program].values())
            lines.append(
                f"| {metric} | {program} | {clock:.3f} | {processor:.3f} | "
                f"{slowest[0] / clock:.1f} | {slowest[1] / processor:.1f} | {shown} |"
            )
    head = (
        f"{processor_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, load "
        f"{load:.1f} at the start and {os.getloadavg()[0]:.1f} at the end; torch "
        f"{torch.__version__}, NumPy {np.__version__}, prdc {version('prdc')}, torch-fidelity "
        f"{version('torch-fidelity')}; {time.strftime('%Y-%m-%d')}; {rounds} rounds"
    )
    return "\n".join([head, *lines]) + "\n"


def processor_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
        return next(line.split(": ")[1] for line in text.splitlines() if "model name" in line)
    except (OSError, StopIteration):
        return platform.machine()


def command() -> str:
    """The time of `ganvas evaluate` on MNIST; nothing without its files."""
    try:
        train = MNIST().load("train", None).images[:10_000, 0]
    except RunError:
        return ""
    noise = np.random.default_rng(0).normal(0, 20, train.shape)
    lines = [
        "",
        "| `ganvas evaluate`, 10,000 MNIST fakes | seconds | of processor |",
        "|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        platformdirs.user_cache_dir = lambda app: folder  # an empty cache
        fakes = Path(folder) / "fakes.npz"
        np.savez(fakes, images=np.clip(train + noise, 0, 255).astype(np.uint8))
        for metrics in ("fd,kd,prdc,classes", "1nn,duplicates,memorisation"):
            for which in ("first time", "second time"):
                clock, processor, _ = timed(
                    partial(ganvas.evaluate, fakes, data="mnist", metrics=metrics)
                )
                lines.append(f"| {metrics}: {which} | {clock:.1f} | {processor:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--dims", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    text = table(args.num, args.dims, args.rounds) + command()
    print(text)
    if args.save:
        args.save.write_text(text)


if __name__ == "__main__":
    main()
