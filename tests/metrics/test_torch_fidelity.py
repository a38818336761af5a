"""The same numbers as torch-fidelity, where it can be imported (it needs torchvision)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganvas.metrics.classes import ClassifierScore
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.kernel import KernelDistance

metric_fid = pytest.importorskip("torch_fidelity.metric_fid")
metric_isc = pytest.importorskip("torch_fidelity.metric_isc")
metric_kid = pytest.importorskip("torch_fidelity.metric_kid")


@pytest.fixture
def sets(rng):
    return rng.standard_normal((600, 32)), 1.1 * rng.standard_normal((600, 32)) + 0.1


def test_frechet_distance(sets):
    parts = [metric_fid.fid_features_to_statistics(torch.from_numpy(rows)) for rows in sets]
    expected = metric_fid.fid_statistics_to_metric(*parts, verbose=False)
    result = FrechetDistance().measure(*sets)
    assert result.distance == pytest.approx(expected[metric_fid.KEY_METRIC_FID], rel=1e-9)


def test_kernel_distance_of_all_images(sets):
    expected = metric_kid.kid_features_to_metric(
        *map(torch.from_numpy, sets), kid_subsets=1, kid_subset_size=600, verbose=False
    )
    result = KernelDistance(subsets=1, subset_size=600).measure(*sets)
    assert result.distance == pytest.approx(expected[metric_kid.KEY_METRIC_KID_MEAN], rel=1e-9)


def test_classifier_score(rng):
    logits = torch.from_numpy(3 * rng.standard_normal((500, 10)))
    expected = metric_isc.isc_features_to_metric(logits, splits=1)
    result = ClassifierScore(splits=1).measure(np.asarray(logits.softmax(dim=1)))
    mean = expected[metric_isc.KEY_METRIC_ISC_MEAN]
    assert result.score == pytest.approx(mean, rel=1e-9)
