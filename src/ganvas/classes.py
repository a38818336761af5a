"""Classes by name: those that a generator was taught, and which of them are asked for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ganvas.errors import UsageError

SHOWN: Final = 12
"""Names that an error line lists at most."""
ALL: Final = "all"


@dataclass(frozen=True)
class Classes:
    """The classes of a data set that nets are told of."""

    names: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    """Training images of each; none where that is not known."""

    def __len__(self) -> int:
        return len(self.names)


def numbered(classes: tuple[str, ...], num: int) -> tuple[str, ...]:
    """Names of `num` classes: those given, and their numbers for the rest."""
    return classes + tuple(str(index) for index in range(len(classes), num))


def places(classes: Sequence[str]) -> dict[str, int]:
    """Each class by its name, and by its place from 0 where no name is a number.

    Where all are numbers, also without zeros at their front.
    """
    found = {name: index for index, name in enumerate(classes)}
    if not any(name.isdecimal() for name in classes):
        found |= {str(index): index for index in range(len(classes))}
    elif all(name.isdecimal() for name in classes):  # 7 for 007
        found = {str(int(name)): index for name, index in found.items()} | found
    return found


def index_of(wanted: str | int, classes: Sequence[str], option: str = "--class") -> int:
    """The place of a class: a text is a name, in any case, or a number as in `places`.

    Raises:
        UsageError: there is no such class.
    """
    if not isinstance(wanted, str):
        if 0 <= wanted < len(classes):
            return int(wanted)
        raise UsageError(
            f"{option}: found {wanted}; allowed: 0 to {len(classes) - 1}, or {_listed(classes)}"
        )
    known = places(classes)
    if wanted in known:
        return known[wanted]
    alike = [index for name, index in known.items() if name.casefold() == wanted.casefold()]
    if len(alike) == 1:
        return alike[0]
    lowered = {name.casefold(): name for name in classes}
    near = difflib.get_close_matches(wanted.casefold(), lowered, n=1, cutoff=0.5)
    meant = f"did you mean {lowered[near[0]]}? " if near else ""
    numeric = any(name.isdecimal() for name in classes)
    numbers = "" if numeric else f", or 0 to {len(classes) - 1}"
    raise UsageError(f"{option}: no class '{wanted}'; {meant}allowed: {_listed(classes)}{numbers}")


def chosen(
    wanted: str | int | Sequence[str | int], classes: Sequence[str], option: str = "--class"
) -> list[int]:
    """The places of one class, of several, of those in a text with commas, or of 'all'.

    Raises:
        UsageError: one of them is none, or there are none to choose from.
    """
    if not classes:
        raise UsageError(f"{option}: the generator was trained without classes and takes none")
    given = [wanted] if isinstance(wanted, str | int) else list(wanted)
    parts: list[str | int] = []
    for one in given:
        if isinstance(one, str) and one not in classes:
            parts += [part.strip() for part in one.split(",")]
        else:
            parts.append(one)
    found: list[int] = []
    for part in parts:
        everything = part == ALL and ALL not in classes
        found += range(len(classes)) if everything else [index_of(part, classes, option)]
    if not found:
        raise UsageError(f"{option}: found none; allowed: {ALL}, {_listed(classes)}")
    return found


def _listed(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
    return ", ".join(classes[:SHOWN]) + more
