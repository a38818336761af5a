"""Copy what is worth committing of finished runs, up to a size."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reproduction.folder import Folder, Line

FILES = (
    *("config.toml", "env.json", "log.jsonl", "metrics.jsonl", "legible.json", "by-eye.json"),
    *("reals.png", "losses.png"),
)
WHOLE = 250_000
"""Bytes over which a log is kept compressed, its numbers in six digits."""


def keep(folder: Folder, into: Path, limit: int) -> str:
    """Copy the generator, the log, the numbers and the sheets at the published moments.

    `limit` is what all of `into` may hold, in bytes. What does not fit is not copied at all.
    Returns what was done, in a line.
    """
    name = folder.planned.name
    if not folder.is_finished:
        return f"{name}: not finished, left out"
    target = into / name
    if target.exists():
        shutil.rmtree(target)
    used, needed = size(into), sum(len(content) for _, content in _contents(folder))
    if used + needed > limit:
        return (
            f"{name}: left out, for its {_mb(needed)} and the {_mb(used)} that are there are over "
            f"the limit of {_mb(limit)}"
        )
    for path, content in _contents(folder):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(content)
    return f"{name}: {_mb(needed)}; {_mb(used + needed)} of {_mb(limit)} in {into}"


def _contents(folder: Folder) -> Iterator[tuple[Path, bytes]]:
    """What is kept: places below the kept folder, and the bytes."""
    paths = [folder.path / name for name in FILES]
    paths += sorted((folder.path / "generator").glob("*"))
    paths += folder.shown_sheets().values()
    for path in paths:
        if not path.is_file():
            continue
        place, content = path.relative_to(folder.path), path.read_bytes()
        if path.name == "metrics.jsonl":  # a picture's place says where the run lay
            lines = [line | {"picture": Path(line["picture"]).name} for line in folder.metrics]
            content = _as_lines(lines)
        if path.name == "log.jsonl" and len(content) > WHOLE:
            place = place.with_name(place.name + ".gz")
            lines = [{key: _short(value) for key, value in line.items()} for line in folder.log]
            content = gzip.compress(_as_lines(lines), mtime=0)  # the same bytes each time
        yield place, content


def _as_lines(lines: Sequence[Line]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def size(path: Path) -> int:
    """Bytes of all files below a folder, which need not be there."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
