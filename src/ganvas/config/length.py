"""A run's lengths in steps: derived from its settings, with no setting of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ganvas.errors import UsageError
from ganvas.protocols import reals_seen

if TYPE_CHECKING:
    from ganvas.config.run import Run
    from ganvas.config.sections import Train


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

    def total_steps(self, train: Train) -> int | None:
        """The run's length in steps; None if a clock decides."""
        if train.epochs is not None:
            return train.epochs * self.steps_per_epoch
        return None if train.images is None else self.steps_for(train.images)

    def steps_for(self, images: int) -> int:
        """The least number of steps in which D sees so many real images."""
        epochs, rest = divmod(images, self.images_at(self.steps_per_epoch))
        return epochs * self.steps_per_epoch + math.ceil(rest / self.seen(self.images_per_step))
