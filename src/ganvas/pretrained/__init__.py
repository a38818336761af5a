"""What comes trained: generators of the package by their recipes' names, others by hf:OWNER/NAME.

One of the package lies in `generator-NAME`, as a saved one does; they are made by
`benchmarks/reproduce.py package`.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, Final

from ganvas import config
from ganvas.errors import UsageError
from ganvas.pretrained import hub

ALLOWED: Final = "a run folder, a saved generator, a pretrained one or hf:OWNER/NAME"
"""What a verb takes for a generator."""
_HOME: Final = Path(__file__).parent
_PREFIX: Final = "generator-"


def names() -> list[str]:
    """The recipes of which the package has a trained generator."""
    return sorted(path.name.removeprefix(_PREFIX) for path in _HOME.glob(f"{_PREFIX}*"))


def home(name: str) -> Path:
    """The folder of a pretrained generator."""
    return _HOME / f"{_PREFIX}{name}"


def about(name: str) -> str:
    """A pretrained generator in one line: what it draws, how near to real images, how large."""
    settings: dict[str, Any] = json.loads((home(name) / "config.json").read_text(encoding="utf-8"))
    training = settings["training"]
    size = sum(file.stat().st_size for file in home(name).iterdir())
    row = next(row for row in training["rows"] if row["metric"].startswith("fd"))
    near = f"{row['metric']} {row['values']['distance']:.3g}"
    real = f"real images {row['floor']['distance']:.2g}"
    kept = f"{training['weights'].partition(',')[0].partition(':')[0]}, {size / 1e6:.1f} MB"
    return f"{training['data']['name']}, {training['length']}, {near} ({real}); {kept}"


def is_name(what: str | Path) -> bool:
    """Whether `what` names a pretrained generator or one of the hub, and not a path."""
    text = str(what)
    return text.startswith(hub.PREFIX) or (text in names() and not Path(text).exists())


def located(what: str | Path) -> Path:
    """The folder of a pretrained generator or of one of the hub; any other path as it is.

    A path that is there goes before a name.

    Raises:
        UsageError: a recipe without a pretrained generator; nothing of that name on the hub.
        RunError: the hub cannot be reached.
    """
    text = str(what)
    if text.startswith(hub.PREFIX):
        return hub.download(text.removeprefix(hub.PREFIX))
    path = Path(what)
    if path.exists():
        return path
    if text in names():
        return home(text)
    if text in config.recipe_names():
        raise UsageError(
            f"the recipe '{text}' has no pretrained generator; train one with "
            f"'ganvas train {text}', or take one of: {', '.join(names())}"
        )
    return path


def missing(what: str | Path) -> UsageError:
    """The line on a generator that is not there."""
    text = str(what)
    near = difflib.get_close_matches(text, names(), 1)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return UsageError(f"'{text}' does not exist; allowed: {ALLOWED}{meant}")
