"""The answer in words: which is better, and is it more than chance?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import ganvas

Measure = Callable[..., None]
A, B = "loss.name=non-saturating", "loss.name=least-squares"


def headline(runs: Path, *names: str) -> str:
    return ganvas.compare([runs / name for name in names] or runs).headline


def test_a_difference_larger_than_chance_has_a_winner(runs: Path, measure: Measure) -> None:
    for seed, value in enumerate((1.0, 1.1, 1.2)):
        measure(runs / f"bce-{seed}", value + 2)
        measure(runs / f"ls-{seed}", value)
    # t(4, 0.975) = 2.776, times sqrt(2 * 0.01 / 3): 2 ± 0.2267
    assert headline(runs) == (
        f"{B} is better than {A}, by more than chance (fd1k 1.10 ± 0.10 against 3.10 ± 0.10; "
        "95 % interval 1.773 to 2.227 for the difference). Real images have 0.1."
    )


def test_a_difference_within_chance_has_none(runs: Path, measure: Measure) -> None:
    for seed, value in enumerate((1.0, 2.0, 3.0)):
        measure(runs / f"bce-{seed}", value)
        measure(runs / f"ls-{seed}", value + 0.5)
    text = headline(runs)
    assert text.startswith(f"No winner: {A} and {B} differ by no more than chance (fd1k 2.0 ± 1.0")
    assert "95 % interval -1.767 to 2.767 for the difference" in text


def test_one_seed_each_cannot_tell(runs: Path, measure: Measure) -> None:
    measure(runs / "bce-0", 1.0)
    measure(runs / "ls-0", 9.0)
    assert headline(runs, "bce-0", "ls-0").startswith(
        f"{A} is ahead (fd1k 1 against 9), but whether by more than chance cannot be told: "
        "that takes 3 seeds or more of each."
    )


def test_higher_is_better_where_it_is(runs: Path, measure: Measure) -> None:
    prdc = {"metric": "prdc1k", "settings": {"prdc": {"k": 5}}, "floor": {}}
    for seed, value in enumerate((0.1, 0.11, 0.12)):
        measure(runs / f"bce-{seed}", 0, values={"recall": value + 0.5}, **prdc)
        measure(runs / f"ls-{seed}", 0, values={"recall": value}, **prdc)
    assert headline(runs).startswith(f"{A} is better than {B}, by more than chance (prdc1k recall")


def test_what_other_numbers_say_is_counted(runs: Path, measure: Measure) -> None:
    for name, sign in (("kd1k", 1), ("pd1k", -1), ("qd1k", 0)):
        for seed, value in enumerate((1.0, 1.1, 1.2)):
            row = {"metric": name, "settings": {"kernel": {}}}
            measure(runs / f"bce-{seed}", value, **row)
            measure(runs / f"ls-{seed}", value + 2 * sign, **row)
    text = headline(runs)
    assert text.startswith(f"{A} is better")  # by kd1k, which comes first
    assert f"Of 2 other numbers, 0 speak for {A} and 1 for {B}, by more than chance." in text


def test_of_three_groups_each_is_told_apart_or_not(runs: Path, measure: Measure) -> None:
    for seed, value in enumerate((1.0, 1.1, 1.2)):
        measure(runs / f"bce-{seed}", value)
        measure(runs / f"ls-{seed}", value + 2)
        config = (runs / f"bce-{seed}/config.toml").read_text()
    other = runs / "other"
    other.mkdir()
    (other / "config.toml").write_text(config.replace("batch_size = 16", "batch_size = 8"))
    (other / "log.jsonl").write_text((runs / "bce-0/log.jsonl").read_text())
    measure(other, 1.05)
    text = headline(runs)
    assert "batch_size=16 is better than" not in text.partition(" is better than ")[2]
    assert text.count("cannot be told") == 1 and "fd1k in this order 1.05, 1.10 ± 0.10" in text


def test_a_group_alone_and_nothing_measured(runs: Path, measure: Measure) -> None:
    nothing = "so nothing can be said of which is better."
    assert headline(runs) == f"Nothing has been measured yet, {nothing}"
    measure(runs / "bce-0", 2.0)
    assert headline(runs) == f"No two groups were measured alike, {nothing}"
    measure(runs / "ls-0", 2.0, split="train")
    assert headline(runs) == f"No two groups were measured alike, {nothing}"
    assert headline(runs, "bce-0") == "fd1k is 2, from one seed. Real images have 0.1."
    measure(runs / "bce-1", 4.0)
    assert headline(runs, "bce-0", "bce-1") == (
        "fd1k is 3.0 ± 1.4, over 2 seeds. Real images have 0.1."
    )


def test_a_comparison_says_it_in_short(runs: Path, measure: Measure) -> None:
    measure(runs / "bce-0", 2.0)
    found = ganvas.compare(runs / "bce-0")
    assert repr(found) == f"<Comparison of 1 runs in 1 groups: {found.headline}>"
    with pytest.raises(AttributeError):
        found.headline = ""  # type: ignore[misc]  # frozen
