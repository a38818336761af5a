"""A metric of two arrays, in the form that it looks at."""

from __future__ import annotations

from typing import Any

from ganvas.metrics.metric import Measured, Metric, Views


def measured(metric: Metric, real: Any, fake: Any, **more: Any) -> Measured:
    """`more` are further views of the real images, such as `held_out`."""
    form = metric.needs[0]
    return metric.compare(metric.statistics(Views(**{form: real}, **more)), Views(**{form: fake}))


def value(metric: Metric, real: Any, fake: Any, **more: Any) -> float:
    """The first of its values."""
    return next(iter(measured(metric, real, fake, **more).values.values()))


def error(found: Measured, key: str) -> float:
    """The standard error that an interval about a value was made of."""
    low, high = found.intervals[key]
    return (high - low) / 2 / 1.959963984540054
