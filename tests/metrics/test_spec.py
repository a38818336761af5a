"""Names such as fd10k: what they stand for, and the one line for those that are none."""

from __future__ import annotations

import pytest

from ganvas.errors import UsageError
from ganvas.metrics.spec import Spec, count, spec, specs
from ganvas.registry import METRICS, is_metric, metric_named


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fd", Spec("fd")),
        ("fd10k", Spec("fd", 10_000)),
        ("fd299", Spec("fd", 299)),
        ("prdc2000", Spec("prdc", 2000)),
        ("1nn", Spec("1nn")),
        ("1nn500", Spec("1nn", 500)),
        ("1nn-labels2k", Spec("1nn-labels", 2000)),
        ("frechet2k", Spec("fd", 2000)),
        ("kernel", Spec("kd")),
        ("kernel-exact", Spec("kd")),
        ("classifier-score", Spec("classes")),
        ("class-shares10k", Spec("classes", 10_000)),
        ("1nn-two-sample100", Spec("1nn", 100)),
    ],
)
def test_a_name_is_a_metric_and_a_number(text: str, expected: Spec) -> None:
    assert spec(text, "auto", "--metrics") == expected


@pytest.mark.parametrize("name", METRICS.names())
@pytest.mark.parametrize("num", [None, 2, 299, 1000, 10_500, 50_000])
def test_a_name_is_read_as_it_is_written(name: str, num: int | None) -> None:
    assert spec(str(Spec(name, num)), "auto", "--metrics") == Spec(name, num)


def test_numbers_are_short() -> None:
    assert [count(num) for num in (2, 299, 1000, 1500, 10_000)] == ["2", "299", "1k", "1500", "10k"]


def test_a_list_has_each_once() -> None:
    expected = [Spec("fd", 10_000), Spec("prdc")]
    assert specs("fd10k, prdc,fd10000,frechet10k", "auto", "--metrics") == expected
    assert specs(["fd10k", "prdc"], "auto", "--metrics") == expected
    assert specs([], "auto", "--metrics") == []


@pytest.mark.parametrize(("text", "metric"), [("fid", "fd"), ("kid10k", "kd"), ("is", "classes")])
def test_inceptions_names_are_for_its_features_alone(text: str, metric: str) -> None:
    assert spec(text, "inception", "--metrics").metric == metric
    assert spec(metric, "inception", "--metrics").metric == metric
    with pytest.raises(UsageError, match=f"Inception's features; .*, or take {metric}"):
        spec(text, "classifier", "--metrics")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fdd", "--metrics: unknown metric 'fdd'; did you mean fd"),
        ("fdd10k", "unknown metric 'fdd'"),
        ("", "unknown metric ''; known: 1nn, 1nn-labels, agreement"),
        ("10k", "unknown metric ''"),
        ("fd1", "--metrics: found 'fd1'; allowed: 2 images or more"),
        ("fd0k", "2 images or more"),
        ("fd-3", "unknown metric 'fd-'"),
        ("fd\n", "unknown metric"),
    ],
)
def test_what_is_no_name_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        spec(text, "auto", "--metrics")


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("fd", "fd"),
        ("frechet", "fd"),
        ("fd10k", "fd"),
        ("frechet299", "fd"),
        ("fid50k", "fd"),
        ("is", "classes"),
        ("1nn", "1nn"),
        ("1nn-two-sample500", "1nn"),
    ],
)
def test_a_metric_is_found_by_all_its_names(text: str, metric: str) -> None:
    assert metric_named(text) == metric and is_metric(text)


@pytest.mark.parametrize("text", ["", "10k", "fdd", "fd10m", "mnist"])
def test_no_metric_is_called_so(text: str) -> None:
    assert not is_metric(text)


def test_a_name_may_end_in_a_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS._classes, "top5", METRICS.get("fd"))
    assert spec("top5", "auto", "--metrics") == Spec("top5")
    assert spec("top5", "auto", "--metrics") != spec("fd5", "auto", "--metrics")
