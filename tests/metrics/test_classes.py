"""Classifier score and class shares: known answers, a plain formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ganvas.metrics.classes import ClassifierScore, ClassShares


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def test_score_of_sure_and_even_classes_is_their_number():
    result = ClassifierScore(splits=1).measure(np.tile(np.eye(10), (20, 1)))
    assert result.score == pytest.approx(10, rel=1e-12)


def test_score_of_unsure_or_collapsed_fakes_is_one():
    assert ClassifierScore().measure(np.full((50, 10), 0.1)).score == pytest.approx(1)
    assert ClassifierScore().measure(np.eye(10)[[3] * 50]).score == pytest.approx(1)


def test_score_equals_the_plain_formula(rng):
    given = softmax(3 * rng.standard_normal((400, 7)))
    expected = math.exp(np.mean(np.sum(given * np.log(given / given.mean(axis=0)), axis=1)))
    assert ClassifierScore(splits=1).measure(given).score == pytest.approx(expected, rel=1e-12)
    result = ClassifierScore().measure(given)
    assert result.score == pytest.approx(expected, rel=0.1)
    assert result.spread > 0


def test_score_does_not_mind_fakes_sorted_by_class():
    given = np.full((1000, 10), 0.01) + 0.9 * np.eye(10)[np.arange(1000) // 100]
    even = ClassifierScore(splits=1).measure(given).score
    assert ClassifierScore().measure(given).score == pytest.approx(even, rel=0.1)


def test_class_shares_by_hand():
    real, fake = np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 0, 0, 1]]
    result = ClassShares().measure(real, fake)
    assert result.kl == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))
    assert result.classes_hit == 2
    assert result.confident == 1
    assert ClassShares(hits=2).measure(real, fake).classes_hit == 1


def test_equal_shares_have_no_divergence(rng):
    given = softmax(rng.standard_normal((500, 5)))
    assert ClassShares().measure(given, given).kl == 0


def test_unsure_fakes_are_left_out():
    fake = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])
    result = ClassShares(confidence=0.75).measure(np.eye(2), fake)
    assert result.confident == 0.5
    assert result.kl == 0
    nobody = ClassShares(confidence=0.95).measure(np.eye(2), fake)
    assert (nobody.kl, nobody.classes_hit, nobody.confident) == (math.inf, 0, 0)
