"""Names such as fd10k: a metric by its short name, and its number of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ganvas.errors import UsageError
from ganvas.registry import METRICS, UnknownComponent, closest, in_inception, without_count

INCEPTION: Final = "inception"
"""The extractor in whose features some metrics have names of their own."""


@dataclass(frozen=True)
class Spec:
    """A metric and its number of images."""

    metric: str
    """Its short name: fd."""
    num: int | None = None
    """None: as many as there usually are."""

    def __str__(self) -> str:
        return self.metric if self.num is None else f"{self.metric}{count(self.num)}"


def specs(metrics: str | Sequence[str], features: str, option: str) -> list[Spec]:
    """The metrics of "fd10k,prdc2k", or of a sequence of such names, each of them once.

    Raises:
        UsageError: a name is that of no metric in these features, or a number is too small.
    """
    given = metrics.split(",") if isinstance(metrics, str) else metrics
    return list(dict.fromkeys(spec(text.strip(), features, option) for text in given))


def spec(text: str, features: str, option: str) -> Spec:
    """The metric that 'fd10k' names: fid10k too where features are Inception's."""
    name = text if text in METRICS else without_count(text)
    counted = text[len(name) :]
    num = (
        int(counted.removesuffix("k")) * (1000 if counted.endswith("k") else 1) if counted else None
    )
    metric = _metric(name, features, option)
    if num is not None and num < 2:
        raise UsageError(f"{option}: found '{text}'; allowed: 2 images or more")
    return Spec(metric, num)


def count(num: int) -> str:
    """10000 as 10k, 299 as 299."""
    return f"{num // 1000}k" if num % 1000 == 0 else str(num)


def _metric(name: str, features: str, option: str) -> str:
    own = in_inception()
    if name in own:
        if features == INCEPTION:
            return own[name]
        raise UsageError(
            f"{option}: '{name}' is measured in Inception's features; choose the features "
            f"inception, or take {own[name]}"
        )
    if name not in METRICS:
        known = closest(name, METRICS.names())
        raise UnknownComponent(f"{option}: unknown metric '{name}'; {known}")
    return METRICS.spelled(name)
