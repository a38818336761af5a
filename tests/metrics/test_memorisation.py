"""Copies of training images are found."""

from __future__ import annotations

import numpy as np
import pytest

from ganvas.metrics.memorisation import Memorisation
from ganvas.metrics.metric import Views


def measured(metric, train, test, fake):
    statistics = metric.statistics(Views(training=train, unseen=test))
    return metric.compare(statistics, Views(pixels=fake))


def test_copies_of_training_images_are_found(digits):
    train, test = digits.real[:600], digits.real[600:]
    fake = digits.fake[:300].copy()
    metric = Memorisation(worst=5)
    clean = measured(metric, train, test, fake)
    assert clean.values["copied"] < 0.01
    assert clean.values["closer"] == pytest.approx(0.5, abs=0.1)
    fake[10], fake[20] = train[33], train[44] + 0.01
    fake[30:150] = train[100:220] + 0.02
    found = measured(metric, train, test, fake)
    assert found.values["copied"] >= 122 / 300
    assert found.values["closer"] > clean.values["closer"]
    assert [(pair.fake, pair.train) for pair in found.pairs[:2]] == [(10, 33), (20, 44)]
    assert found.pairs[0].distance == found.pairs[0].ratio == 0
    assert found.pairs[1].distance == pytest.approx(0.01 * 8)
    assert len(found.pairs) == 5


def test_a_training_image_that_is_there_twice_is_still_a_copy(digits):
    train = np.concatenate([digits.real, digits.real[:1]])
    found = measured(Memorisation(), train, digits.fake, digits.real[:1])
    assert found.values["copied"] == 1
    assert found.pairs[0].train == 0


def test_uint8_and_floats_agree(digits):
    train, test, fake = (
        np.round(255 * images).astype(np.uint8)
        for images in (digits.real[:600], digits.real[600:], digits.fake[:300])
    )
    found = measured(Memorisation(), train, test, fake)
    floats = (images / np.float32(255) for images in (train, test, fake))
    assert found == measured(Memorisation(), *floats)
