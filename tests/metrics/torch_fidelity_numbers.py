"""What torch-fidelity says of some features; tests/metrics/test_agreement.py holds ganvas to it.

    pip install --no-deps torch-fidelity
    python tests/metrics/torch_fidelity_numbers.py

It writes torch_fidelity.json beside itself. Only the package's formulas are used: the rest needs
torchvision, and with it a version of torch of its own, so it is no dependency of the tests.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

FILE = Path(__file__).with_name("torch_fidelity.json")


def features() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """600 digits in 32 features, and 600 others, shrunk and shifted."""
    pixels = load_digits().data[:1200] / 16
    rows = pixels @ np.cos(np.outer(np.arange(64), np.arange(32))) / 4
    return rows[:600], 0.9 * rows[600:] + 0.1


def logits() -> NDArray[np.float64]:
    return 4 * features()[0][:500, 1:11]


def formulas(*names: str) -> list[Any]:
    """Modules of torch-fidelity, without the ones that read images."""
    spec = importlib.util.find_spec("torch_fidelity")
    assert spec
    package, unused = types.ModuleType("torch_fidelity"), types.ModuleType("torch_fidelity.utils")
    package.__path__ = spec.submodule_search_locations  # type: ignore[assignment]
    unused.__getattr__ = lambda name: None  # type: ignore[method-assign]
    with mock.patch.dict(sys.modules, {part.__name__: part for part in (package, unused)}):
        return [importlib.import_module(f"torch_fidelity.{name}") for name in names]


def numbers() -> dict[str, float]:
    fid, kid, isc = formulas("metric_fid", "metric_kid", "metric_isc")
    real, fake = map(torch.from_numpy, features())
    gaussians = [fid.fid_features_to_statistics(rows) for rows in (real, fake)]
    of_fid = fid.fid_statistics_to_metric(*gaussians, verbose=False)
    of_kid = kid.kid_features_to_metric(
        real, fake, kid_subsets=1, kid_subset_size=600, verbose=False
    )
    of_isc = isc.isc_features_to_metric(torch.from_numpy(logits()), splits=1)
    return {
        "fid": float(of_fid[fid.KEY_METRIC_FID]),
        "kid": float(of_kid[kid.KEY_METRIC_KID_MEAN]),
        "isc": float(of_isc[isc.KEY_METRIC_ISC_MEAN]),
    }


if __name__ == "__main__":
    about = {"torch-fidelity": version("torch-fidelity"), "numpy": np.__version__}
    FILE.write_text(json.dumps(about | numbers(), indent=1) + "\n")
