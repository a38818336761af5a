"""`benchmarks/quality.py`: what is left to do, the report, and the outside peer."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import quality
import torch
from baselines.tutorial_dcgan import TutorialDCGAN


def case(folder: Path, method: str, distances: dict[float, float]) -> quality.Case:
    found = quality.Case("mnist", method, 0, folder)
    found.path.mkdir(parents=True)
    rows = [
        {"minutes": minutes, "images": 1000, "distance": distance, "real distance": 0.5}
        | {"precision": 0.9, "recall": 0.25}
        for minutes, distance in distances.items()
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (found.path / "quality.jsonl").write_text(lines)
    return found


def test_nothing_is_measured_twice(tmp_path: Path) -> None:
    fresh = quality.Case("mnist", "modern", 0, tmp_path)
    assert fresh.left([2.0, 1.0]) == [1.0, 2.0]
    assert case(tmp_path, "modern", {1: 9.0, 2: 8.0}).left([1, 2, 5]) == [5]


def test_the_report_has_last_and_best_and_a_picture(tmp_path: Path) -> None:
    case(tmp_path, "modern", {1: 9.0, 2: 4.0, 5: 6.0})
    case(tmp_path, "tutorial-dcgan", {1: 90.0})
    output = tmp_path / "found.md"
    quality.report(argparse.Namespace(folder=tmp_path, output=output))
    text = output.read_text()
    assert "| modern | 0 | 5 | 1,000 | 6 | 4 | 0.90 | 0.25 |" in text
    assert "| tutorial-dcgan | 0 | 1 | 1,000 | 90 | 90 | 0.90 | 0.25 |" in text
    assert (tmp_path / "found-mnist.png").stat().st_size > 1000


def test_an_empty_folder_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing was measured"):
        quality.report(argparse.Namespace(folder=tmp_path, output=tmp_path / "x.md"))


def test_the_clock_leaves_out_what_a_mark_costs() -> None:
    clock = quality.Clock(2.0)
    before = clock()
    assert 2.0 <= before < 2.1
    clock._zero -= 60.0  # a minute later
    assert clock() >= before + 1
    clock.back_to(before)
    assert before <= clock() < before + 0.1


def test_the_tutorials_nets_train_and_go_on(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 20), dtype=np.uint8)
    system = TutorialDCGAN(images, seed=0)
    steps = system.steps()
    next(steps)
    assert system.seen == 8
    assert system.sample(3, seed=1).shape == (3, 1, 28, 20)
    system.save(tmp_path / "x.pt")
    other = TutorialDCGAN(images, seed=5)
    other.load(tmp_path / "x.pt")
    assert other.seen == 8
    for one, two in zip(system.G.parameters(), other.G.parameters(), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(ValueError, match="32 pixels"):
        TutorialDCGAN(np.zeros((2, 1, 40, 40), np.uint8), seed=0)
