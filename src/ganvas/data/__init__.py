"""Data sets: where their files are, how they are read, how batches are drawn.

`ganvas.data.list`, `.show`, `.fetch`, `.inspect`, `.open_dataset` and `.load_images` are found on
use, so that importing the package stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ganvas.data.catalogue import fetch, open_dataset, show
    from ganvas.data.catalogue import list_datasets as list
    from ganvas.data.inspection import inspect
    from ganvas.data.prepare import load_images

__all__ = ["fetch", "inspect", "list", "load_images", "open_dataset", "show"]

_PUBLIC: Final = {
    "fetch": ("catalogue", "fetch"),
    "inspect": ("inspection", "inspect"),
    "list": ("catalogue", "list_datasets"),
    "load_images": ("prepare", "load_images"),
    "open_dataset": ("catalogue", "open_dataset"),
    "show": ("catalogue", "show"),
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, function = _PUBLIC[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)
