"""The same numbers as torch-fidelity: its stored ones, and those of today where it is there."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
import torch_fidelity_numbers
from measuring import measured, value

from ganvas.metrics.classes import ScoreAndShares
from ganvas.metrics.frechet import FrechetDistance
from ganvas.metrics.kernel import KernelDistance
from ganvas.metrics.metric import Views

STORED = json.loads(torch_fidelity_numbers.FILE.read_text())


def test_frechet_distance():
    found = value(FrechetDistance(), *torch_fidelity_numbers.features())
    assert found == pytest.approx(STORED["fid"], rel=1e-9)


def test_kernel_distance_of_all_images():
    metric = KernelDistance(subsets=1, subset_size=600)
    found = measured(metric, *torch_fidelity_numbers.features()).values
    # its only subset holds all images; over all pairs it is the same number
    assert found["subsets"] == pytest.approx(STORED["kid"], rel=1e-9)
    assert found["distance"] == pytest.approx(STORED["kid"], rel=1e-9)


def test_classifier_score():
    logits = torch.from_numpy(torch_fidelity_numbers.logits())
    given = Views(probabilities=np.asarray(logits.softmax(dim=1)))
    found = ScoreAndShares(splits=1).compare(None, given).values["score"]
    assert found == pytest.approx(STORED["isc"], rel=1e-9)


@pytest.mark.skipif(
    importlib.util.find_spec("torch_fidelity") is None, reason="torch-fidelity is not installed"
)
def test_the_stored_numbers_are_those_of_the_installed_version():
    found = torch_fidelity_numbers.numbers()
    assert found == pytest.approx({key: STORED[key] for key in found}, rel=1e-9)
