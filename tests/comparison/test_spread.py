"""Mean, deviation and Welch's interval, against numbers worked out by hand and by scipy."""

from __future__ import annotations

import pytest
from scipy import stats

from ganvas.comparison.spread import Spread, number_text, welch


def test_the_deviation_is_divided_by_one_less_than_the_number() -> None:
    spread = Spread.of([1.0, 2.0, 6.0])
    assert spread.mean == 3.0
    assert spread.deviation == pytest.approx(7.0**0.5)  # (4 + 1 + 9) / 2
    assert spread.num == 3


def test_a_single_value_has_no_deviation() -> None:
    assert Spread.of([2.5]) == Spread(2.5, None, 1)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([6.48, 6.97, 6.36], "6.60 ± 0.32"),
        ([0.02, 0.05], "0.035 ± 0.021"),
        ([5.0], "5"),
        ([1.0, 1.0], "1 ± 0"),
        ([12000.0, 15000.0], "13,500 ± 2,121"),
    ],
)
def test_a_mean_has_the_decimals_of_two_digits_of_its_deviation(
    values: list[float], text: str
) -> None:
    assert str(Spread.of(values)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.123456, "0.1235"), (1234567.0, "1,234,567"), (12.3456, "12.35"), (-2e-12, "-0")],
)
def test_a_value_alone_has_four_digits(value: float, text: str) -> None:
    assert number_text(value) == text


def test_welchs_interval_is_that_of_scipy() -> None:
    first, second = [1.0, 1.2, 0.9, 1.4], [2.0, 3.5, 2.4]
    found = welch(first, second)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.difference == pytest.approx(sum(second) / 3 - sum(first) / 4)


def test_a_difference_is_larger_than_chance_just_when_scipys_test_says_so() -> None:
    first = [1.0, 1.1, 1.2]
    verdicts = set()
    for shift in (0.05, 0.1, 0.2, 0.21, 0.22, 0.23, 0.24, 0.5):
        second = [value + shift for value in (1.0, 1.05, 1.15)]
        found = welch(first, second)
        assert found is not None
        significant = stats.ttest_ind(first, second, equal_var=False).pvalue < 0.05
        assert found.is_larger_than_chance == significant
        verdicts.add(found.is_larger_than_chance)
    assert verdicts == {True, False}


@pytest.mark.parametrize(
    ("first", "second"),
    [([1.0, 2.0], [3.0, 4.0, 5.0]), ([1.0, 2.0, 3.0], [4.0]), ([1.0] * 3, [2.0] * 3)],
)
def test_too_few_values_or_none_that_vary_are_not_tested(
    first: list[float], second: list[float]
) -> None:
    assert welch(first, second) is None
