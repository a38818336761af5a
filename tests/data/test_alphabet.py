from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from ganvas.data import alphabet
from ganvas.data.alphabet import LETTERS, TYPEFACES, Alphabet


def small(**settings) -> Alphabet:
    return Alphabet(**{"size": 16, "num_images": 260, **settings})


def cached(cache: Path, suffix: str) -> list[Path]:
    return sorted((cache / "alphabet").glob(f"train*{suffix}"))


def test_letters(cache: Path) -> None:
    raw = small().load("train", None)
    assert raw.images.shape == (260, 1, 16, 16) and raw.images.dtype == np.uint8
    assert np.bincount(raw.labels).tolist() == [10] * 26 and raw.classes == tuple(LETTERS)
    assert (raw.images.max((1, 2, 3)) > 60).all()  # every image shows something
    assert 0.05 < raw.images.mean() / 255 < 0.2
    assert len(np.unique(raw.images.reshape(260, -1), axis=0)) == 260

    test = small().load("test", None)
    assert len(test.images) == 26
    assert not (test.images == raw.images[:26]).all((1, 2, 3)).any()


def test_letters_are_whole() -> None:
    images = alphabet.draw(32, 520, (0, 0))
    edges = np.concatenate([images[:, 0, [0, -1]], images[:, 0, :, [0, -1]].swapaxes(0, 1)], 1)
    assert (edges > 128).any((1, 2)).mean() < 0.01


def test_every_typeface_has_26_letters() -> None:
    for face in TYPEFACES:
        masters = [np.asarray(alphabet._master(face, letter, 56)) for letter in LETTERS]
        assert all(master.max() == 255 for master in masters)
        assert len({master.tobytes() for master in masters}) == 26
        drawn = np.stack(masters) > 128
        # middle of the ink in the middle of the square, and its farthest point inside it
        for ink in drawn:
            rows, columns = np.nonzero(ink)
            assert abs(rows.min() + rows.max() - 55) <= 3
            assert abs(columns.min() + columns.max() - 55) <= 3


def test_same_seed_same_bytes(cache: Path) -> None:
    first = small().load("train", None).images
    for path in (cache / "alphabet").iterdir():
        path.unlink()
    assert (small().load("train", None).images == first).all()
    assert not (small(seed=1).load("train", None).images == first).all()


def test_drawn_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = small().load("train", None).images
    monkeypatch.setattr(alphabet, "draw", None)
    assert (small().load("train", None).images == first).all()
    (record,) = cached(cache, ".json")
    assert json.loads(record.read_text())["num_images"] == 260


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}"])
def test_redrawn_if_the_cache_does_not_match(
    cache: Path, suffix: str, content: bytes | None
) -> None:
    first = small().load("train", None).images
    (path,) = cached(cache, suffix)
    good = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert (small().load("train", None).images == first).all()
    assert path.read_bytes() == good


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (260, 28, 28), None])
def test_redrawn_if_what_was_kept_is_something_else(
    cache: Path, shape: tuple[int, ...] | None
) -> None:
    """A record that fits its file, which is no drawing of letters."""
    first = small().load("train", None).images
    (path,), (record,) = cached(cache, ".npy"), cached(cache, ".json")
    if shape is None:
        path.write_bytes(b"\x93NUMPY\x01\x00\x50\x00" + b"(" * 80)
    else:
        np.save(path, np.zeros(shape, np.uint8))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record.write_text(json.dumps(json.loads(record.read_text()) | {"sha256": digest}))
    assert (small().load("train", None).images == first).all()


def test_cache_that_cannot_be_written(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="the drawing is not kept"):
        assert len(small().load("train", None).images) == 260


def test_symbol_fonts_are_left_out() -> None:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    assert all(ImageFont.truetype(folder / f"{face}.ttf").getbbox("A") for face in TYPEFACES)
    assert not {"cmsy10", "cmex10", "STIXNonUni", "DejaVuSansDisplay"} & set(TYPEFACES)
