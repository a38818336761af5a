"""A penalty's weight on its way, by hand and in a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganvas.batch import Batch
from ganvas.config import Ramp
from ganvas.losses.penalties import R1, FiniteDifference, GradientPenalty, NoPenalty
from ganvas.schedules import Progress
from ganvas.training.weighted import Weighted, weighted

CPU = torch.device("cpu")
RAMP = Ramp.parse("2 to 1 over 100 images")
REAL = Batch(torch.ones(3, 1, 2, 2))


def judge(batch: Batch) -> Tensor:
    """With a gradient of 1 at each of 4 pixels."""
    return batch.images.sum((1, 2, 3))


def test_the_weight_follows_the_ramp() -> None:
    penalty = weighted(R1(weight=RAMP), CPU)
    assert isinstance(penalty, Weighted)
    for images, expected in ((0, 2.0), (50, 1.5), (100, 1.0), (999, 1.0)):
        penalty.follow(Progress(images))
        assert penalty(judge, REAL, REAL).item() == pytest.approx(expected / 2 * 4)


@pytest.mark.parametrize("penalty", [R1, GradientPenalty, FiniteDifference])
def test_it_is_the_penalty_of_that_weight(penalty: Any) -> None:
    following = weighted(penalty(weight=RAMP), CPU)
    assert isinstance(following, Weighted)
    following.follow(Progress(50))
    values = []
    for one in (following, penalty(weight=1.5)):
        torch.manual_seed(0)
        values.append(one(judge, REAL, REAL))
    torch.testing.assert_close(values[0], values[1])


def test_others_are_as_they_are() -> None:
    for penalty in (NoPenalty(), R1(weight=2.0)):
        assert weighted(penalty, CPU) is penalty


def penalties(folder: Path) -> list[float]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["D/penalty"] for line in lines]


def test_a_ramp_in_a_run(train_tiny: Any, tmp_path: Path) -> None:
    """The first step has the weight 1, as it has without a ramp, the last one nearly none."""
    on = {"penalty.name": "r1", "output.log": "1 step", "model.name": "cs231n-dense"}
    train_tiny(tmp_path / "plain", **on)
    train_tiny(tmp_path / "ramp", **on, **{"penalty.weight": "1 to 0 over 50 %"})
    plain, ramp = penalties(tmp_path / "plain"), penalties(tmp_path / "ramp")
    assert ramp[0] == pytest.approx(plain[0])
    assert ramp[1] == pytest.approx(plain[1] * 5 / 6, rel=0.05)
    assert ramp[6:] == [0.0] * 6
