"""The report of benchmarks/reproduce.py: losses, tables, what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_runs import FD, LONG, SHORT, Make, save_generator
from reproduction import plan, report
from reproduction.folder import Folder
from reproduction.plan import Planned


def test_a_loss_is_the_mean_of_the_steps_asked_for(make: Make) -> None:
    log = make().log
    assert report.loss(log, "D", 99, 100) == 100
    assert report.loss(log, "G", 90, 100) == 191  # twice the mean of 91 to 100
    assert report.loss(log, "D", 100, 110) is None
    coarse = [
        {"step": 10, "D/loss": 1.0},
        {"step": 30, "D/loss": 4.0},
        {"step": 40, "D/loss": None},
    ]
    assert report.loss(coarse, "D", 0, 40) == 3.0  # 10 steps of 1, 20 of 4
    assert report.loss(coarse, "D", 9, 10) is None  # no line of that step alone


def test_spread() -> None:
    assert report.spread([]) == "-"
    assert report.spread([1.451, None]) == "1.451"
    assert report.spread([1.0, 2.0, 3.0]) == "2 ± 1"


def test_the_report_of_a_finished_run(make: Make) -> None:
    folder = make(rows=[FD | {"images": 1000, "step": 100}, FD | {"images": 700, "step": 70}])
    save_generator(folder.path / "best", 700)
    counted = {"tiles": 6, "legible": 5, "classes": [5, 0]}
    notes = {"sheets": {"100": counted}, "reals": counted, "drawn": counted | {"tiles": 10}}
    (folder.path / "legible.json").write_text(json.dumps(notes))
    (folder.path / "by-eye.json").write_text('{"100": {"legible": 4, "words": "one broken"}}')
    lines = report.report([folder]).splitlines()
    for row in (
        "| cs231n-lsgan-seed0 | 100 | 100 % of 100 | finished | 50 s | 20 | float32 | cpu |",
        "| cs231n-lsgan-seed0 | last, step 100 | 12.25 (12 to 12.5) " + 11 * "| - " + "|",
        "| cs231n-lsgan-seed0 | best, step 70 | 12.25 (12 to 12.5) " + 11 * "| - " + "|",
        "| real images | floor | 0.5 " + 11 * "| - " + "|",
        "| cs231n-lsgan | 0 | 1 | 0.5689 | 1 | 1 | 0.51 | 2 | 2 |",
        "| cs231n-lsgan | 250 | 0 | 0.1053 | - | - | 0.3343 | - | - |",
        "| cs231n-lsgan-seed0 | 100 | 5 of 6, 1 class | 4 | about 10 of 16 | 5 of 6 | 50.0 % |",
        "- `cs231n-lsgan-seed0`, step 100, by eye: one broken",
        "None: every run of the plan has come to its end.",
    ):
        assert row in lines, row


def test_losses_over_three_seeds(make: Make) -> None:
    folders = [make(Planned("cs231n-lsgan", seed, 300, 1, "pytorch"), 300) for seed in range(3)]
    row = "| cs231n-lsgan | 250 | 3 | 0.1053 | 251 ± 0 | 126.5 ± 0 | 0.3343 | 502 ± 0 | 253 ± 0 |"
    assert row in report.report(folders).splitlines()  # 126.5: the mean of 2 to 251


def test_what_is_not_finished_is_said_with_where_the_published_run_stood(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    curve = {"steps": 1000, "D": [0.70, 1.08], "G": [2.05, 1.22]}
    monkeypatch.setitem(plan.PUBLISHED["genzoo-cifar10"], "curve", curve)
    text = report.report([make(LONG, steps=500), Folder(SHORT, tmp_path / SHORT.name)])
    assert "- `genzoo-cifar10-seed0`: 500 of 1,000 steps (50.0 %), 4 min 10 s more" in text
    assert "on a straight line it stood at D 0.89, G 1.63 here" in text
    assert "| **not finished** |" in text
    assert "- `cs231n-lsgan-seed0`: not begun, 100 steps." in text
