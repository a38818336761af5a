"""A setting that changes while a run goes on, as its text says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal, cast

from pydantic import PlainValidator

Shape = Literal["linear", "cosine"]
Unit = Literal["%", "images"]

ALLOWED: Final = (
    "a number, or how it changes: '1e-3 to 0', '0.9 to 0.99 cosine over 20 %', "
    "'1 to 0.1 over 200000 images', '1e-3 to 0 from 50 % to 100 %'"
)
_NUMBER: Final = r"(\d[\d.]*(?:e[+-]?\d+)?)"
_PLACE: Final = r"(\d[\d.]*(?:e\d+)?) ?(%|images)"
_TEXT: Final = re.compile(
    rf"{_NUMBER} to {_NUMBER}(?: (linear|cosine))?(?: over {_PLACE}| from {_PLACE} to {_PLACE})?"
)


@dataclass(frozen=True)
class Place:
    """A place in a run."""

    amount: float
    """Real images shown, or percent of the run's length."""
    unit: Unit

    def __str__(self) -> str:
        return f"{_text_of(self.amount)} {self.unit}"


@dataclass(frozen=True)
class Ramp:
    """A value on its way from `start` to `end`; before and after it stays as it is.

    Raises:
        ValueError: the way ends before it begins, in two units, or after the run.
    """

    start: float
    end: float
    shape: Shape = "linear"
    begins: Place = Place(0.0, "%")
    ends: Place = Place(100.0, "%")

    def __post_init__(self) -> None:
        begins, ends = self.begins, self.ends
        if begins.unit != ends.unit or not begins.amount < ends.amount:
            raise ValueError(ALLOWED)
        if ends.unit == "%" and ends.amount > 100:
            raise ValueError(ALLOWED)

    @classmethod
    def parse(cls, text: str) -> Ramp:
        """A ramp from its text; ValueError says what is allowed."""
        match = _TEXT.fullmatch(text)
        if not match:
            raise ValueError(ALLOWED)
        start, end, shape, over, unit, begin, begin_unit, until, until_unit = match.groups()
        try:
            if until:
                begins = Place(float(begin), cast(Unit, begin_unit))
                ends = Place(float(until), cast(Unit, until_unit))
            else:
                ends = Place(float(over or 100), cast(Unit, unit or "%"))
                begins = Place(0.0, ends.unit)
            return cls(float(start), float(end), cast(Shape, shape or "linear"), begins, ends)
        except ValueError:
            raise ValueError(ALLOWED) from None

    def __str__(self) -> str:
        text = f"{_text_of(self.start)} to {_text_of(self.end)}"
        text += f" {self.shape}" if self.shape != "linear" else ""
        if self.begins.amount:
            return f"{text} from {self.begins} to {self.ends}"
        return text if self.ends == Place(100.0, "%") else f"{text} over {self.ends}"


def _text_of(value: float) -> str:
    """The shortest text of a number that reads back as it."""
    return str(int(value)) if value == int(value) and value < 1e15 else repr(value)


def number_or_ramp(
    low: float, high: float = math.inf, *, low_too: bool = True, high_too: bool = False
) -> Callable[[object], float | Ramp]:
    """A reader of numbers and ramps from `low` to `high`, with or without these ends.

    Of a ramp either end may be `low`, but not both where the number may not.
    """

    def read(value: object) -> float | Ramp:
        ramp = Ramp.parse(value) if isinstance(value, str) else value
        if isinstance(ramp, Ramp):
            ends = [ramp.start, ramp.end]
        elif isinstance(ramp, int | float) and not isinstance(ramp, bool):
            ends = [ramp]
        else:
            raise ValueError(ALLOWED)
        if not all(math.isfinite(end) for end in ends):
            raise ValueError("a finite number")
        if min(ends) < low or (max(ends) <= low and not low_too):
            raise ValueError(f"{low:g} or greater" if low_too else f"greater than {low:g}")
        if max(ends) > high or (max(ends) == high and not high_too):
            raise ValueError(f"{high:g} or less" if high_too else f"less than {high:g}")
        return ramp if isinstance(ramp, Ramp) else ends[0]

    return read


Rate = Annotated[float | Ramp, PlainValidator(number_or_ramp(0, low_too=False))]
"""Above 0, or a ramp that is so somewhere."""
Decay = Annotated[float | Ramp, PlainValidator(number_or_ramp(0, 1))]
"""From 0 to below 1."""
Share = Annotated[float | Ramp, PlainValidator(number_or_ramp(0, 1, high_too=True))]
"""From 0 to 1."""
Amount = Annotated[float | Ramp, PlainValidator(number_or_ramp(0))]
"""0 or more."""
