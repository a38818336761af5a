"""Rows go through JSON, those of earlier versions too."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from ganvas.metrics.rows import Row, current_settings

ROW = Row(
    metric="kd10k",
    values={"distance": 0.5, "subsets": math.inf},
    intervals={"distance": (0.4, 0.6)},
    floor={"distance": 0.1},
    reason="",
    settings={"prdc": {"k": 5, "halves": 40}},
    num_fake=10_000,
    num_reference=10_000,
    data="mnist",
    split="test",
    fingerprint="ab",
    extractor="classifier-mnist",
    extractor_sha256="cd",
    extractor_accuracy=0.99,
    note="",
    resize="none",
    seed=0,
    step=7,
)


def test_a_row_goes_through_json() -> None:
    text = json.dumps(ROW.as_json(), allow_nan=False)
    found = Row.of_json(json.loads(text))
    assert found.values["distance"] == 0.5 and math.isnan(found.values["subsets"])
    assert dataclasses.replace(found, values=ROW.values) == ROW


@pytest.mark.parametrize("wrong", [{}, {"metric": "fd"}, {"mine": 1}, ROW.as_json() | {"mine": 1}])
def test_what_is_no_row_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Row.of_json(wrong)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"frechet": {"groups": 10}}, {"fd": {"groups": 10}}),
        (
            {
                "kernel-exact": {"degree": 3, "gamma": None, "coef": 1.0},
                "kernel": {
                    "degree": 3, "gamma": None, "coef": 1.0,
                    "subsets": 100, "subset_size": 149, "seed": 0,
                },
            },
            {
                "kd": {
                    "degree": 3, "gamma": None, "coef": 1.0,
                    "subsets": 100, "subset_size": 149, "seed": 0,
                }
            },
        ),
        (  # the inception score had the first alone
            {"classifier-score": {"splits": 10, "seed": 0}},
            {"classes": {"splits": 10, "seed": 0, "confidence": 0.0, "least": 0.25}},
        ),
        (
            {
                "classifier-score": {"splits": 5, "seed": 0},
                "class-shares": {"confidence": 0.5, "least": 0.5},
            },
            {"classes": {"splits": 5, "seed": 0, "confidence": 0.5, "least": 0.5}},
        ),
        ({"1nn-two-sample": {}}, {"1nn": {}}),
        ({"prdc": {"k": 3}}, {"prdc": {"k": 3, "halves": 40}}),
        ({"of-mine": {"x": 1}}, {"of-mine": {"x": 1}}),
        ({"fd": None}, {"fd": {"groups": None}}),
        ({}, {}),
    ],
)  # fmt: skip
def test_settings_have_the_names_of_today(old: dict[str, object], new: dict[str, object]) -> None:
    assert current_settings(old) == new
    assert Row.of_json(ROW.as_json() | {"settings": old}).settings == new


def test_rows_of_two_versions_have_one_protocol() -> None:
    old = ROW.as_json() | {"settings": {"1nn-two-sample": {}}, "values": {}}
    new = dataclasses.replace(ROW, settings={"1nn": {}})
    assert Row.of_json(old).protocol == new.protocol
    assert dataclasses.replace(new, seed=1).protocol != new.protocol


def test_a_row_says_what_it_was_trained_on_where_its_numbers_depend_on_that() -> None:
    """Memorisation against 1,000 and against 10,000 training images are two numbers."""
    for name, depends in (("memorisation", True), ("parzen", True), ("prdc", False)):
        row = dataclasses.replace(ROW, settings={name: {}}, num_train=1_000, train_sha256="a")
        more = dataclasses.replace(row, num_train=10_000)
        others = dataclasses.replace(row, train_sha256="b")
        assert (row.protocol != more.protocol) == depends
        assert (row.protocol != others.protocol) == depends


def test_a_row_of_before_it_said_so_loads() -> None:
    new = ("num_train", "train_sha256", "fakes_sha256", "ganvas")
    older = {key: value for key, value in ROW.as_json().items() if key not in new}
    found = Row.of_json(older)
    assert (found.num_train, found.train_sha256, found.fakes_sha256, found.ganvas) == (
        None, "", "", "",
    )  # fmt: skip
