"""Generators for the package, and the gallery: what is taken, in which form, what is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_runs import FD, Make
from PIL import Image
from reproduction import gallery, package
from reproduction.folder import NUM, Folder
from reproduction.package import Distance
from reproduction.plan import PLAN
from safetensors import safe_open

from ganvas import pretrained

PLANNED = replace(next(run for run in PLAN if run.name == "cs231n-vanilla-seed0"), steps=12)
METRICS = ("fd10k", "kd10k", "prdc10k", "classes10k", "memorisation10k", "duplicates10k")


def row(metric: str, images: int, distance: float = 12.25) -> dict[str, Any]:
    return FD | {"metric": metric, "images": images, "values": {"distance": distance}}


@pytest.fixture
def finished(tiny_run: Path, tmp_path: Path) -> Folder:
    """A run that came to its end and was measured."""
    folder = Folder(PLANNED, Path(shutil.copytree(tiny_run, tmp_path / PLANNED.name)))
    lines = [row(metric, folder.images) for metric in METRICS]
    (folder.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder.path / "by-eye.json").write_text('{"12": {"legible": 4, "words": "noise, mostly"}}')
    return Folder(PLANNED, folder.path)


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """moved(int8=12.3): the distances that packed generators are found to have."""

    def to(**distances: float) -> None:
        def evaluated(generator: Path, folder: Folder, metrics: Any) -> list[dict[str, Any]]:
            names = [f"{metric}{NUM // 1000}k" for metric in metrics]
            return [row(name, folder.images, distances[generator.name]) for name in names]

        monkeypatch.setattr(package, "evaluated", evaluated)

    yield to


def form(folder: Path) -> str:
    with safe_open(folder / "model.safetensors", "np") as file:
        return str(file.metadata()["weights"])


def test_a_distance_within_the_interval_keeps_eight_bits(
    finished: Folder, tmp_path: Path, moved: Callable[..., None]
) -> None:
    moved(int8=12.45)
    said = package.package(finished, tmp_path / "into", 10**6)
    folder = tmp_path / "into" / "generator-cs231n-vanilla"
    assert form(folder) == "int8" and "12.25 with 32 bits (12 to 12.5), 12.45 with these" in said
    training = json.loads((folder / "config.json").read_text())["training"]
    assert training["licence"] == "mit" and training["data"]["images"] == 64
    assert {found["metric"] for found in training["rows"]} == set(METRICS)
    assert all(found["values"]["distance"] == 12.45 for found in training["rows"])
    text = (folder / "README.md").read_text()
    assert "By eye 4 of the tiles of its sheet at the end can be read" in text


def test_otherwise_it_has_sixteen(
    finished: Folder, tmp_path: Path, moved: Callable[..., None]
) -> None:
    moved(int8=12.51, float16=12.2)
    assert "16 bits a weight" in package.package(finished, tmp_path / "into", 10**6)
    assert form(tmp_path / "into" / "generator-cs231n-vanilla") == "float16"


def test_what_does_not_do_is_left_out(
    finished: Folder, tmp_path: Path, moved: Callable[..., None], make: Make
) -> None:
    into = tmp_path / "into"
    moved(int8=11.9, float16=11.99)
    assert "fd10k 12.25 moves to int8 11.9, float16 11.99" in package.package(finished, into, 10**6)
    moved(int8=12.3)
    assert "are over 0.0 MB" in package.package(finished, into, 1000)
    (finished.path / "metrics.jsonl").write_text(json.dumps(row("fd10k", finished.images)) + "\n")
    again = Folder(PLANNED, finished.path)
    assert "kd, prdc, classes, memorisation, duplicates not measured" in package.package(
        again, into, 10**6
    )
    assert "not finished" in package.package(make(steps=99), into, 10**6)
    for other in (replace(PLANNED, seed=1), replace(PLANNED, epochs=400)):
        assert "left out, seed 0" in package.package(Folder(other, finished.path), into, 10**6)
    assert not into.exists()


def test_one_that_is_there_is_not_measured_again(
    finished: Folder, tmp_path: Path, moved: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(int8=12.3)
    into = tmp_path / "into"
    package.package(finished, into, 10**6)
    before = {path: path.read_bytes() for path in into.rglob("*.*")}
    monkeypatch.setattr(package, "evaluated", None)
    assert "as it was, 8 bits a weight" in package.package(finished, into, 10**6)
    assert {path: path.read_bytes() for path in into.rglob("*.*")} == before


def test_the_interval_holds_its_ends() -> None:
    distance = Distance("fd10k", 5.0, 4.0, 6.0)
    for value, held in ((4.0, True), (6.0, True), (3.99, False), (6.01, False)):
        assert distance.holds(replace(distance, value=value)) == held


def test_the_gallery_shows_what_comes_along(
    finished: Folder, tmp_path: Path, moved: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(int8=12.3)
    package.package(finished, tmp_path / "home", 10**6)
    monkeypatch.setattr(pretrained, "_HOME", tmp_path / "home")
    docs = tmp_path / "docs"
    (docs / "systems").mkdir(parents=True)
    for page in gallery.PAGES.values():
        (docs / "systems" / page).write_text(f"# A\n{gallery.BEGIN}old{gallery.END}\nB\n")
    done = list(gallery.gallery([finished], docs))
    assert done == [
        "cs231n-vanilla: sheet, animation",
        "docs/systems/cs231n.md: cs231n-vanilla-seed0",
    ]
    page = (docs / "gallery.md").read_text()
    assert "## cs231n-vanilla\n" in page and "fd10k 12.3 (12 to 12.5), real images 0.5" in page
    assert "*After 12 steps.*" in page
    with Image.open(docs / "images" / "gallery" / "cs231n-vanilla.gif") as gif:
        assert gif.info["comment"] == b"12"
    system = (docs / "systems" / "cs231n.md").read_text()
    assert "old" not in system and system.endswith(f"{gallery.END}\nB\n")
    assert "| cs231n-vanilla | 0 | 1 | 1.328 |" in system
    assert (
        docs / "systems" / "genzoo.md"
    ).read_text() == f"# A\n{gallery.BEGIN}old{gallery.END}\nB\n"
