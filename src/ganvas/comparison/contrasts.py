"""Two groups in one column: is the difference more than chance, and who is better?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ganvas.comparison.groups import Group
from ganvas.comparison.spread import Difference, number_text, welch
from ganvas.comparison.table import Column


@dataclass(frozen=True)
class Contrast:
    """Two groups in one column."""

    column: Column
    first: Group
    second: Group
    found: Difference

    @property
    def is_significant(self) -> bool:
        """Whether the difference is larger than chance."""
        return self.found.is_larger_than_chance

    @property
    def better(self) -> Group | None:
        """The group with the better mean; None where neither direction is better."""
        if self.column.better not in ("higher", "lower"):
            return None
        second = (self.found.difference > 0) == (self.column.better == "higher")
        return self.second if second else self.first

    @property
    def interval(self) -> str:
        """'95 % interval 1.2 to 3.4', of the difference without its sign if zero is not in it."""
        low, high = self.found.low, self.found.high
        if self.is_significant:
            low, high = sorted((abs(low), abs(high)))
        return f"95 % interval {number_text(low)} to {number_text(high)}"

    def __str__(self) -> str:
        """'fd10k: A 2.3 lower than B, which is better (95 % interval 1.2 to 3.4)'."""
        difference = self.found.difference
        verdict = ""
        if self.better:
            verdict = f", which is {'better' if self.better is self.second else 'worse'}"
        return (
            f"{self.column.label}: {self.second.name} {number_text(abs(difference))} "
            f"{'higher' if difference > 0 else 'lower'} than {self.first.name}{verdict} "
            f"({self.interval})"
        )


def contrasts(groups: Sequence[Group], columns: Sequence[Column]) -> Iterator[Contrast]:
    """Every two groups with seeds enough, in every column of last measurements in which one can
    be better."""
    for column in columns:
        if column.better is None or column.which == "best":
            continue
        values = [
            [cell.points[run.path].value for run in group.counted if run.path in cell.points]
            for group, cell in zip(groups, column.cells, strict=True)
        ]
        for i, j in itertools.combinations(range(len(groups)), 2):
            if found := welch(values[i], values[j]):
                yield Contrast(column, groups[i], groups[j], found)
