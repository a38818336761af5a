"""What may stand for data, told apart without loading any."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ganvas.components import adds_components
from ganvas.errors import UsageError
from ganvas.registry import DATASETS, closest

GIVEN_BY_PATH: Final = ("folder", "npz")
"""Data sets that are the user's own files, so that there is nothing to list or to fetch."""


def refuse_early(what: str | Path) -> None:
    """UsageError for what can be no data, without importing the data sets."""
    if not Path(what).exists() and not adds_components():
        known = DATASETS.names_known()
        if what not in known or what in GIVEN_BY_PATH:
            raise no_data(what, known)


def no_data(what: str | Path, known: Iterable[str]) -> UsageError:
    """What to say of something that is neither a data set nor pictures."""
    is_path = isinstance(what, Path) or os.sep in what or Path(what).suffix == ".npz"
    if is_path and not Path(what).exists():
        return UsageError(f"--data: '{what}' does not exist")
    names = [name for name in known if name not in GIVEN_BY_PATH]
    return UsageError(
        f"--data: found '{what}'; allowed: a data set ({closest(str(what), names)}), a folder of "
        "pictures or an .npz file"
    )
