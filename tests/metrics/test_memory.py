"""Memory stays bounded: 50,000 against 50,000 images with 128 features, in a fresh process."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from ganvas.metrics.metric import Views
from ganvas.metrics.{module} import {metric} as Metric

rng = np.random.default_rng(0)
real, fake = (rng.standard_normal((50_000, 128), dtype=np.float32) for _ in range(2))
metric = Metric()
views = [Views(**{{metric.needs[0]: rows}}) for rows in (real, fake)]
metric.compare(metric.statistics(views[0]), views[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("module", "metric"),
    [
        ("frechet", "FrechetDistance"),
        ("kernel", "KernelDistance"),
        ("prdc", "PrecisionRecallDensityCoverage"),
        ("two_sample", "NearestTwoSample"),
        ("duplicates", "DuplicateRate"),
    ],
)
def test_peak_memory_is_under_1_5_gib(module, metric):
    pytest.importorskip("resource")
    script = SCRIPT.format(module=module, metric=metric)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 1.5


MEMORISATION = """
import resource
import numpy as np
from ganvas.metrics.memorisation import Memorisation
from ganvas.metrics.metric import Views

rng = np.random.default_rng(0)
training, fakes = (rng.integers(0, 256, (n, 3072), dtype=np.uint8) for n in (50_000, 4_000))
metric = Memorisation()
real = metric.statistics(Views(training=training, unseen=fakes[:100]))
metric.compare(real, Views(pixels=fakes))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_images_of_cifars_size_take_under_1_gib():
    """They are 146 MiB, and would be 586 as floats."""
    pytest.importorskip("resource")
    command = [sys.executable, "-c", MEMORISATION]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(run.stdout) < 1.0
