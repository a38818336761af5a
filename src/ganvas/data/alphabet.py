"""Letters drawn from the typefaces that come with matplotlib, turned to every angle."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import string
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field
from pydantic.dataclasses import dataclass

from ganvas.data.download import user_cache
from ganvas.errors import RunError
from ganvas.files import write_file
from ganvas.protocols import RawImages, Split
from ganvas.registry import CHECKED, DATASETS

if TYPE_CHECKING:
    from ganvas.pixels import Shape

Array = NDArray[np.uint8]

LETTERS: Final = string.ascii_uppercase
TYPEFACES: Final = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmti10", "cmmi10", "cmss10", "cmtt10"),
)
"""The text faces among matplotlib's fonts; its symbol fonts lack capitals or draw other signs."""

DRAWING: Final = 1
"""Raise it with any change to how letters are drawn, so that what was kept is drawn anew."""
OVERSAMPLING: Final = 2
"""Letters are turned at this many times the final size, and then averaged down."""
CAP_HEIGHT: Final = 0.68
"""Height of a letter at scale 1, in image sides, unless it is so wide that it would not fit."""
MAX_RADIUS: Final = 0.48
"""Farthest that a letter at scale 1 reaches from its middle, in image sides."""
MIN_SCALE: Final = 0.75
MAX_SHIFT: Final = 0.05
"""Farthest that a letter is moved along each axis, in image sides."""


@DATASETS.register("alphabet")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Alphabet:
    """Upper-case letters A-Z, white on black, at every angle, in 22 typefaces; drawn on first use.

    Source: a stand-in for FirstGAN's private alphabet set, which was never published; it was
    capitals at every angle, up to 133,500 of them. The typefaces are those of matplotlib: DejaVu,
    STIX (2010) and Computer Modern (Knuth 1986). Letters take turns, so that classes are balanced.
    The test split has a tenth as many images, from another random stream.
    """

    size: Annotated[int, Field(ge=8, le=256)] = 28
    """Height and width of an image in pixels."""

    num_images: Annotated[int, Field(ge=20)] = 133_500
    """Images in the train split."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Where the random angles, sizes, places and typefaces start; the same seed, the same bytes."""

    @property
    def known(self) -> tuple[int, Shape]:
        return self.num_images, (1, self.size, self.size)

    def load(self, split: Split, root: Path | None) -> RawImages:
        num_images = self.num_images if split == "train" else self.num_images // 10
        recipe = {
            "size": self.size,
            "num_images": num_images,
            "seed": self.seed,
            "split": split,
            "matplotlib": _matplotlib_version(),
            "pillow": PIL.__version__,
            "drawing": DRAWING,
        }
        images = _cached(recipe)
        if images is None or images.shape != (num_images, 1, self.size, self.size):
            images = draw(self.size, num_images, (self.seed, 0 if split == "train" else 1))
            _keep(recipe, images)
        return RawImages(images, np.arange(num_images) % len(LETTERS), tuple(LETTERS))


def draw(size: int, num_images: int, seed: tuple[int, int]) -> Array:
    """(num_images, 1, size, size) letters A, B, ... Z, A, ..., each varied on its own."""
    rng = np.random.default_rng(seed)
    faces = rng.integers(len(TYPEFACES), size=num_images)
    angles = rng.uniform(0, 2 * math.pi, num_images)
    scales = rng.uniform(MIN_SCALE, 1, num_images)
    shifts = rng.uniform(-MAX_SHIFT, MAX_SHIFT, (num_images, 2)) * size * OVERSAMPLING
    side = size * OVERSAMPLING
    masters = [[_master(face, letter, side) for letter in LETTERS] for face in TYPEFACES]

    images = np.empty((num_images, 1, size, size), np.uint8)

    def draw_part(start: int) -> None:
        for i in range(start, min(start + 1000, num_images)):
            cos, sin = math.cos(angles[i]) / scales[i], math.sin(angles[i]) / scales[i]
            right, down = shifts[i] + side / 2
            # Pillow asks where each output pixel comes from: turn about the middle, undo the shift
            turn = (
                *(cos, sin, side / 2 - cos * right - sin * down),
                *(-sin, cos, side / 2 + sin * right - cos * down),
            )
            turned = masters[faces[i]][i % len(LETTERS)].transform(
                (side, side), Image.Transform.AFFINE, turn, Image.Resampling.BILINEAR
            )
            images[i, 0] = np.asarray(turned.reduce(OVERSAMPLING))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(draw_part, range(0, num_images, 1000)))
    return images


def _master(face: str, letter: str, side: int) -> Image.Image:
    """A letter as large as it may get, in the middle of a black square, white and anti-aliased."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"
    try:
        font = ImageFont.truetype(path, 2 * side, layout_engine=ImageFont.Layout.BASIC)
    except OSError:
        raise RunError(
            f"alphabet: matplotlib's typeface '{path}' cannot be read; reinstall matplotlib"
        ) from None
    sheet = Image.new("L", (6 * side, 6 * side))
    ImageDraw.Draw(sheet).text((2 * side, 2 * side), letter, fill=255, font=font)
    large = sheet.crop(sheet.getbbox())  # the ink alone; a font's own box has margins
    radius = math.hypot(large.width, large.height) / 2
    scale = side * min(CAP_HEIGHT / large.height, MAX_RADIUS / radius)
    size = max(1, round(large.width * scale)), max(1, round(large.height * scale))
    master = Image.new("L", (side, side))
    corner = (side - size[0]) // 2, (side - size[1]) // 2
    master.paste(large.resize(size, Image.Resampling.BOX), corner)
    return master


def _matplotlib_version() -> str:
    from importlib.metadata import version

    return version("matplotlib")


def cache_files(recipe: dict[str, Any]) -> tuple[Path, Path]:
    """Where a drawing is kept: its images, and the record of how it was made."""
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
    images = user_cache() / "alphabet" / f"{recipe['split']}-{recipe['size']}px-{key}.npy"
    return images, images.with_suffix(".json")


def _cached(recipe: dict[str, Any]) -> Array | None:
    """The images of an earlier drawing; None if there is none, or it is not as it was written."""
    images, record = cache_files(recipe)
    try:
        content = images.read_bytes()
        expected = json.loads(record.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if hashlib.sha256(content).hexdigest() != expected:
        return None
    try:
        array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception:  # a header is read as Python's text, and raises whatever that raises
        return None
    return array if array.dtype == np.uint8 else None


def _keep(recipe: dict[str, Any], images: Array) -> None:
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    content = buffer.getvalue()
    path, record = cache_files(recipe)
    digest = hashlib.sha256(content).hexdigest()
    try:
        write_file(path, content)
        write_file(record, json.dumps(recipe | {"sha256": digest}, indent=1).encode())
    except RunError as error:
        warnings.warn(f"alphabet: the drawing is not kept for next time: {error}", stacklevel=3)
