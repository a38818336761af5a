"""How long a run is: the one setting `train.length`, and what follows from it in steps."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from ganvas.errors import UsageError
from ganvas.protocols import reals_seen

if TYPE_CHECKING:
    from ganvas.config.run import Run

Unit = Literal["epochs", "images", "minutes"]
UNITS: Final[tuple[Unit, ...]] = get_args(Unit)


@dataclass(frozen=True)
class Length:
    """How much a run trains, as in "60 epochs", "200000 images" or "2.5 minutes".

    ValueError if it is not a whole number of epochs or images from 1, or minutes above 0.
    """

    amount: float
    """Passes over the data set, real images shown (rounded up to whole steps), or minutes."""
    unit: Unit

    def __post_init__(self) -> None:
        whole = isinstance(self.amount, int) or self.unit == "minutes"
        if self.unit not in UNITS or not whole or not 0 < self.amount < math.inf:
            raise ValueError(ALLOWED)

    @classmethod
    def parse(cls, value: object) -> Length:
        """A length from its text; ValueError says what is allowed. A length stays as it is."""
        if isinstance(value, Length):
            return value
        match = re.fullmatch(r"(\d[\d.e+-]*) ?(epoch|image|minute)s?", str(value))
        if not match:
            raise ValueError(ALLOWED)
        unit = cast(Unit, f"{match[2]}s")
        try:
            return cls(float(match[1]) if unit == "minutes" else int(match[1]), unit)
        except ValueError:
            raise ValueError(ALLOWED) from None

    def __str__(self) -> str:
        amount = int(self.amount) if self.amount == int(self.amount) else self.amount
        return f"{amount} {self.unit.removesuffix('s') if amount == 1 else self.unit}"

    @property
    def minutes(self) -> float | None:
        """None if the length is a number of steps."""
        return self.amount if self.unit == "minutes" else None

    def images(self, num_images: int) -> int | None:
        """Real images shown, in epochs of `num_images`; None if a clock decides."""
        if self.unit == "minutes":
            return None
        return int(self.amount) * (num_images if self.unit == "epochs" else 1)


ALLOWED: Final = (
    "a whole number of epochs or images from 1, or minutes above 0, as '60 epochs', "
    "'200000 images' or '2.5 minutes'"
)


def from_older(tables: Mapping[str, Any]) -> dict[str, Any]:
    """A run's TOML tables in today's form: `train` once had epochs, images or minutes."""
    train = tables.get("train")
    if not isinstance(train, Mapping) or "length" in train:
        return dict(tables)
    given = [unit for unit in UNITS if unit in train]
    if len(given) != 1:
        return dict(tables)
    rest = {key: value for key, value in train.items() if key != given[0]}
    length = f"{train[given[0]]} {given[0]}"
    with contextlib.suppress(ValueError):  # a wrong one is refused where the run is built
        length = str(Length.parse(length))
    return {**tables, "train": {"length": length, **rest}}


@dataclass(frozen=True)
class Lengths:
    """Lengths in steps, which follow from the settings and the number of images."""

    num_images: int
    """Images in the data set."""
    images_per_step: int
    """Real images drawn for a full step."""
    drop_last: bool
    """Whether every step is a full one."""
    seen: Callable[[int], int] = field(default=lambda drawn: drawn, compare=False, repr=False)
    """Of so many real images drawn for a step, those that D sees; they are what `images` counts."""

    @classmethod
    def of(cls, run: Run, num_images: int) -> Lengths:
        """The run's lengths on `num_images` images; UsageError if they do not fill one batch."""
        per_step = run.train.batch_size * run.update.batches_per_step
        only_whole = run.train.drop_last or run.train.order in ("replacement", "independent")
        if num_images < per_step and only_whole:
            raise UsageError(
                f"too little data: {num_images} images do not fill one step of {per_step}; "
                f"lower --batch-size to {max(1, num_images // run.update.batches_per_step)} or less"
            )
        return cls(num_images, per_step, only_whole, partial(reals_seen, run.update))

    @property
    def steps_per_epoch(self) -> int:
        whole, rest = divmod(self.num_images, self.images_per_step)
        return whole if self.drop_last or not rest else whole + 1

    @property
    def images_in_last_step(self) -> int:
        """Real images drawn for the last step of an epoch."""
        rest = self.num_images % self.images_per_step
        return rest if rest and not self.drop_last else self.images_per_step

    def images_at(self, step: int) -> int:
        """Real images that D has seen when `step` steps are done."""
        epochs, steps = divmod(step, self.steps_per_epoch)
        per_step, last = self.seen(self.images_per_step), self.seen(self.images_in_last_step)
        return epochs * ((self.steps_per_epoch - 1) * per_step + last) + steps * per_step

    def steps(self, period: str) -> int:
        """A period such as '1 epoch' in steps, at least 1."""
        match = re.fullmatch(r"(\d+) ?(epoch|step|image)s?", period)
        assert match, period
        if match[2] == "image":
            return max(1, math.ceil(int(match[1]) / self.seen(self.images_per_step)))
        return int(match[1]) * (self.steps_per_epoch if match[2] == "epoch" else 1)

    def total_steps(self, length: Length) -> int | None:
        """A run's length in steps; None if a clock decides."""
        if length.unit == "epochs":
            return int(length.amount) * self.steps_per_epoch
        return self.steps_for(int(length.amount)) if length.unit == "images" else None

    def steps_for(self, images: int) -> int:
        """The least number of steps in which D sees so many real images."""
        epochs, rest = divmod(images, self.images_at(self.steps_per_epoch))
        return epochs * self.steps_per_epoch + math.ceil(rest / self.seen(self.images_per_step))
