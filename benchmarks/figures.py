"""Make the runs whose figures the pages quote, and docs/figures.json and the pictures with them.

    python benchmarks/figures.py            all of it, some minutes on two cores
    python benchmarks/figures.py quickstart [compare]

`tests/test_figures.py` fails where a page quotes a figure that is not in docs/figures.json; after
this, the pages want the lines that it names. compare.png is drawn by playwright and its browser;
without them it stays as it is.
"""

from __future__ import annotations

import contextlib
import io
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import ganvas
from ganvas import printing

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docs/figures.json"
IMAGES = ROOT / "docs/images"


def quickstart(folder: Path) -> dict[str, Any]:
    """`ganvas train`, as the first page of the documentation has it."""
    said = io.StringIO()
    console = Console(file=said, width=200)
    run = folder / "quickstart-001"
    result = ganvas.train(outdir=run, progress=console)
    with contextlib.redirect_stdout(said):
        printing.trained(result, False)
    shutil.copy(sorted((run / "samples").glob("*.png"))[-1], IMAGES / "quickstart.png")
    shutil.copy(run / "losses.png", IMAGES / "quickstart-losses.png")
    (last,), (best,) = result.last, result.best
    (verdict,) = [line for line in said.getvalue().splitlines() if line.startswith("how good: ")]
    return {
        "metric": last.metric,
        "last": f"{last.values['distance']:.4g}",
        "best": f"{best.values['distance']:.4g}",
        "best_step": f"{best.step:,}",
        "real_images": f"{last.floor['distance']:.4g}",
        "verdict": verdict,
    }


def compare(folder: Path) -> dict[str, Any]:
    """Two losses with three seeds each, as the page on comparing has it."""
    for seed in range(3):
        for loss in ("non-saturating", "least-squares"):
            ganvas.train(
                epochs=20,
                seed=seed,
                settings={"loss.name": loss},
                evaluate="fd200,prdc200,1nn200",
                every="4 epochs",
                outdir=folder / "runs" / f"digits-{loss}-{seed}",
                progress=False,
            )
    with contextlib.chdir(folder):  # so that runs are called as they are there
        found = ganvas.compare("runs", html="compare.html")
    picture(folder / "compare.html", IMAGES / "compare.png")
    distances = {column.metric for column in found.columns if column.family == "fd"}
    return {"headline": found.headline, "distances": sorted(distances)}


def picture(page: Path, path: Path) -> None:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        print(f"no playwright: {path.name} stays as it is")
        return
    with sync_playwright() as play:
        try:
            browser = play.chromium.launch()
        except Error:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"))
        view = browser.new_page(viewport={"width": 1100, "height": 1250})
        view.goto(page.as_uri())
        view.wait_for_timeout(500)
        view.screenshot(path=path)
        browser.close()


def main() -> None:
    parts = {"quickstart": quickstart, "compare": compare}
    known = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder:
            found = parts[name](Path(folder))
        made = {"ganvas": ganvas.__version__, "torch": torch.__version__.partition("+")[0]}
        known[name] = found | {"made_with": made | {"processor": platform.processor() or "unknown"}}
        FILE.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
