"""uint8 to float and back, grids, PNG and GIF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.images import (
    as_text,
    grid,
    read_png,
    scale_for,
    stretched,
    to_float,
    to_pillow,
    to_uint8,
    write_gif,
    write_png,
)
from ganvas.pixels import ImageSet, Pixels

LEVELS = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)


def random_images(num: int, channels: int, height: int = 5, width: int = 3) -> Pixels:
    rng = np.random.default_rng(channels)
    return rng.integers(0, 256, (num, channels, height, width), dtype=np.uint8)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0)])
def test_all_grey_levels_survive_the_way_to_floats_and_back(low: float, high: float) -> None:
    floats = to_float(torch.from_numpy(LEVELS), low, high)
    assert floats.dtype == torch.float32
    assert (floats.min().item(), floats.max().item()) == (low, high)
    assert np.array_equal(to_uint8(floats, low, high), LEVELS)


def test_floats_are_the_published_scalings() -> None:
    pixels = LEVELS.astype(np.float64)
    made = to_float(torch.from_numpy(LEVELS), -1.0, 1.0).double().numpy()
    np.testing.assert_allclose(made, (pixels - 127.5) / 127.5, atol=1e-7)
    made = to_float(torch.from_numpy(LEVELS), 0.0, 1.0).double().numpy()
    np.testing.assert_allclose(made, pixels / 255, atol=1e-7)


def test_floats_are_rounded_to_nearest_and_clipped() -> None:
    floats = torch.tensor([-9.0, -1.0, -1 + 0.6 / 127.5, -1 + 0.4 / 127.5, 0.999, 1.0, 9.0])
    assert to_uint8(floats, -1.0, 1.0).tolist() == [0, 0, 1, 0, 255, 255, 255]


def test_to_float_leaves_its_input_alone() -> None:
    images = torch.from_numpy(LEVELS.copy())
    to_float(images, -1.0, 1.0)
    assert np.array_equal(images.numpy(), LEVELS)


def test_an_image_set_knows_its_shape() -> None:
    images = ImageSet(random_images(7, 3))
    assert images.shape == (3, 5, 3)
    assert len(images) == 7


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_lays_images_out_row_by_row(channels: int) -> None:
    images = random_images(6, channels)
    sheet = grid(images, 2, 3)
    assert sheet.shape == (channels, 2 + 2 * (5 + 2), 2 + 3 * (3 + 2))
    covered = np.zeros(sheet.shape[1:], bool)
    for i, image in enumerate(images):
        top, left = 2 + 7 * (i // 3), 2 + 5 * (i % 3)
        assert np.array_equal(sheet[:, top : top + 5, left : left + 3], image)
        covered[top : top + 5, left : left + 3] = True
    assert (sheet[:, ~covered] == 128).all()
    assert covered.sum() == 6 * 15


def test_grid_leaves_empty_places_grey_and_drops_what_is_too_much() -> None:
    images = random_images(3, 1)
    assert (grid(images, 2, 2)[0, 9:14, 7:10] == 128).all()
    assert np.array_equal(grid(images, 1, 2), grid(images[:2], 1, 2))


def test_grid_of_rgba_has_opaque_gaps() -> None:
    sheet = grid(np.zeros((1, 4, 2, 2), np.uint8), 1, 1)
    assert (sheet[3, 0] == 255).all()
    assert (sheet[3, 2:4, 2:4] == 0).all()


@pytest.mark.parametrize("height", [1, 28, 62, 150, 300, 4000])
def test_sheets_are_enlarged_to_about_300_pixels(height: int) -> None:
    scale = scale_for(height)
    assert scale >= 1
    assert scale == 1 or 200 <= scale * height <= 450


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("scale", [1, 3])
def test_png_reads_back_exactly(channels: int, mode: str, scale: int, tmp_path: Path) -> None:
    image = random_images(1, channels)[0]
    write_png(tmp_path / "new" / "x.png", image, scale)
    picture = read_png(tmp_path / "new" / "x.png")
    assert picture.mode == mode
    assert picture.size == (3 * scale, 5 * scale)
    pixels = np.asarray(picture).reshape(5 * scale, 3 * scale, channels)
    expected = np.repeat(np.repeat(np.moveaxis(image, 0, -1), scale, 0), scale, 1)
    assert np.array_equal(pixels, expected)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.png"]


def gif_frames(path: Path) -> tuple[list[Pixels], list[int], int]:
    with Image.open(path) as picture:
        frames, durations = [], []
        for i in range(getattr(picture, "n_frames", 1)):
            picture.seek(i)
            durations.append(int(picture.info["duration"]))
            frames.append(np.asarray(picture.convert("RGB")))
        return frames, durations, int(picture.info["loop"])


def test_grey_gif_reads_back_exactly(tmp_path: Path) -> None:
    images = random_images(4, 1)
    write_gif(tmp_path / "x.gif", [to_pillow(image, 2) for image in images], 150, hold=1000)
    frames, durations, loop = gif_frames(tmp_path / "x.gif")
    assert durations == [150, 150, 150, 1150]
    assert loop == 0
    for frame, image in zip(frames, images, strict=True):
        expected = np.repeat(np.repeat(image[0], 2, 0), 2, 1)
        assert np.array_equal(frame, np.stack([expected] * 3, -1))


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_gif_reads_back_nearly(channels: int, tmp_path: Path) -> None:
    images = random_images(3, channels)
    images[:, 3:] = 255
    write_gif(tmp_path / "x.gif", [to_pillow(image) for image in images], 80)
    frames, durations, _ = gif_frames(tmp_path / "x.gif")
    assert durations == [80, 80, 80]
    for frame, image in zip(frames, images, strict=True):
        off = np.abs(frame.astype(int) - np.moveaxis(image[:3], 0, -1).astype(int))
        assert off.mean() < 8  # 128 colours


def test_a_gif_of_one_frame(tmp_path: Path) -> None:
    write_gif(tmp_path / "x.gif", [to_pillow(random_images(1, 1)[0])], 100)
    assert len(gif_frames(tmp_path / "x.gif")[0]) == 1


def test_stretched_spreads_each_image_on_its_own() -> None:
    images = np.array([[[[10, 20], [30, 60]]], [[[7, 7], [7, 7]]]], dtype=np.uint8)
    expected = np.array([[[[0, 51], [102, 255]]], [[[0, 0], [0, 0]]]], dtype=np.uint8)
    assert np.array_equal(stretched(images), expected)


def test_stretched_takes_colours_together_and_leaves_alpha() -> None:
    image = np.zeros((1, 4, 1, 2), np.uint8)
    image[0, :, 0, 0], image[0, :, 0, 1] = (100, 0, 0, 9), (0, 0, 40, 200)
    assert stretched(image)[0, :, 0].T.tolist() == [[255, 0, 0, 9], [0, 0, 102, 200]]


def test_images_as_text() -> None:
    """A letter is the mean of two rows; images that do not fit are made smaller."""
    images = np.zeros((2, 1, 4, 4), np.uint8)
    images[0, 0, :2], images[1, 0, 2:, 2:] = 255, 255
    images[1, 0, 0, 0] = 255
    assert as_text(images) == "@@@@  *   \n        @@"
    assert as_text(images, columns=8) == "**  .*"
