"""A row: a metric's numbers and how they were measured, as metrics.jsonl keeps it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ganvas.notebook import html, picture_at, plotted
from ganvas.registry import METRICS
from ganvas.registry import settings as settings_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    num_train: int | None = None
    """Images that the generator was trained on: what memorisation, the width of Parzen's windows
    and floors depend on. None in rows of earlier versions, as what follows."""
    train_sha256: str = ""
    """SHA-256 of those images."""
    fakes_sha256: str = ""
    """SHA-256 of the images measured: the same generator, on the same machine, gives the same."""
    extractor_num_test: int | None = None
    """The number of images that the extractor's accuracy is of."""
    ganvas: str = ""
    """The version that measured."""
    remark: str = ""
    """What a reader should know of the values."""
    picture: str = ""
    """The picture that goes with the numbers, if there is one."""
    what: str = ""
    """What was measured, where it was one of several; not kept in a run folder, which may move."""

    @property
    def short(self) -> str:
        """'fd2k distance 62.1 (60 to 64.2), real images 11.5', or why it was not measured."""
        if not self.values:
            return f"{self.metric} not measured: {self.reason}"
        parts = []
        for key, value in self.values.items():
            interval = self.intervals.get(key)
            between = f" ({interval[0]:.3g} to {interval[1]:.3g})" if interval else ""
            floor = f", real images {self.floor[key]:.3g}" if key in self.floor else ""
            parts.append(f"{key} {value:.3g}{between}{floor}")
        return f"{self.metric} {'; '.join(parts)}"

    def __repr__(self) -> str:
        of = f"{self.what}: " if self.what else ""
        return f"Row({of}{self.short}; {self.data} {self.split})"

    def _repr_html_(self) -> str:
        rows = [
            (key, f"{value:.4g}", _between(self.intervals.get(key)), _text(self.floor.get(key)))
            for key, value in self.values.items()
        ]
        title = f"{self.metric}, {self.data} {self.split}, features {self.extractor}"
        head = ("value", "", "95 % interval", "real images")
        return html(title, head, rows or [(self.reason, "", "", "")])

    def plot(self) -> Image.Image:
        """Its values with their intervals, and what real images have, a panel each."""

        def draw(figure: Figure) -> None:
            panels = figure.subplots(1, max(1, len(self.values)), squeeze=False)[0]
            for axes, (key, value) in zip(panels, self.values.items(), strict=False):
                low, high = self.intervals.get(key, (value, value))
                axes.vlines(0, low, high)
                axes.plot([0], [value], "o")
                if key in self.floor:
                    axes.axhline(self.floor[key], linestyle=":", color="black")
                axes.set(title=f"{self.metric}\n{key}", xticks=[])
            figure.supxlabel("dotted: real images", fontsize=8)

        return plotted(draw, 2.0 * max(1, len(self.values)), 2.6)

    def sheet(self) -> Image.Image:
        """The picture that goes with the numbers; UsageError if there is none."""
        return picture_at(Path(self.picture), f"picture of {self.metric}")

    def as_json(self) -> dict[str, Any]:
        """The row for JSON: what is not finite becomes null."""
        found = {key: _finite(value) for key, value in dataclasses.asdict(self).items()}
        return found if self.what else {key: found[key] for key in found if key != "what"}

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
            *self._trained_on,
        )

    @property
    def _trained_on(self) -> tuple[object, ...]:
        """The training images, where the numbers depend on them; they always do if unknown."""
        return (self.num_train, self.train_sha256) if uses_training(self.settings) else ()


def uses_training(names: Iterable[str]) -> bool:
    """Whether the numbers of metrics by these names depend on the images trained on.

    Those of a metric that this version does not know are taken to.
    """
    for name in names:
        if name not in METRICS:
            return True
        if {"training", "held_out"} & set(METRICS.get(name).needs):
            return True
    return False


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


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _between(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else ""


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
