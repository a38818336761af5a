"""Exports against their source: largest difference, size, time to draw 16 images.

    python benchmarks/export.py [WHAT ...] [--rounds 10]

WHAT is a run folder, a saved generator or a pretrained one's name; without any, all pretrained
ones, and of each kind of net that they leave out a generator as it begins, `modern` with classes
too. Ways are the generator itself (PyTorch), its ONNX file (onnxruntime) and its page (Chromium, by
playwright: pip install 'ganvas[onnx,browser]'), each on one thread. The same 16 latents go to all.
Rounds of all ways are in turn; the first is a warm-up, the shortest of the others counts, since
other work on the machine only ever adds to it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from playwright.sync_api import sync_playwright

from ganvas import config, pretrained
from ganvas.batch import Latents
from ganvas.classes import Classes
from ganvas.drawing import NONE, generate
from ganvas.errors import UsageError
from ganvas.exports import onnx, page
from ganvas.exports.source import Source, open_source
from ganvas.generator import load, save_generator, snapshot
from ganvas.images import to_uint8
from ganvas.protocols import build_generator
from ganvas.verbs.show import size_of_data

NUM = 16
Draw = Callable[[], tuple[NDArray[Any], float]]
"""Images, (NUM, C, H, W), and the seconds that they took."""


def clocked(draw: Callable[[], NDArray[Any]]) -> Draw:
    def call() -> tuple[NDArray[Any], float]:
        start = time.perf_counter()
        images = draw()
        return images, time.perf_counter() - start

    return call


def in_onnxruntime(content: bytes, latents: Latents) -> Draw:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return clocked(lambda: session.run(None, onnx.feed(latents))[0])


def in_chromium(tab: Any, source: Source, latents: Latents) -> Draw:
    channels, height, width = source.generator.shape
    labels = [] if latents.labels is None else latents.labels.tolist()
    values = [latents.z.flatten().tolist(), labels]

    def draw() -> tuple[NDArray[Any], float]:
        pixels, milliseconds = tab.evaluate(
            """values => { const start = performance.now(), pixels = ganvas.draw(...values);
            return [[...pixels], performance.now() - start] }""",
            values,
        )
        shape = (NUM, height, width, channels)
        return np.moveaxis(np.array(pixels, np.uint8).reshape(shape), 3, 1), milliseconds / 1000

    return draw


@contextmanager
def opened(browser: Any, content: bytes) -> Iterator[Any]:
    """A page in a tab, loaded from disk."""
    with tempfile.NamedTemporaryFile(suffix=".html") as file:
        file.write(content)
        file.flush()
        tab = browser.new_page()
        tab.goto(Path(file.name).as_uri())
        while not tab.evaluate("Boolean(window.ganvas && ganvas.idle())"):
            tab.wait_for_timeout(100)
        yield tab
        tab.close()


def difference(source: Source, images: NDArray[Any], expected: NDArray[np.float32]) -> str:
    if images.dtype != np.uint8:
        return f"{np.abs(images - expected).max():.1e}"
    whole = to_uint8(torch.from_numpy(expected), *source.value_range)
    return f"{np.abs(images.astype(int) - whole).max()}/255"


def rows(what: str | Path, browser: Any, rounds: int) -> Iterator[list[str]]:
    source = open_source(what)
    z = source.latents(NUM)
    expected = source.images(z)
    model = onnx.build(source)
    try:
        html = page.build(source)
    except UsageError as error:
        yield [name_of(source), "page", f"refused: {error}", "", "", ""]
        return
    sizes = {
        "safetensors": (source.folder / "model.safetensors").stat().st_size,
        "onnx": len(model.content),
        "page": len(html.content),
    }
    with opened(browser, html.content) as tab:
        ways = {
            "safetensors": clocked(lambda: source.images(z)),
            "onnx": in_onnxruntime(model.content, z),
            "page": in_chromium(tab, source, z),
        }
        found: dict[str, list[tuple[NDArray[Any], float]]] = {way: [] for way in ways}
        for _ in range(rounds + 1):
            for way, draw in ways.items():
                found[way].append(draw())
    for way, drawn in found.items():
        images = drawn[-1][0]
        per_parameter = sizes[way] / source.card.parameters
        yield [
            name_of(source),
            way,
            "source" if way == "safetensors" else difference(source, images, expected),
            f"{sizes[way] / 1e6:.2f}",
            f"{per_parameter:.2f}",
            f"{1000 * min(seconds for _, seconds in drawn[1:]):.1f}",
        ]


def name_of(source: Source) -> str:
    kind = "" if source.card.images_seen else ", as it begins"
    kind += f", {source.generator.num_classes} classes" if source.generator.classes else ""
    return source.card.recipe + kind


def begun(folder: Path) -> Iterator[Path]:
    """A generator of each kind of net that no pretrained one has, with weights as they begin."""
    known = {(repr(load(name).model), load(name).shape) for name in pretrained.names()}
    kinds = [(name, config.read_recipe(name).tables, NONE) for name in config.recipe_names()]
    modern = config.read_recipe("modern").tables
    labelled = modern | {"model": modern["model"] | {"labels": "on"}}
    kinds.append(("modern", labelled, Classes(tuple("0123456789"))))
    for name, tables, classes in kinds:
        run = config.build(tables)
        _, shape = size_of_data(run, None)
        if (repr(run.model), shape) in known:
            continue
        known.add((repr(run.model), shape))
        torch.manual_seed(0)
        net = build_generator(run.model, shape, run.latent.dims, len(classes)).train()
        labels = torch.arange(64) % len(classes) if classes else None
        with torch.no_grad():
            generate(net, Latents(run.latent.sample(64, torch.default_generator), labels))
        place = folder / f"{name}-{len(known)}"
        save_generator(place, run, snapshot(run, net, shape, 0, classes))
        yield place


def main(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    print("| generator | way | largest difference | MB | bytes a parameter | ms for 16 |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        for what in args.what or itertools.chain(pretrained.names(), begun(Path(folder))):
            for row in rows(what, browser, args.rounds):
                print(f"| {' | '.join(row)} |", flush=True)
        chromium = browser.version
        browser.close()
    print(
        f"\n{args.rounds} rounds; load {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the "
        f"end, {os.cpu_count()} cores; torch {torch.__version__}, onnxruntime "
        f"{version('onnxruntime')}, Chromium {chromium}; {date.today()}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", nargs="*", metavar="WHAT")
    parser.add_argument("--rounds", type=int, default=10)
    main(parser.parse_args())
