from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.data import pictures
from ganvas.errors import UsageError


def test_flat_folder_is_in_natural_order(tmp_path: Path, picture) -> None:
    for i in (10, 2, 1):
        picture(f"{i}.png", colour=i)
    picture(".hidden.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = pictures.read_pictures(tmp_path)
    assert found.files == ["1.png", "2.png", "10.png"]
    assert [image[0, 0, 0] for image in found.images] == [1, 2, 10]
    assert found.images[0].shape == (1, 5, 6) and found.images[0].dtype == np.uint8
    assert found.labels is None and found.classes == ()


def test_class_folders(tmp_path: Path, picture) -> None:
    for file in ("class10/a.png", "class2/b.png", "class2/c.jpg", ".git/x.png", "stray.png"):
        picture(file)
    (tmp_path / "empty").mkdir()
    found = pictures.read_pictures(tmp_path)
    assert found.classes == ("class2", "class10")
    assert found.files == [str(Path(f)) for f in ("class2/b.png", "class2/c.jpg", "class10/a.png")]
    assert found.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "bmp", "gif", "PNG"])
def test_suffixes(tmp_path: Path, picture, suffix: str) -> None:
    picture(f"a.{suffix}", "RGB", (200, 100, 50), size=(16, 16))
    (image,) = pictures.read_pictures(tmp_path).images
    assert image.shape == (3, 16, 16)
    assert np.abs(image.mean((1, 2)) - (200, 100, 50)).max() < 6  # JPEG and WebP are lossy


@pytest.mark.parametrize(
    ("mode", "colour", "file", "expected"),
    [
        ("1", 1, "a.png", [255]),
        ("L", 7, "a.png", [7]),
        ("L", 7, "a.gif", [7]),  # stored as a palette
        ("LA", (100, 51), "a.png", [100, 100, 100, 51]),
        ("RGB", (1, 2, 3), "a.png", [1, 2, 3]),
        ("RGBA", (1, 2, 3, 4), "a.png", [1, 2, 3, 4]),
        ("I;16", 257 * 90, "a.png", [90]),
        ("I;16", 65535, "a.png", [255]),
        ("CMYK", (0, 0, 0, 0), "a.jpg", [255, 255, 255]),
    ],
)
def test_modes(tmp_path: Path, picture, mode: str, colour, file: str, expected: list[int]) -> None:
    picture(file, mode, colour)
    (image,) = pictures.read_pictures(tmp_path).images
    assert image[:, 0, 0].tolist() == expected and (image == image[:, :1, :1]).all()


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", transparency=bytes([0, 128]))
    assert pictures.read_pictures(tmp_path).images[0][:, 0, 0].tolist() == [10, 20, 30, 128]


def test_alpha_is_kept_only_if_every_picture_has_it(tmp_path: Path, picture) -> None:
    picture("a.png", "RGBA", (200, 100, 50, 128))
    picture("b.png", "LA", (80, 0))
    found = pictures.read_pictures(tmp_path)
    assert [image[:, 0, 0].tolist() for image in found.images] == [
        [200, 100, 50, 128],
        [80, 80, 80, 0],
    ]
    assert found.channels == [4, 2]

    picture("c.png", "L", 9)
    found = pictures.read_pictures(tmp_path)
    assert [image[:, 0, 0].tolist() for image in found.images] == [
        [100, 50, 25],
        [0, 0, 0],
        [9, 9, 9],
    ]

    (tmp_path / "a.png").unlink()
    assert [len(image) for image in pictures.read_pictures(tmp_path).images] == [1, 1]


def test_first_frame_of_a_gif(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pictures.read_pictures(tmp_path).images[0][:, 0, 0].tolist() == [10]


def test_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    Image.new("L", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    assert pictures.read_pictures(tmp_path).images[0].shape == (1, 20, 10)


def bomb() -> bytes:
    """A PNG that claims 50,000 x 50,000 pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_broken_pictures_are_listed(tmp_path: Path, picture) -> None:
    whole = picture("whole.png", size=(64, 64))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    Image.fromarray(noise).save(tmp_path / "cut.png")
    for name in ("cut.jpg", "cut.png"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.gif").touch()
    (tmp_path / "text.bmp").write_text("this is text")
    (tmp_path / "bomb.png").write_bytes(bomb())
    found = pictures.read_pictures(tmp_path)
    assert found.files == [whole.name] and len(found.images) == 1
    reasons = {one.file: one.reason for one in found.broken}
    assert reasons["cut.jpg"] == reasons["cut.png"] == "truncated"
    assert reasons["empty.gif"] == "empty file" and reasons["text.bmp"] == "not a picture"
    assert "over 64,000,000 pixels" in reasons["bomb.png"]


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def refuse_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_pixels", lambda picture: pytest.fail("it was decoded"))


def test_a_header_that_claims_more_than_its_file_can_hold_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = png(8_000, 8_000, 16, 0, b"")
    assert len(content) < 70
    (tmp_path / "small.png").write_bytes(content)
    refuse_to_decode(monkeypatch)
    found = pictures.read_pictures(tmp_path)
    assert found.broken == [
        pictures.Broken("small.png", f"8000x8000 pixels in {len(content)} bytes")
    ]


def test_large_pictures_of_one_colour_are_pictures(tmp_path: Path) -> None:
    """The most that a PNG can hold in its bytes."""
    (tmp_path / "a.png").write_bytes(png(4_096, 4_096, 1, 0, bytes(4_096 * 513)))
    Image.new("L", (1_000, 1_000), 9).save(tmp_path / "b.webp", lossless=True)
    found = pictures.read_pictures(tmp_path)
    assert not found.broken and [image.shape[1] for image in found.images] == [4_096, 1_000]


def test_the_sum_is_looked_at_before_each_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture
) -> None:
    for i in range(10):
        picture(f"{i}.png", "RGB", size=(10, 10))
    decoded = []
    original = pictures._pixels
    monkeypatch.setattr(
        pictures, "_pixels", lambda one: decoded.append(one.filename) or original(one)
    )
    monkeypatch.setattr(pictures, "MAX_BYTES", 3 * 300)
    with pytest.raises(UsageError, match="GiB in memory"):
        pictures.read_pictures(tmp_path)
    assert len(decoded) == 3


def test_what_a_picture_takes_is_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture
) -> None:
    """A grey GIF has a palette, so that it might be RGB; a broken picture takes nothing."""
    for i in range(5):
        picture(f"{i}.gif", "L", 7, size=(10, 10))
        content = picture(f"{i}.png", "RGB", size=(10, 10)).read_bytes()
        (tmp_path / f"{i}.png").write_bytes(content[:40] + b"x" + content[41:])
    monkeypatch.setattr(pictures, "MAX_BYTES", 4 * 100 + 300)
    found = pictures.read_pictures(tmp_path)
    assert len(found.images) == 5 and len(found.broken) == 5
    monkeypatch.setattr(pictures, "MAX_BYTES", 4 * 100 + 299)
    with pytest.raises(UsageError):
        pictures.read_pictures(tmp_path)


# What is passed over


def test_pictures_that_are_passed_over_are_said(tmp_path: Path, picture) -> None:
    for file in ("a/1.png", "b/2.png", "stray.png", "a/deeper/3.png", "b/x/y/4.png", ".git/5.png"):
        picture(file)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("")
    found = pictures.read_pictures(tmp_path)
    assert found.classes == ("a", "b") and len(found.images) == 2
    assert found.remarks == (
        f"3 pictures below '{tmp_path}' passed over, such as 'stray.png': only those directly in "
        "its class folders count",
        f"no pictures in 'empty', 'notes' of '{tmp_path}'",
    )


def test_nothing_is_said_where_all_pictures_count(tmp_path: Path, picture) -> None:
    picture("a/1.png")
    picture("b/2.png")
    assert pictures.read_pictures(tmp_path).remarks == ()
    assert pictures.read_pictures(tmp_path / "a").remarks == ()


def test_pictures_in_deeper_folders_only_are_named(tmp_path: Path, picture) -> None:
    picture("x/y/1.png")
    with pytest.raises(UsageError, match=r"holds no pictures; .*; 1 picture .*'x.y.1.png'"):
        pictures.read_pictures(tmp_path)


def test_folders_beside_train_and_test_are_said(tmp_path: Path, picture) -> None:
    from ganvas.data.datasets import Folder

    for file in ("train/a/1.png", "train/b/2.png", "test/a/3.png", "val/a/4.png", "5.png"):
        picture(file)
    remarks = Folder(path=str(tmp_path)).load("train", None).remarks
    assert remarks == (
        f"2 pictures below '{tmp_path}' passed over, such as '5.png': only those in 'train' and in "
        "'test' count",
    )


def test_names_that_are_no_text_are_escaped(tmp_path: Path, picture) -> None:
    picture("cl\udcffass/a\udcff.png")
    picture("\x1b[2J/b.png")
    found = pictures.read_pictures(tmp_path)
    assert found.classes == (r"\x1b[2J", r"cl\xffass")
    assert found.files[1] == str(Path(r"cl\xffass", r"a\xff.png"))


def test_training_and_inspecting_say_what_is_passed_over(
    tmp_path: Path, picture, cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(16):
        picture(f"pictures/a/{i}.png", colour=i, size=(28, 28))
    picture("pictures/stray.png")
    for command in (
        ("data", "inspect", tmp_path / "pictures"),
        ("train", "--data", tmp_path / "pictures", "--images", 16, "--batch-size", 16),
    ):
        result = cli(*command)
        assert result.code == 0, result.err
        assert "warning: 1 picture below" in " ".join(result.out.split())


def test_many_large_pictures_are_read_in_threads(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 100, 100, 3), np.uint8)
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    found = pictures.read_pictures(tmp_path)
    assert (np.stack(found.images) == noise.transpose(0, 3, 1, 2)).all()


def test_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture) -> None:
    with pytest.raises(UsageError, match="no-such-folder' does not exist"):
        pictures.read_pictures(tmp_path / "no-such-folder")
    with pytest.raises(UsageError, match="holds no pictures; looked for .bmp"):
        pictures.read_pictures(tmp_path)
    picture("a.png")
    monkeypatch.setattr(pictures, "MAX_BYTES", 29)
    with pytest.raises(UsageError, match="GiB in memory"):
        pictures.read_pictures(tmp_path)
