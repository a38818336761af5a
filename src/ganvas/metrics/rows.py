"""A row: a metric's numbers and how they were measured, as metrics.jsonl keeps it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganvas.registry import METRICS
from ganvas.registry import settings as settings_of


@dataclass(frozen=True)
class Row:
    """A metric's numbers and how they were measured."""

    metric: str
    """Its short name and the number of images: fd10k."""
    values: dict[str, float]
    """Empty if it could not be measured."""
    intervals: dict[str, tuple[float, float]]
    """95 % intervals, of those values that have one."""
    floor: dict[str, float]
    """The same, with real images in place of the fakes."""
    reason: str
    """Why it could not be measured; empty if it was."""
    settings: dict[str, dict[str, Any]]
    """The metric's settings, by its name."""
    num_fake: int
    num_reference: int
    data: str
    split: str
    fingerprint: str
    """SHA-256 of the reference images."""
    extractor: str
    extractor_sha256: str
    extractor_accuracy: float | None
    """A classifier's, on images that it was not trained on."""
    note: str
    """What a reader should know of the extractor."""
    resize: str
    """How images were resized on the way, with the filter."""
    seed: int
    recipe: str = ""
    images: int | None = None
    """Real images that the generator was shown in training."""
    step: int | None = None
    """Steps after which the generator was saved."""
    picture: str = ""
    """The picture that goes with the numbers, if there is one."""

    def as_json(self) -> dict[str, Any]:
        """The row for JSON: what is not finite becomes null."""
        return {key: _finite(value) for key, value in dataclasses.asdict(self).items()}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Row:
        """The row that `as_json` made `found` of, by this version or an earlier one.

        Raises:
            TypeError, ValueError: it is none.
        """

        def number(value: float | None) -> float:
            return math.nan if value is None else float(value)

        values, floor = (
            {key: number(value) for key, value in dict(found.get(part, {})).items()}
            for part in ("values", "floor")
        )
        intervals = {
            key: (number(low), number(high))
            for key, (low, high) in dict(found.get("intervals", {})).items()
        }
        settings = current_settings(dict(found.get("settings", {})))
        own = {"values": values, "floor": floor, "intervals": intervals, "settings": settings}
        return cls(**{**found, **own})

    @property
    def protocol(self) -> tuple[object, ...]:
        """What two rows of one name share if their numbers may be compared."""
        return (
            self.fingerprint,
            self.split,
            self.extractor_sha256,
            self.seed,
            self.resize,
            self.settings,
        )


def current_settings(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A row's settings under today's names; what an older row lacks is at its default.

    Settings of metrics that this version does not know stay as they are.
    """
    current: dict[str, dict[str, Any]] = {}
    for spelling, given in settings.items():
        fields = dict(given) if isinstance(given, Mapping) else {}
        if spelling not in METRICS:
            current[spelling] = fields
            continue
        name = METRICS.spelled(spelling)
        known = settings_of(METRICS.get(name))
        defaults = {key: field.default for key, field in known.items() if not field.is_required()}
        current[name] = defaults | current.get(name, {}) | fields
    return current


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
