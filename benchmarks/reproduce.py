"""Run the published systems to their end, measure them, and write the report.

    python benchmarks/reproduce.py run --minutes 30 [--only RECIPE[-seedN],...] [--threads 1]
    python benchmarks/reproduce.py status
    python benchmarks/reproduce.py evaluate [--only ...] [--minutes 30]
    python benchmarks/reproduce.py look RUN STEP COUNT "what is to be seen"
    python benchmarks/reproduce.py report [--output FILE]
    python benchmarks/reproduce.py keep [--only ...] [--into FOLDER] [--limit-mb 64]
    python benchmarks/reproduce.py package [--only ...] [--into FOLDER] [--limit-mb 32]
    python benchmarks/reproduce.py gallery [--only ...] [--into FOLDER]
    python benchmarks/reproduce.py speed --device cuda --minutes 8 [--seconds 12]

The runs lie in one folder (--folder, by default runs/reproduction), each in RECIPE-seedN.

run       goes on where it stopped: one run after another, short ones first, each in a process of
          low priority, which is stopped in order when the minutes are over. On a CUDA device the
          long ones come first. Two of these may work at a time, each on other runs.
status    a table: state, step, images a second, time left, newest distance
evaluate  measures the last and the best generator of each run that is not in progress with 10,000
          images, and counts legible tiles; the rows stay in the run folder, nothing is done twice
look      notes how many tiles of a sheet are legible to one's own eyes
report    writes the tables from what is in the run folders
keep      copies generators, logs, numbers and sheets of finished runs to where they are committed
package   puts the last generators of finished, evaluated runs into the package, seed 0 at the
          recipe's length, with 8-bit weights or halves, measured again, each with its card;
          of one that is there already the card alone is written again
gallery   draws sheets of all pretrained generators, makes animations of finished runs, writes
          docs/gallery.md and our part of docs/systems/*.md
speed     trains every recipe for some seconds, on CUDA with and without graph capture; the rows
          are in speed.jsonl, nothing is measured twice

run, evaluate and speed end with status 75 if the minutes were over before the work was.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from reproduction import gallery, keep, measure, package, report, speed
from reproduction.folder import Folder, open_all, running
from reproduction.plan import select
from reproduction.queue import Queue

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parent.parent / "docs"
PRETRAINED = Path(__file__).parent.parent / "src" / "ganvas" / "pretrained"
UNDONE = 75
"""Exit status where minutes were over before the work was, EX_TEMPFAIL of sysexits.h."""


def run(args: argparse.Namespace) -> int:
    import torch

    queue = Queue(
        args.folder,
        select(args.only, args.born),
        args.threads,
        args.nice,
        args.device,
        args.device.startswith("cuda") or (not args.device and torch.cuda.is_available()),
        tuple(args.set),
    )
    return 0 if queue.work(args.minutes) else UNDONE


def status(args: argparse.Namespace) -> int:
    busy = running(args.folder)
    rows = [("run", "state", "step", "images/s", "left", "newest distance")]
    for folder in _folders(args):
        left = folder.seconds_left
        state = folder.state(busy)
        rows.append(
            (
                folder.planned.name,
                state,
                f"{folder.step:,} of {folder.planned.steps:,}",
                f"{folder.speed:,.0f}" if folder.speed else "",
                report.clock(left) if left and state != "finished" else "",
                folder.newest_distance,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    for folder in _folders(args):
        if folder.state(busy) == "failed":
            print(f"{folder.planned.name}: {folder.failure}")
    return 0


def evaluate(args: argparse.Namespace) -> int:
    deadline = time.monotonic() + 60 * args.minutes
    busy = running(args.folder)
    for folder in _folders(args):
        if folder.has_begun and folder.path.resolve() not in busy:
            if not measure.evaluate(folder, args.nice, deadline):
                return UNDONE
    return 0


def look(args: argparse.Namespace) -> int:
    (folder,) = open_all(args.folder, select([args.run]))
    if args.step not in folder.sheets():
        known = ", ".join(map(str, folder.sheets()))
        raise ValueError(f"STEP: found {args.step}; allowed: {known or 'none, it has no sheets'}")
    notes = folder.note("by-eye.json")
    notes[str(args.step)] = {"legible": args.count, "words": args.words}
    (folder.path / "by-eye.json").write_text(json.dumps(notes, indent=1, sort_keys=True) + "\n")
    return 0


def write_report(args: argparse.Namespace) -> int:
    text = report.report(_folders(args))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text, encoding="utf-8")
    print(f"wrote {args.output}")
    return 0


def keep_finished(args: argparse.Namespace) -> int:
    for folder in _folders(args):
        if folder.has_begun:
            print(keep.keep(folder, args.into, round(1e6 * args.limit_mb)))
    return 0


def package_finished(args: argparse.Namespace) -> int:
    for folder in _folders(args):
        if folder.has_begun:
            print(package.package(folder, args.into, round(1e6 * args.limit_mb)), flush=True)
    return 0


def make_gallery(args: argparse.Namespace) -> int:
    for line in gallery.gallery(_folders(args), args.into):
        print(line, flush=True)
    return 0


def measure_speed(args: argparse.Namespace) -> int:
    path, runs = args.folder / "speed.jsonl", select(args.only, args.born)
    todo = speed.missing(path, runs, args.device)
    done = speed.measure(path, todo, args.device, args.seconds, args.minutes)
    print("\n".join(speed.table(path, runs)))
    return 0 if done else UNDONE


def _folders(args: argparse.Namespace) -> list[Folder]:
    return open_all(args.folder, select(args.only, args.born))


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--folder", type=Path, default=Path("runs/reproduction"))
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("--only", action="append", default=[], help="recipes or RECIPE-seedN")
    chosen.add_argument("--born", choices=("tensorflow", "pytorch"), help="by the original")
    lowly = argparse.ArgumentParser(add_help=False)
    lowly.add_argument("--nice", type=int, default=19, help="0 to 19, the lowest priority")

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(
        name: str, does: Callable[[argparse.Namespace], int], *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, parents=[common, *parents])
        added.set_defaults(does=does)
        return added

    added = verb("run", run, chosen, lowly)
    added.add_argument("--minutes", type=float, required=True)
    added.add_argument("--threads", type=int, default=1, help="of each run's process")
    added.add_argument("--device", default="", help="cpu, cuda; otherwise what ganvas chooses")
    added.add_argument("--set", action="append", default=[], help="a setting of runs that begin")
    verb("status", status, chosen)
    added = verb("evaluate", evaluate, chosen, lowly)
    added.add_argument("--minutes", type=float, default=math.inf)
    added = verb("look", look)
    added.add_argument("run", help="RECIPE-seedN")
    added.add_argument("step", type=int, help="of the sheet")
    added.add_argument("count", type=int, help="legible tiles")
    added.add_argument("words", help="what is to be seen")
    added = verb("report", write_report, chosen)
    added.add_argument("--output", type=Path, default=RESULTS / "reproduction.md")
    added = verb("keep", keep_finished, chosen)
    added.add_argument("--into", type=Path, default=RESULTS / "reproduction")
    added.add_argument("--limit-mb", type=float, default=64.0, help="for all that is there then")
    added = verb("package", package_finished, chosen)
    added.add_argument("--into", type=Path, default=PRETRAINED)
    added.add_argument("--limit-mb", type=float, default=32.0, help="for all generators together")
    added = verb("gallery", make_gallery, chosen)
    added.add_argument("--into", type=Path, default=DOCS)
    added = verb("speed", measure_speed, chosen)
    added.add_argument("--device", required=True)
    added.add_argument("--minutes", type=float, default=math.inf)
    added.add_argument("--seconds", type=float, default=12.0, help="of training in each process")
    return parser.parse_args(words)


def main() -> None:
    args = parse()
    try:
        sys.exit(args.does(args))
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"reproduce: {error}")


if __name__ == "__main__":
    main()
