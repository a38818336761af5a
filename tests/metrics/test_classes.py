"""Classifier score and class shares: known answers, a plain formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from measuring import error, measured

from ganvas.metrics.classes import ScoreAndShares
from ganvas.metrics.metric import Views


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def score(given, **settings):
    """The score, which does not look at real images."""
    return ScoreAndShares(**settings).compare(None, Views(probabilities=given))


def shares(real, fake, **settings):
    return measured(ScoreAndShares(splits=1, **settings), real, fake).values


def test_score_of_sure_and_even_classes_is_their_number():
    result = score(np.tile(np.eye(10), (20, 1)), splits=1)
    assert result.values == {"score": pytest.approx(10, rel=1e-12)}


def test_score_of_unsure_or_collapsed_fakes_is_one():
    assert score(np.full((50, 10), 0.1)).values["score"] == pytest.approx(1)
    assert score(np.eye(10)[[3] * 50]).values["score"] == pytest.approx(1)


def test_score_equals_the_plain_formula(rng):
    given = softmax(3 * rng.standard_normal((400, 7)))
    expected = math.exp(np.mean(np.sum(given * np.log(given / given.mean(axis=0)), axis=1)))
    assert score(given, splits=1).values["score"] == pytest.approx(expected, rel=1e-12)
    result = score(given)
    assert result.values["score"] == pytest.approx(expected, rel=0.1)
    assert error(result, "score") > 0


def test_score_does_not_mind_fakes_sorted_by_class():
    given = np.full((1000, 10), 0.01) + 0.9 * np.eye(10)[np.arange(1000) // 100]
    even = score(given, splits=1).values["score"]
    assert score(given).values["score"] == pytest.approx(even, rel=0.1)


def test_class_shares_by_hand():
    real, fake = np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 0, 0, 1]]
    result = shares(real, fake)
    assert result["kl"] == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))
    assert result["classes_hit"] == 2
    assert shares(real, fake, least=1)["classes_hit"] == 2
    assert shares(real, np.eye(4)[[0] * 7 + [1]], least=1)["classes_hit"] == 1


def test_strays_do_not_make_a_class_count_as_hit():
    """Two in a hundred fakes in a class that has half of the real images."""
    real, fake = np.eye(2)[np.arange(100) % 2], np.eye(2)[[0] * 98 + [1] * 2]
    assert shares(real, fake)["classes_hit"] == 1
    unsure = np.array([[0.9, 0.1], [0.2, 0.8]])[np.arange(100) % 2]  # 0.1 of all put wrongly into 1
    assert shares(unsure, np.eye(2)[[0] * 81 + [1] * 19], least=0)["classes_hit"] == 1
    assert shares(unsure, np.eye(2)[[0] * 79 + [1] * 21], least=0)["classes_hit"] == 2


def test_a_class_without_real_images_costs_the_divergence_alone():
    real, fake = np.eye(3)[[0, 1, 0, 1]], np.eye(3)[[0, 1, 2, 2]]
    found = shares(real, fake)
    assert "kl" not in found
    assert found["score"] > 1
    assert found["classes_hit"] == 3


def test_score_is_the_mean_of_ten_with_students_t(rng):
    given = softmax(3 * rng.standard_normal((400, 7)))
    metric = ScoreAndShares()
    scores = np.array(metric._scores(given.astype(float)))
    low, high = score(given).intervals["score"]
    assert (high - low) / 2 == pytest.approx(2.2621572 * scores.std(ddof=1) / 10**0.5)
    assert score(given, splits=1).intervals == {}


def test_equal_shares_have_no_divergence(rng):
    given = softmax(rng.standard_normal((500, 5)))
    assert shares(given, given)["kl"] == 0


def test_unsure_fakes_are_left_out():
    fake = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])
    assert shares(np.eye(2), fake, confidence=0.75)["kl"] == 0
    nobody = shares(np.eye(2), fake, confidence=0.95)
    assert (nobody["kl"], nobody["classes_hit"]) == (math.inf, 0)


def test_classes_that_are_not_the_data_sets_own_have_no_shares():
    metric, given = ScoreAndShares(splits=1), np.eye(3)[[0, 1]]  # real images of two of three
    statistics = metric.statistics(Views(probabilities=given, own_classes=False))
    found = metric.compare(statistics, Views(probabilities=given))
    assert found.values == {"score": pytest.approx(2)}
