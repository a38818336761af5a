"""The sections of a run that are not components: what each setting means, its type and default."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator
from pydantic.dataclasses import dataclass

from ganvas.config.length import Length
from ganvas.config.ramp import Amount, Decay, Rate
from ganvas.registry import CHECKED


def _period(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d* ?(epoch|step|image)s?", text):
        raise ValueError(
            "write a number and a unit, such as '1 epoch', '250 steps', '10000 images'"
        )
    return text


def _period_or_auto(text: str) -> str:
    return text if text == "auto" else _period(text)


def _metrics(value: object) -> object:
    """ "fd10k, prdc2k" and ["fd10k", "prdc2k"] -> ("fd10k", "prdc2k"); "none" -> ()."""
    if isinstance(value, str):
        value = [] if value == "none" else value.split(",")
    if not isinstance(value, list):
        return value
    return tuple(item.strip() if isinstance(item, str) else item for item in value)


def _image_size(value: object) -> object:
    """64 -> (64, 64), "28x20" -> (28, 20), [28, 20] -> (28, 20)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", value)
        if not match:
            raise ValueError("pixels, as 64 or 28x20 (height x width)")
        return (int(match[1]), int(match[2] or match[1]))
    return tuple(value) if isinstance(value, list) else value


Period = Annotated[str, AfterValidator(_period)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
ImageSize = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1024)], Annotated[int, Field(ge=1, le=1024)]],
    BeforeValidator(_image_size),
]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Preprocess:
    """What is done to the data set's images before training."""

    image_size: ImageSize | None = None
    """Resize to this height x width in pixels: 64, "28x20" or [28, 20]; unset: as they are."""

    filter: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"] = "bicubic"
    """Pillow's resize filter; it is anti-aliased when it shrinks."""

    channels: Literal[1, 3, 4] | None = None
    """Convert to grey (1), RGB (3) or RGBA (4); unset: as they are."""

    first: Positive | None = None
    """Use only the first so many images; unset: all."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class AdamSettings:
    """Adam (Kingma & Ba 2015, algorithm 1) for one net."""

    learning_rate: Rate = 2e-4
    """Step size; it may change on the way: "1e-3 to 0 from 50 % to 100 %"."""

    beta_1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Decay of the mean of gradients."""

    beta_2: Decay = 0.999
    """Decay of the mean of squared gradients; it may change on the way."""

    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the root in the denominator."""

    eps_form: Literal["paper", "tensorflow"] = "paper"
    """Which root: paper (and PyTorch): that of the corrected mean square; tensorflow (and Keras):
    that of the mean square as it is, so that eps counts eps / sqrt(1 - beta_2^t) at step t."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Optim:
    """One Adam for each net."""

    generator: AdamSettings = AdamSettings()
    """The generator's optimizer."""

    discriminator: AdamSettings = AdamSettings()
    """The discriminator's optimizer."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Ema:
    """An average of G's weights over the run, which is what the run draws, measures and saves."""

    half_life: Amount = 0.0
    """Real images after which an earlier weight counts half; 0: no average, G itself is drawn."""

    ramp: Annotated[float, Field(ge=0)] = 0.05
    """The half-life is at most this share of the real images seen so far, so that the first weights
    are soon forgotten; 0: no such limit."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Train:
    """How much is trained, in what batches, on what device."""

    length: Annotated[Length, PlainValidator(Length.parse)]
    """How long: "60 epochs"; "200000 images", real ones shown, rounded up to whole steps; or
    "20 minutes", as many steps as fit, everything written in time."""

    batch_size: Positive = 64
    """Images in a batch."""

    order: Literal["shuffled", "sequential", "replacement", "independent"] = "shuffled"
    """How batches are drawn: a new shuffle each epoch; file order; each image at random with
    replacement; or each batch the head of a shuffle of its own."""

    drop_last: bool = True
    """Leave out the short batch at the end of an epoch."""

    device: str = "auto"
    """cpu, cuda, cuda:N or mps; auto takes the first accelerator there is."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What products of matrices and convolutions are computed in; weights, BatchNorm statistics and
    losses stay float32. auto: bfloat16 where the device has matrix units for it."""

    fast_layers: bool = True
    """Compute strided convolutions as ordinary ones, and draw dropout's masks 64 to a random word,
    where that is faster. Convolutions sum the same products in another order."""

    shared_passes: bool = True
    """Take from one pass through D what both updates of a step need of it, where that is the same:
    the backward pass over fakes (rule 'simultaneous', D without BatchNorm) or the forward pass
    (rule 'alternating' with the generator first and shared fakes, D without dropout)."""

    on_failure: Literal["stop", "rollback", "continue"] | None = None
    """What is done about any fault that the watchdog sees: stop; go back to the newest good
    checkpoint and on with lower learning rates (rollback); or continue with a warning. Unset: what
    `watchdog.*` says of that fault."""

    cuda_graphs: bool = False
    """Capture a whole step in a CUDA graph and replay it, so that Python takes no part in it. Not
    measured on a GPU yet, hence off; it is to be the default once it is."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Output:
    """What a run writes, and when."""

    log: Period = "50 steps"
    """A line of means since the last one in log.jsonl and TensorBoard this often."""

    sample: Period = "1 epoch"
    """A grid of the fixed latents this often."""

    checkpoint: Period = "1 epoch"
    """A resumable checkpoint this often."""

    keep_checkpoints: Positive = 2
    """How many of the newest checkpoints stay on disk."""

    grid: tuple[Positive, Positive] = (5, 5)
    """Rows and columns of the sample grid."""

    scalars: Period | None = None
    """TensorBoard's scalars this often, each of its own step; unset: the means of the log's lines,
    with them."""

    pictures: Period | None = None
    """TensorBoard's sheet this often; unset: with each sheet that is written."""

    wide: tuple[Positive, Positive] | None = None
    """Rows and columns of a second picture of each sheet, its tiles scaled each on its own from
    black to white, in `wide/` and in TensorBoard in the sheet's place; unset: none."""

    printed: Annotated[int, Field(ge=0, le=16)] = 0
    """Samples of each sheet that are printed, with D's scores."""

    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    """TensorBoard tags that differ from our scalar names."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Evaluate:
    """What is measured during training, and when; the best generator is kept."""

    metrics: Annotated[tuple[str, ...], BeforeValidator(_metrics)] = ("fd",)
    """Metrics, each with its number of images: "fd10k,prdc2k"; without one it is 2,000, or less in
    short runs; with few real images it is lowered; none: nothing is measured."""

    every: Annotated[str, AfterValidator(_period_or_auto)] = "auto"
    """Measure this often, and at the end; auto: after epochs, so that all of it takes less than
    5 % of the training time."""

    best: str = ""
    """The value by which the best generator is kept, such as prdc.coverage; empty: the first one of
    the first metric."""

    features: str = "auto"
    """What images are compared in: classifier, learned, random, pixels or inception; auto: a
    classifier where there are labels, otherwise a net that learns without. A net that does not come
    with the package is trained on the images first, in half a minute, and kept."""


Action = Literal["stop", "rollback", "warn"]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Watchdog:
    """What happens when a run goes wrong: `stop` it, go back to the newest good checkpoint and on
    from there with lower learning rates (`rollback`), or `warn` and go on."""

    not_finite: Action = "stop"
    """A loss is NaN or infinite."""

    diverged: Action = "warn"
    """A net's weights run away, as with a learning rate that is far too high."""

    dead_discriminator: Action = "warn"
    """The discriminator's loss stays at zero, or the generator stands still, for it gets no
    gradient."""

    collapse: Action = "warn"
    """Samples are nearly the same image, or a few; or classes are lost, where that is measured."""

    worse: Action = "warn"
    """The generator is far behind the best one; at the end of a run always a warning."""
