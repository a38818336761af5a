"""Ramps: what their text says, that it reads back, and what is refused in which words."""

from __future__ import annotations

from typing import Any

import pytest

from ganvas import config
from ganvas.config import Place, Ramp
from ganvas.errors import UsageError

WHOLE = (Place(0, "%"), Place(100, "%"))


@pytest.mark.parametrize(
    ("text", "ramp"),
    [
        ("1e-3 to 0", Ramp(1e-3, 0, "linear", *WHOLE)),
        ("1e-3 to 0 linear", Ramp(1e-3, 0, "linear", *WHOLE)),
        ("0.9 to 0.99 cosine over 20 %", Ramp(0.9, 0.99, "cosine", WHOLE[0], Place(20, "%"))),
        ("0.9 to 0.99 over 20%", Ramp(0.9, 0.99, "linear", WHOLE[0], Place(20, "%"))),
        (
            "1 to 0.1 over 200000 images",
            Ramp(1, 0.1, "linear", Place(0, "images"), Place(2e5, "images")),
        ),
        ("2 to 1 from 50 % to 100 %", Ramp(2, 1, "linear", Place(50, "%"), WHOLE[1])),
        (
            "2 to 1 cosine from 5 images to 1e6 images",
            Ramp(2, 1, "cosine", Place(5, "images"), Place(1e6, "images")),
        ),
    ],
)
def test_text_to_ramp_and_back(text: str, ramp: Ramp) -> None:
    assert Ramp.parse(text) == ramp
    assert Ramp.parse(str(ramp)) == ramp


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("1e-3 to 0 linear from 0 % to 100 %", "0.001 to 0"),
        ("0.9 to 0.99 cosine over 20%", "0.9 to 0.99 cosine over 20 %"),
        ("1 to 0.1 over 2e5 images", "1 to 0.1 over 200000 images"),
    ],
)
def test_a_ramp_is_written_in_one_way(text: str, shortest: str) -> None:
    assert str(Ramp.parse(text)) == shortest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "1e-3",
        "1 to",
        "1 to 0 over 5",
        "1 to 0 over 120 %",
        "1 to 0 from 50 % to 20 %",
        "1 to 0 from 5 % to 100 images",
        "1 to 0 over 0 %",
        "-1 to 0",
        "1 to 0 sine",
        "1.2.3 to 0",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number, or how it changes"):
        Ramp.parse(text)


def build(*changes: tuple[str, Any]) -> config.Run:
    return config.build(config.override(config.read_recipe("quickstart").tables, changes))


def test_a_run_with_ramps_goes_through_toml() -> None:
    run = build(
        ("optim.generator.learning_rate", "1e-3 to 0 from 50 % to 100 %"),
        ("optim.discriminator.beta_2", "0.9 to 0.99 cosine over 20 %"),
        ("penalty.name", "r1"),
        ("penalty.weight", "1 to 0.1 over 10000 images"),
        ("ema.half_life", "0 to 500 over 10000 images"),
    )
    assert run.optim.generator.learning_rate == Ramp.parse("1e-3 to 0 from 50 % to 100 %")
    tables = config.to_tables(run)
    assert tables["optim"]["generator"]["learning_rate"] == "0.001 to 0 from 50 % to 100 %"
    assert config.build(tables) == run
    assert tables["ema"] == {"half_life": "0 to 500 over 10000 images", "ramp": 0.05}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optim.generator.learning_rate", 0, "found 0; allowed: greater than 0"),
        ("optim.generator.learning_rate", "0 to 0", "found '0 to 0'; allowed: greater than 0"),
        ("optim.generator.learning_rate", "fast", "found 'fast'; allowed: a number, or how"),
        ("optim.generator.learning_rate", True, "found True; allowed: a number, or how"),
        ("optim.generator.beta_2", 1, "found 1; allowed: less than 1"),
        ("optim.generator.beta_2", "0.9 to 1 over 5 %", "allowed: less than 1"),
        ("ema.half_life", -1, "found -1; allowed: 0 or greater"),
    ],
)
def test_what_is_out_of_range_is_one_line(key: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError, match=key.replace(".", r"\.")) as error:
        build((key, value))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_learning_rate_may_begin_or_end_at_0() -> None:
    for text in ("0 to 1e-3 over 1000 images", "1e-3 to 0"):
        assert build(("optim.generator.learning_rate", text))


def test_a_run_without_the_section_has_no_average() -> None:
    tables = config.to_tables(build())
    del tables["ema"]
    assert config.build(tables).ema == config.Ema(half_life=0.0)
