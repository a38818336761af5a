"""Files of JSON objects, one a line: read as they are found, and followed while they grow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

END: Final = 1 << 16
"""Bytes at the end of a file in which its last line is looked for."""


class Tail(NamedTuple):
    """What was added to a file of lines since it was last looked at."""

    lines: list[dict[str, Any]]
    offset: int
    """Where to go on."""
    rewound: bool
    """The file was cut or written anew: `lines` are all it has, forget the earlier ones."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; lines that hold none are passed over."""
    return objects(content_of(path))


def tail(path: Path, offset: int = 0) -> Tail:
    """The whole lines added to a file since byte `offset`, which an earlier call returned.

    A line that is being written is left for the next call. A file that is missing has no lines.
    """
    try:
        with path.open("rb") as file:
            rewound = offset > os.fstat(file.fileno()).st_size
            if offset > 0 and not rewound:
                file.seek(offset - 1)
                rewound = file.read(1) != b"\n"
            start = 0 if rewound else max(0, offset)
            file.seek(start)
            content = file.read()
    except OSError:
        return Tail([], 0, offset > 0)
    end = content.rfind(b"\n") + 1
    return Tail(objects(content[:end]), start + end, rewound)


def newest(path: Path) -> dict[str, Any] | None:
    """The last whole line that holds an object, however long the file is; None if there is none.

    Lines longer than END bytes are not found.
    """
    try:
        with path.open("rb") as file:
            start = max(0, os.fstat(file.fileno()).st_size - END)
            file.seek(start)
            content = file.read()
    except OSError:
        return None
    whole = content[: content.rfind(b"\n") + 1].split(b"\n")
    found = map(as_object, reversed(whole[1:] if start else whole))
    return next((line for line in found if line is not None), None)


def number(value: object) -> float | None:
    """A finite number as it is; None for anything else, and for huge ones, which no run has."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e300 else None


def content_of(path: Path) -> bytes:
    """A file's bytes; none if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def objects(content: bytes) -> list[dict[str, Any]]:
    """The JSON objects among lines."""
    found = map(as_object, content.split(b"\n"))
    return [line for line in found if line is not None]


def as_object(content: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else, however long or deep."""
    try:
        found = json.loads(content.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
