"""ganvas: train, measure, compare and ship GANs on small images.

The public names are resolved on use, so that `import ganvas` does not import torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ganvas import data
    from ganvas.comparison.compare import Comparison
    from ganvas.config import Run
    from ganvas.errors import RunError, UsageError
    from ganvas.generator import Generator, load
    from ganvas.training.loop import Trained
    from ganvas.verbs.compare import compare
    from ganvas.verbs.evaluate import evaluate
    from ganvas.verbs.export import export
    from ganvas.verbs.import_weights import import_weights
    from ganvas.verbs.sample import sample
    from ganvas.verbs.show import list_names as list
    from ganvas.verbs.show import show
    from ganvas.verbs.studio import open_studio
    from ganvas.verbs.train import resolve, train

__version__: str

_HOMES: Final = {
    "Comparison": "ganvas.comparison.compare",
    "Generator": "ganvas.generator",
    "Run": "ganvas.config",
    "RunError": "ganvas.errors",
    "Trained": "ganvas.training.loop",
    "UsageError": "ganvas.errors",
    "compare": "ganvas.verbs.compare",
    "data": "ganvas",
    "evaluate": "ganvas.verbs.evaluate",
    "export": "ganvas.verbs.export",
    "import_weights": "ganvas.verbs.import_weights",
    "list": "ganvas.verbs.show",
    "load": "ganvas.generator",
    "open_studio": "ganvas.verbs.studio",
    "resolve": "ganvas.verbs.train",
    "sample": "ganvas.verbs.sample",
    "show": "ganvas.verbs.show",
    "train": "ganvas.verbs.train",
}

__all__ = [
    "Comparison",
    "Generator",
    "Run",
    "RunError",
    "Trained",
    "UsageError",
    "compare",
    "data",
    "evaluate",
    "export",
    "import_weights",
    "list",
    "load",
    "open_studio",
    "resolve",
    "sample",
    "show",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # here, because it takes as long as all the rest

        return version("ganvas")
    if name not in _HOMES:
        raise AttributeError(f"module 'ganvas' has no attribute '{name}'")
    if name == "data":
        return importlib.import_module("ganvas.data")
    return getattr(importlib.import_module(_HOMES[name]), "list_names" if name == "list" else name)


def __dir__() -> Sequence[str]:
    return sorted(__all__)
