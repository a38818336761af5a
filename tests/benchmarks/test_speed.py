"""Training speed with and without captured steps: what is left, the rate, the table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_runs import LONG, SHORT
from reproduction import speed

ROW = {
    "recipe": "cs231n-lsgan",
    "graphs": False,
    "captured": False,
    "images_per_second": 100.0,
    "images_per_step": 50.0,
    "precision": "float32",
    "device": "H",
}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_nothing_is_measured_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "speed.jsonl", ROW)
    assert speed.missing(path, [SHORT, LONG], "cpu") == [("genzoo-cifar10", False)]
    assert speed.missing(path, [SHORT, LONG], "cuda:0") == [
        ("cs231n-lsgan", True),
        ("genzoo-cifar10", False),
        ("genzoo-cifar10", True),
    ]


def test_none_is_begun_that_would_not_end_in_time(tmp_path: Path) -> None:
    path = tmp_path / "speed.jsonl"
    assert not speed.measure(path, [("cs231n-lsgan", False)], "cpu", seconds=40, minutes=1)
    assert speed.measure(path, [], "cpu", seconds=40, minutes=1)
    assert not path.exists()


def test_the_rate_leaves_out_the_start_and_the_last_line() -> None:
    lines = [{"images": 100 * i, "seconds": s} for i, s in enumerate((1, 9, 10, 11, 12, 13, 99))]
    assert speed.rate(lines) == 100.0  # from the third line to the last but one
    assert speed.rate([{"images": 100, "seconds": 4.0}]) == 25.0


def test_the_table(tmp_path: Path) -> None:
    captured = ROW | {"graphs": True, "captured": True, "images_per_second": 250.0}
    other = ROW | {"recipe": "genzoo-cifar10"}
    path = write(tmp_path / "speed.jsonl", ROW, captured, other, other | {"graphs": True})
    assert list(speed.table(path, [SHORT, LONG]))[2:] == [
        "| genzoo-cifar10 | 100 | cannot be captured | - | 1,000 | 8 min 20 s | - | float32 | H |",
        "| cs231n-lsgan | 100 | 250 | 2.50 | 100 | 50 s | 20 s | float32 | H |",
    ]
    path = write(tmp_path / "speed.jsonl", {"recipe": SHORT.recipe, "graphs": False, "error": "x"})
    assert list(speed.table(path, [SHORT]))[2:] == [
        "| cs231n-lsgan | failed: x | - | - | 100 | - | - | - | - |"
    ]


@pytest.mark.slow
def test_one_measurement(tmp_path: Path) -> None:
    found = speed.measure_one("quickstart", False, "cpu", 1.0)
    assert found["images_per_second"] > 0 and found["images_per_step"] == 32
    assert (found["graphs"], found["captured"], found["device"]) == (False, False, "cpu")
    assert "error" in speed.measure_one("quickstart", True, "cpu", 1.0)  # graphs are CUDA's


@pytest.mark.skipif(sys.platform == "win32", reason="a script for bash")
def test_gpu_sh_says_what_is_wrong() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "gpu.sh"
    done = subprocess.run(["bash", str(script), "--nix"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("gpu.sh: found '--nix'; allowed: --folder")
