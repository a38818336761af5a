"""The answer in words: which group is better, by what number, and is it more than chance?"""

from __future__ import annotations

from collections.abc import Sequence

from ganvas.comparison.contrasts import Contrast
from ganvas.comparison.groups import Group
from ganvas.comparison.spread import LEAST_SEEDS
from ganvas.comparison.table import Column


def headline(groups: Sequence[Group], columns: Sequence[Column], tested: Sequence[Contrast]) -> str:
    """A few sentences; they rest on the first metric of last generators that has a better side."""
    least = 1 if len(groups) == 1 else 2
    for column in columns:
        has_sides = column.better in ("lower", "higher") and column.which == "last"
        if column.is_metric and has_sides and len(column.merits) >= least:
            break
    else:
        if not any(column.is_metric for column in columns):
            return "Nothing has been measured yet, so nothing can be said of which is better."
        return "No two groups were measured alike, so nothing can be said of which is better."
    real = f"Real images have {column.floor_text}." if column.floor else ""
    if len(groups) == 1:
        num = len(groups[0].counted)
        seeds = f"over {num} seeds" if num > 1 else "from one seed"
        return f"{column.label} is {column.text(0, num)}, {seeds}. {real}".strip()
    order = sorted(column.merits, key=column.merits.__getitem__, reverse=True)
    ranked = [groups[i] for i in order]
    values = [column.text(i, len(groups[i].counted)) for i in order]
    between = " against " if len(values) == 2 else ", "
    numbers = f"{column.label}{'' if len(values) == 2 else ' in this order'} {between.join(values)}"
    names = _short_names(groups)
    of_column = [one for one in tested if one.column is column]
    sentences = _verdict(ranked, of_column, numbers, names)
    others = [one for one in tested if one.column is not column and one.better]
    return " ".join(filter(None, (*sentences, real, _others(ranked[:2], others, names))))


def _verdict(
    ranked: Sequence[Group], tested: Sequence[Contrast], numbers: str, names: dict[str, str]
) -> list[str]:
    """Who is better than whom; `ranked` is the best group first."""
    first, *others = ranked
    found = {group.name: _between(first, group, tested) for group in others}
    tied = [group for group in others if (one := found[group.name]) and not one.is_significant]
    beaten = [group for group in others if (one := found[group.name]) and one.is_significant]
    unknown = [group for group in others if not found[group.name]]
    cannot = f"cannot be told: that takes {LEAST_SEEDS} seeds or more of each"
    if tied:
        said = f"No winner: {_and([first, *tied], names)} differ by no more than chance"
    elif beaten:
        whom = "all others" if len(beaten) == len(others) > 1 else _and(beaten, names)
        said = f"{names[first.name]} is better than {whom}, by more than chance"
    else:
        ahead = f"{names[first.name]} is ahead ({numbers})"
        return [f"{ahead}, but whether by more than chance {cannot}."]
    one = found[others[0].name]
    interval = f"; {one.interval} for the difference" if one and len(others) == 1 else ""
    more = f"Of {_and(unknown, names)} it {cannot}." if unknown else ""
    return [f"{said} ({numbers}{interval}).", more]


def _others(pair: Sequence[Group], tested: Sequence[Contrast], names: dict[str, str]) -> str:
    """What the other numbers say of the first two."""
    best, next_ = pair
    of_pair = [one for one in tested if _is_between(best, next_, one)]
    won = [one.better for one in of_pair if one.is_significant]
    if not of_pair:
        return ""
    if not won:
        return f"None of {len(of_pair)} other numbers tells the first two apart."
    first, second = (sum(winner is group for winner in won) for group in pair)
    return (
        f"Of {len(of_pair)} other numbers, {first} speak{'s' * (first == 1)} for "
        f"{names[best.name]} and {second} for {names[next_.name]}, by more than chance."
    )


def _between(first: Group, second: Group, tested: Sequence[Contrast]) -> Contrast | None:
    return next((one for one in tested if _is_between(first, second, one)), None)


def _is_between(first: Group, second: Group, one: Contrast) -> bool:
    return {one.first.name, one.second.name} == {first.name, second.name}


def _short_names(groups: Sequence[Group]) -> dict[str, str]:
    """Names without the recipe, if it is the same everywhere."""
    words = [group.name.partition(" ") for group in groups]
    same = len({word[0] for word in words}) == 1 and all(word[2] for word in words)
    return {
        group.name: rest if same else group.name
        for group, (_, _, rest) in zip(groups, words, strict=True)
    }


def _and(groups: Sequence[Group], names: dict[str, str]) -> str:
    shown = [names[group.name] for group in groups]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
