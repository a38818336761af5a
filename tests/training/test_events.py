"""TensorBoard's file: what is in it, and that no run ends for lack of it."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganvas.training import events as module
from ganvas.training.events import Events


def silent(message: str) -> None:
    pytest.fail(message)


def read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_scalars_and_images_are_there_before_the_file_is_closed(tmp_path: Path) -> None:
    events = Events(tmp_path, silent)
    events.add_scalar("D/loss", 0.25, 3)
    events.add_scalar("D/loss", float("nan"), 4)
    sheet = np.arange(2 * 5, dtype=np.uint8).reshape(1, 2, 5)
    events.add_image("samples", sheet, 4)
    found = read(tmp_path)
    assert [(event.step, event.value) for event in found.Scalars("D/loss")][0] == (3, 0.25)
    (image,) = found.Images("samples")
    (tmp_path / "sheet.png").write_bytes(image.encoded_image_string)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert np.array_equal(np.asarray(picture.convert("L")), sheet[0])
    events.close()
    events.close()


def test_a_resumed_run_takes_back_what_came_after(tmp_path: Path) -> None:
    first = Events(tmp_path, silent)
    for step in (1, 2, 3):
        first.add_scalar("x", step, step)
    first.close()
    os.rename(first._path, tmp_path / "events.out.tfevents.0000000001.host.1.0")
    second = Events(tmp_path, silent, purge_step=2)
    second.add_scalar("x", 20, 2)
    second.close()
    assert [(event.step, event.value) for event in read(tmp_path).Scalars("x")] == [(1, 1), (2, 20)]


def full(file: Any, *content: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("method", ["write", "flush"])
def test_the_first_error_is_told_once_and_the_rest_goes_unwritten(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    events = Events(tmp_path, said.append)
    monkeypatch.setattr(module.RecordWriter, method, full)
    for step in range(3):
        events.add_scalar("x", 1.0, step)
        events.add_image("y", np.zeros((1, 2, 2), np.uint8), step)
    events.close()
    (line,) = said
    assert line.startswith(f"cannot write '{tmp_path}/events.out.tfevents.")
    assert line.endswith("No space left on device; the run goes on without TensorBoard")


def test_a_file_that_cannot_be_made_is_told_once(tmp_path: Path) -> None:
    said: list[str] = []
    events = Events(tmp_path / "nowhere", said.append, purge_step=3)
    events.add_scalar("x", 1.0, 1)
    events.close()
    (line,) = said
    assert "No such file or directory" in line


def test_a_run_goes_on_without_tensorboard(
    tiny_run: Path, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.RecordWriter, "write", full)
    result = cli("train", tiny_run / "config.toml", "--outdir", "run")
    assert (result.code, result.err) == (0, "")
    lines = [line for line in result.out.splitlines() if "without TensorBoard" in line]
    assert len(lines) == 1 and lines[0].startswith("warning: cannot write 'run/events.out.")
    assert (tmp_path / "run" / "log.jsonl").read_text().count("\n") == 6


def limited(size: int) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.slow
def test_a_real_limit_of_size_is_one_line(tiny_run: Path, tmp_path: Path) -> None:
    """Sheets make the event file the largest one; then a checkpoint is too large as well."""
    command = [sys.executable, "-m", "ganvas", "train", str(tiny_run / "config.toml")]
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport os, sys\nos.execv({sys.executable!r}, {command!r})",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=limited(1500),
    )
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("ganvas: cannot write 'runs/tiny-001/") and "File too large" in line
