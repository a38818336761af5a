"""The one place that turns uint8 images into floats and back, lays out grids, writes PNG and GIF.

Outside the nets images are uint8 arrays of shape (N, C, H, W); inside they are float tensors of
the same shape, scaled to the model's value range.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganvas.files import write_file
from ganvas.pixels import ImageSet, Pixels


def to_float(images: Tensor, low: float, high: float) -> Tensor:
    """uint8 -> float32 with 0 at `low` and 255 at `high`."""
    return images.float().mul_((high - low) / 255).add_(low)


def to_uint8(images: Tensor, low: float, high: float) -> Pixels:
    """Floats in [low, high] -> uint8, rounded to nearest; values outside are clipped."""
    scaled = (images.detach().float() - low) * (255 / (high - low))
    pixels: Pixels = scaled.round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return pixels


def grid(images: Pixels, rows: int, columns: int, gap: int = 2) -> Pixels:
    """One image, (C, H, W), of the first rows * columns of `images`, row by row on mid-grey."""
    count, channels, height, width = images.shape
    sheet = np.full(
        (channels, rows * (height + gap) + gap, columns * (width + gap) + gap), 128, np.uint8
    )
    if channels == 4:
        sheet[3] = 255
    for i in range(min(count, rows * columns)):
        top = gap + i // columns * (height + gap)
        left = gap + i % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = images[i]
    return sheet


def beside_names(sheet: Pixels, names: Sequence[str], scale: int) -> Image.Image:
    """A grid, each pixel enlarged to scale x scale, with a name left of each of its equal rows."""
    picture = to_pillow(sheet, scale)
    height = picture.height / len(names)
    font = ImageFont.load_default(max(8, min(16, round(0.6 * height))))
    margin = max(8, round(height / 8))
    widest = max(math.ceil(font.getlength(name)) for name in names)
    size = widest + 2 * margin + picture.width, picture.height
    whole = Image.new(picture.mode, size, "white")
    whole.paste(picture, (widest + 2 * margin, 0))
    pen = ImageDraw.Draw(whole)
    for row, name in enumerate(names):
        pen.text((widest + margin, (row + 0.5) * height), name, "black", font, anchor="rm")
    return whole


def stretched(images: Pixels) -> Pixels:
    """Each image's values, alpha apart, spread on their own from 0 to 255; of one value alone: 0.

    uint8 (N, C, H, W), as torchvision's `make_grid` has them with `scale_each`.
    """
    colour = images[:, :3].astype(np.float64)
    low, high = (end(colour, axis=(1, 2, 3), keepdims=True) for end in (np.min, np.max))
    scaled = ((colour - low) * (255 / np.maximum(high - low, 1))).round().astype(np.uint8)
    return np.concatenate([scaled, images[:, 3:]], axis=1)


def as_text(images: Pixels, columns: int = 100) -> str:
    """Images side by side in letters, light on dark, made smaller to fit into so many columns."""
    count, width = images.shape[0], images.shape[3]
    factor = max(1, -(-(width + 2) * count // columns))
    tiles = [
        np.asarray(to_pillow(image).convert("RGB").convert("L").reduce((factor, 2 * factor)))
        for image in images  # a letter is twice as tall as wide
    ]
    rows = np.stack(tiles, axis=1) // (256 // len(_SHADES))
    return "\n".join("  ".join("".join(_SHADES[v] for v in tile) for tile in row) for row in rows)


_SHADES = " .-+*#%@"


def to_pillow(image: Pixels, scale: int = 1) -> Image.Image:
    """(C, H, W) -> a Pillow picture, each pixel enlarged to scale x scale."""
    pixels = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if scale == 1:
        return picture
    size = (picture.width * scale, picture.height * scale)
    return picture.resize(size, Image.Resampling.NEAREST)


def scale_for(height: int) -> int:
    """Whole-number enlargement that makes a sheet of this height about 300 pixels tall."""
    return max(1, round(300 / height))


def write_png(path: Path, image: Pixels, scale: int = 1) -> None:
    """Write (C, H, W) as PNG."""
    write_picture(path, to_pillow(image, scale))


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG."""
    write_file(path, png(picture))


def png(picture: Image.Image) -> bytes:
    """A picture as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def sheet_of(images: Pixels) -> Image.Image:
    """A picture of all images, in about as many rows as columns, enlarged if it is small."""
    columns = math.ceil(math.sqrt(len(images)))
    sheet = grid(images, math.ceil(len(images) / columns), columns)
    return to_pillow(sheet, scale_for(sheet.shape[1]))


def npz(made: ImageSet) -> bytes:
    """The content of an NPZ file: `images` as (N, H, W, C), or (N, H, W) if grey, and the labels.

    Labels are whole numbers: a class's name where all names are, otherwise its place.
    """
    buffer = io.BytesIO()
    images = made.images
    arrays: dict[str, Any] = {
        "images": images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)
    }
    if made.labels is not None:
        names = np.array(made.classes)
        numbers = names.astype(np.int64) if all(map(str.isdecimal, made.classes)) else None
        arrays["labels"] = made.labels if numbers is None else numbers[made.labels]
        arrays["classes"] = names
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_png(path: Path) -> Image.Image:
    with Image.open(path, formats=("PNG",)) as picture:
        picture.load()
        return picture


def write_gif(path: Path, frames: Sequence[Image.Image], milliseconds: int, hold: int = 0) -> None:
    """Write an endless GIF; the last frame stays `hold` milliseconds longer."""
    write_file(path, gif(frames, milliseconds, hold))


def gif(frames: Sequence[Image.Image], milliseconds: int, hold: int = 0) -> bytes:
    """The content of an endless GIF; the last frame stays `hold` milliseconds longer."""
    buffer = io.BytesIO()
    durations = [milliseconds] * len(frames)
    durations[-1] += hold
    first, *rest = [
        frame.convert("RGB").quantize(128) if frame.mode != "L" else frame for frame in frames
    ]
    options: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": durations}
    first.save(buffer, "GIF", loop=0, **options)
    return buffer.getvalue()


def gif_of_walk(frames: Pixels) -> bytes:
    """A walk through latent space, (N, C, H, W), as the content of a GIF file."""
    scale = scale_for(frames.shape[2])
    return gif([to_pillow(frame, scale) for frame in frames], 80)
