"""The on-disk cache: what was computed of real images, kept for the next time.

An entry is found by all that its content follows from: images, weights, settings, and the source of
the modules that compute it. It begins with its own SHA-256; one that is damaged is dropped.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import platformdirs
from numpy.typing import NDArray
from safetensors.numpy import load, save

from ganvas.errors import RunError
from ganvas.files import write_file

IMPORT: Final = re.compile(r"^\s*from (ganvas\.metrics[\w.]*) import (\([^)]*\)|.*)", re.MULTILINE)


def folder() -> Path:
    return Path(platformdirs.user_cache_dir("ganvas")) / "metrics"


def clear() -> int:
    """Empty the cache; how many bytes that freed."""
    freed = sum(path.stat().st_size for path in folder().rglob("*") if path.is_file())
    shutil.rmtree(folder(), ignore_errors=True)
    return freed


def read(kind: str, *key: str) -> bytes | None:
    """The content of an entry; None if there is none, or if it is not as it was written."""
    path = _path(kind, key)
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if digest.decode("ascii", "replace") == sha256(content):
        return content
    with suppress(OSError):  # a medium that is only read
        path.unlink()
    return None


def write(content: bytes, kind: str, *key: str) -> None:
    """Keep an entry; a warning if that is not possible."""
    try:
        write_file(_path(kind, key), sha256(content).encode() + b"\n" + content)
    except RunError as error:
        warnings.warn(f"not kept for next time: {error}", stacklevel=3)


def read_arrays(kind: str, *key: str) -> dict[str, NDArray[Any]] | None:
    content = read(kind, *key)
    return None if content is None else load(content)


def write_arrays(arrays: dict[str, NDArray[Any]], kind: str, *key: str) -> None:
    write(save(arrays), kind, *key)


def read_json(kind: str, *key: str) -> dict[str, Any] | None:
    content = read(kind, *key)
    return None if content is None else json.loads(content)


def write_json(values: Mapping[str, Any], kind: str, *key: str) -> None:
    write(json.dumps(values).encode(), kind, *key)


def _path(kind: str, key: tuple[str, ...]) -> Path:
    return folder() / kind / sha256(repr(key).encode())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.cache
def source_of(module: str) -> str:
    """SHA-256 of a module's source, and of all modules of the metrics that it is built on."""
    sources: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if name in sources or file is None:
            continue
        sources[name] = file.read_text(encoding="utf-8")
        for package, words in IMPORT.findall(sources[name]):
            waiting += [package, *(f"{package}.{word}" for word in re.findall(r"\w+", words))]
    return sha256(repr(sorted(sources.items())).encode())


def _file(module: str) -> Path | None:
    """Where a module's source is; None if `module` is none."""
    inside = module.removeprefix("ganvas.metrics")
    if inside == module:  # a metric kept elsewhere
        path = Path(getattr(sys.modules.get(module), "__file__", None) or "")
        return path if path.is_file() else None
    base = Path(__file__).parent.joinpath(*inside.split(".")[1:])
    return next(filter(Path.is_file, (base.with_suffix(".py"), base / "__init__.py")), None)
