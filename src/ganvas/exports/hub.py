"""A folder as the Hugging Face hub expects it: card, weights, ONNX file, page, sheet."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ganvas import card
from ganvas.errors import UsageError
from ganvas.exports import onnx, page
from ganvas.exports.source import Source
from ganvas.files import sync_folder, write_file, writing
from ganvas.generator import WEIGHTS
from ganvas.images import grid, scale_for, to_pillow

TASK: Final = "unconditional-image-generation"
KNOWN: Final = {
    "mnist": "ylecun/mnist",
    "fashion-mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
}
"""Names on the hub of data sets that are there as their authors published them."""
_ROWS, _COLUMNS = 5, 5


@dataclass(frozen=True)
class Folder:
    """The files of a hub folder, by name, and how they were checked."""

    files: dict[str, bytes]
    check: str
    lacks: list[str]
    """What the card lacks."""


def build(source: Source) -> Folder:
    """The folder's files; `ganvas.load` reads the folder back.

    Raises:
        UsageError: packages for ONNX are missing, or the page does not know a layer.
        RunError: an export differs from its source.
    """
    model, html = onnx.build(source), page.build(source)
    files = {
        "config.json": _config(source),
        WEIGHTS: (source.folder / WEIGHTS).read_bytes(),
        "model.onnx": model.content,
        "page.html": html.content,
        "samples.png": _sheet(source),
    }
    about = {
        "config.json": "net, latent, data, what was measured",
        WEIGHTS: f"the weights; SHA-256 {source.weights_sha256}",
        "model.onnx": f"the generator for ONNX runtimes; {model.check}",
        "page.html": f"draws in a browser, opened from disk; {html.check}",
        "samples.png": f"the first {_ROWS * _COLUMNS} images of seed 0",
    }
    table = "".join(f"| `{name}` | {text} |\n" for name, text in about.items())
    readme = (
        f"---\n{yaml(front_matter(source))}---\n\n{source.card.text()}\n"
        f"![samples](samples.png)\n\n## Files\n\n| | |\n|---|---|\n{table}"
    )
    files["README.md"] = readme.encode()
    check = f"model.onnx: {model.check}; page.html: {html.check}"
    return Folder(files, check, source.card.lacks())


def write(path: Path, folder: Folder) -> None:
    """Write the folder under a temporary name and rename it into place; it is new, or was empty.

    Raises:
        UsageError: there is something in it.
        RunError: it cannot be written.
    """
    check_free(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            for name, content in folder.files.items():
                write_file(temporary / name, content)
            temporary.chmod(0o755)
            os.replace(temporary, path)
        except BaseException:
            shutil.rmtree(temporary)
            raise
        sync_folder(path.parent)


def check_free(path: Path) -> None:
    """UsageError unless there is nothing at a path but an empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"--output: '{path}' is there and not empty; name a new folder")


def _config(source: Source) -> bytes:
    """config.json with what a generator in a run folder has beside it: the rows, the licence."""
    found = source.card
    settings = json.loads((source.folder / card.CONFIG).read_text(encoding="utf-8"))
    settings["training"] = {
        "seed": found.seed,
        "length": found.length,
        "changed": found.changed,
        "licence": found.licence,
        "origin": found.origin,
        "machine": found.machine,
        "weights": found.weights,
        "notes": list(found.notes),
        "data": {
            "name": found.data,
            "images": found.data_images,
            "sha256": found.data_sha256,
        },
        "rows": [row | {"data": card.public(row.get("data", ""))} for row in found.rows],
    }
    return json.dumps(settings, indent=1).encode()


def _sheet(source: Source) -> bytes:
    sheet = grid(source.generator.sample(_ROWS * _COLUMNS), _ROWS, _COLUMNS)
    buffer = io.BytesIO()
    to_pillow(sheet, scale_for(sheet.shape[1])).save(buffer, "PNG")
    return buffer.getvalue()


# Front matter


def front_matter(source: Source) -> dict[str, Any]:
    """What the hub reads of the card: licence, library, task, data, each number's protocol."""
    found = source.card
    data = KNOWN.get(found.data)
    results = [_result(row) for row in found.rows]
    metrics = sorted({str(row["metric"]) for row in found.rows})
    filled = {
        "license": found.licence,
        "library_name": "ganvas",
        "pipeline_tag": TASK,
        "tags": [
            *("gan", "pytorch", "onnx", found.recipe),
            *(["class-conditional"] if found.classes else []),
        ],
        "datasets": [data] if data else [],
        "metrics": metrics,
        "model-index": [{"name": found.recipe, "results": results}] if results else [],
    }
    return {key: value for key, value in filled.items() if value}


def _result(row: Mapping[str, Any]) -> dict[str, Any]:
    data = card.public(row.get("data", ""))
    return {
        "task": {"type": TASK, "name": "Unconditional image generation"},
        "dataset": {
            "type": KNOWN.get(data, data),
            "name": data,
            "split": row.get("split", ""),
        },
        "metrics": [
            {
                "type": row["metric"],
                "name": f"{row['metric']} {key}",
                "value": value,
                "args": _args(row, key),
            }
            for key, value in row["values"].items()
            if value is not None
        ],
    }


def _args(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A number's protocol, its 95 % interval, and the number for real images."""
    interval, floor = row.get("intervals", {}).get(key), row.get("floor", {}).get(key)
    found = {"protocol": card.protocol(row), "interval": interval, "real_images": floor}
    return {key: value for key, value in found.items() if value is not None}


def yaml(value: Mapping[str, Any], indent: int = 0) -> str:
    """A mapping as YAML blocks; keys are plain words, other values as in JSON, which YAML reads."""
    return "".join(" " * indent + line for line in _lines(value, indent))


def _lines(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield f"{key}:\n{yaml(item, indent + 2)}"
        elif isinstance(item, list) and item and isinstance(item[0], Mapping):
            blocks = (yaml(part, indent + 2)[indent + 2 :] for part in item)
            yield f"{key}:\n" + "".join(" " * indent + f"- {block}" for block in blocks)
        else:
            yield f"{key}: {json.dumps(item, ensure_ascii=False)}\n"
