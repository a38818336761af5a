"""What a fixed time of one processor buys: candidates for a recipe, one after another.

    python benchmarks/candidates.py [--seconds 60] [--data mnist] [--seed 0] [--out FILE.jsonl]
        [--against DATA] [NAME ... | --set section.setting=value ...]

Each candidate is trained on one thread until it has used so many processor seconds (of training
steps, not of sheets), and its generator is then measured with the command line: the Fréchet
distance and the kernel distance of 10,000 images. `--against` says with what they are compared, if
not with the test images of what they were trained on. Processor seconds pass as slowly as other
work lets them, so the candidates compare on a busy machine too, roughly: caches are shared. A line
of JSON a candidate.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

BASE: Final[dict[str, Any]] = {
    "train.order": "shuffled",
    "train.device": "cpu",
    "train.precision": "float32",
    "evaluate.metrics": "none",
    "output.log": "500 steps",
    "output.sample": "10 epochs",
    "output.checkpoint": "10 epochs",
}
EMA: Final = {"ema.half_life": 20_000.0}
MODERN: Final[dict[str, Any]] = (
    BASE
    | EMA
    | {
        "model.name": "modern",
        "model.width": 32,
        "model.dense": 1024,
        "latent.name": "normal",
        "latent.dims": 64,
        "train.batch_size": 64,
    }
)
"""CS231n's nets but for the latent. Rates of 1e-3 and the non-saturating loss come from the recipe
that all start from."""
RATES: Final = ("optim.generator.learning_rate", "optim.discriminator.learning_rate")
R1: Final = {"penalty.name": "r1", "penalty.weight": 0.05}
WINNER: Final = MODERN | {"model.width": 16, "model.dense": 512}
"""Of the first minute, with classes where there are any."""
WITH_CLASSES: Final = WINNER | {"model.labels": "on"}
FAST: Final = dict.fromkeys(RATES, 2e-3)
PAIRED: Final = {
    "loss.name": "relativistic",
    "penalty.name": "r1-r2",
    "penalty.weight": 0.05,
}
CANDIDATES: Final[dict[str, dict[str, Any]]] = {
    "published": BASE,
    "published, EMA, batch 64": BASE | EMA | {"train.batch_size": 64},
    "published, EMA, batch 32": BASE | EMA | {"train.batch_size": 32},
    "modern": MODERN,
    "modern, batch 32": MODERN | {"train.batch_size": 32},
    "modern, D strided": MODERN | {"model.down": "stride"},
    "modern, BatchNorm in both": MODERN | {"model.norm": "both"},
    "modern, dense 512": MODERN | {"model.dense": 512},
    "modern, not dense": MODERN | {"model.dense": 0},
    "modern, half as wide": MODERN | {"model.width": 16},
    "modern, half as wide, dense 512": MODERN | {"model.width": 16, "model.dense": 512},
    "modern, a quarter as wide, dense 256": MODERN | {"model.width": 8, "model.dense": 256},
    "modern, a quarter as wide, dense 256, labels": MODERN
    | {"model.width": 8, "model.dense": 256, "model.labels": "on"},
    "modern, half as wide, rates to 0 at the end": MODERN
    | {"model.width": 16}
    | dict.fromkeys(RATES, "1e-3 to 0 from 60 % to 100 %"),
    "modern, slope 0.2": MODERN | {"model.slope": 0.2},
    "modern, shared fakes": MODERN | {"update.fakes": "shared"},
    "modern, rates 2e-3": MODERN | dict.fromkeys(RATES, 2e-3),
    "modern, rates 5e-4": MODERN | dict.fromkeys(RATES, 5e-4),
    "modern, rates to 0 at the end": MODERN | dict.fromkeys(RATES, "1e-3 to 0 from 60 % to 100 %"),
    "modern, hinge": MODERN | {"loss.name": "hinge"},
    "modern, R1": MODERN | R1,
    "modern, relativistic, R1": MODERN | {"loss.name": "relativistic"} | R1,
    "modern, D strided, relativistic, R1": MODERN
    | {"model.down": "stride", "loss.name": "relativistic"}
    | R1,
    "modern, labels": MODERN | {"model.labels": "on"},
    "modern, half as wide, dense 512, labels": WITH_CLASSES,
    "labels, rates 2e-3": WITH_CLASSES | FAST,
    "labels, rates 4e-3": WITH_CLASSES | dict.fromkeys(RATES, 4e-3),
    "labels, relativistic, R1 and R2": WITH_CLASSES | PAIRED,
    "labels, relativistic, R1 and R2, rates 2e-3": WITH_CLASSES | PAIRED | FAST,
    "labels, hinge, rates 2e-3": WITH_CLASSES | FAST | {"loss.name": "hinge"},
    "rates 2e-3": WINNER | FAST,
    "rates 2e-3, diffaugment": WINNER | FAST | {"augment.name": "diffaugment"},
}


def trained(settings: dict[str, Any], seconds: float, seed: int, folder: Path) -> dict[str, float]:
    """Train until so many processor seconds of steps are used; images shown and seconds."""
    import ganvas
    from ganvas.rundir import RunFolder
    from ganvas.training.hooks import Hooks
    from ganvas.training.loop import fit
    from ganvas.training.progress import Silent

    # `fit` keeps 4 seconds for the pictures at the end, or a tenth
    minutes = min(seconds + 4, seconds / 0.9) / 60
    settings = settings | {"seed": seed, "train.length": f"{minutes} minutes"}
    run = ganvas.resolve("cs231n-dcgan", data=settings.pop("data.name", "mnist"), settings=settings)
    done = fit(run, RunFolder(folder), Silent(), hooks=Hooks(clock=time.process_time))
    return {"images": done.images, "seconds": round(done.seconds, 1)}


def measured(run: Path, against: str | None, num: int) -> dict[str, float]:
    """What the command line says of a run's generator: values by the names of metrics."""
    words = ["ganvas", "evaluate", str(run), "--metrics", "fd,kd", "--num", str(num), "--json"]
    words += ["--data", against] if against else []
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(words)}: {done.stderr.strip()}")
    rows = json.loads(done.stdout)
    return {row["metric"]: float(f"{next(iter(row['values'].values())):.3g}") for row in rows}


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(CANDIDATES))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--against", help="a data set to compare with")
    parser.add_argument("--num", type=int, default=10_000, help="images that are compared")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="a candidate of its own")
    parser.add_argument("--out", type=Path, help="append the lines here too")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(CANDIDATES)):
        sys.exit(f"unknown candidate {unknown[0]!r}; known: {'; '.join(CANDIDATES)}")

    from ganvas import config

    chosen = {name: CANDIDATES[name] for name in args.names}
    if args.set:
        chosen = {" ".join(args.set): MODERN | dict(map(config.parse_setting, args.set))}
    for name, settings in (chosen or CANDIDATES).items():
        with tempfile.TemporaryDirectory() as temporary:
            run = Path(temporary) / "run"
            data = {"data.name": args.data}
            line: dict[str, Any] = {"candidate": name, "data": args.data, "seed": args.seed}
            line |= trained(data | settings, args.seconds, args.seed, run)
            line |= measured(run, args.against, args.num)
        text = json.dumps(line)
        print(text, flush=True)
        if args.out:
            with args.out.open("a") as file:
                file.write(text + "\n")


if __name__ == "__main__":
    main()
