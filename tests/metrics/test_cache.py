"""The cache: entries are found by their keys, damaged ones are dropped, and it can be emptied."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from ganvas.metrics import cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry(folder: Path) -> Path:
    (path,) = [path for path in folder.rglob("*") if path.is_file()]
    return path


def test_an_entry_is_found_by_its_kind_and_its_whole_key() -> None:
    cache.write(b"content\n\x00", "floors", "fd", "k=3")
    assert cache.read("floors", "fd", "k=3") == b"content\n\x00"
    assert cache.read("floors", "fd", "k=5") is None
    assert cache.read("floors", "fdk=3") is None
    assert cache.read("features", "fd", "k=3") is None


def test_arrays_and_tables() -> None:
    arrays = {"features": np.arange(6, dtype=np.float32).reshape(2, 3)}
    cache.write_arrays(arrays, "features", "x")
    found = cache.read_arrays("features", "x")
    assert found is not None and found.keys() == arrays.keys()
    assert np.array_equal(found["features"], arrays["features"])
    cache.write_json({"values": {"kl": 0.1 + 0.2}}, "floors", "x")
    assert cache.read_json("floors", "x") == {"values": {"kl": 0.1 + 0.2}}
    assert cache.read_arrays("features", "y") is None and cache.read_json("floors", "y") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:40],
        lambda content: content[:-1],
        lambda content: content[:-1] + b"\xff",
        lambda content: content + b"x",
        lambda content: content.replace(b"\n", b""),
        lambda content: b"\xff" * 200,
    ],
)
def test_a_damaged_entry_is_dropped_and_made_anew(damage: object, folder: Path) -> None:
    cache.write_json({"values": 1}, "floors", "x")
    path = entry(folder)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert cache.read_json("floors", "x") is None
    assert not path.exists()
    cache.write_json({"values": 2}, "floors", "x")
    assert cache.read_json("floors", "x") == {"values": 2}


def test_it_can_be_emptied(folder: Path) -> None:
    assert cache.clear() == 0
    cache.write(b"1234", "floors", "x")
    cache.write(b"1234", "features", "y")
    (folder / "data").mkdir()
    (folder / "data" / "mnist.gz").write_bytes(b"kept")
    assert cache.clear() == 2 * (64 + 1 + 4)
    assert cache.read("floors", "x") is None
    assert (folder / "data" / "mnist.gz").exists()


def test_a_cache_that_cannot_be_written_costs_time_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_text("a file where a folder should be")
    with pytest.warns(UserWarning, match="not kept for next time"):
        cache.write(b"x", "floors", "x")
    assert cache.read("floors", "x") is None


def test_the_source_of_a_metric_is_its_own_and_what_it_is_built_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {}
    names = ("frechet", "prdc", "kernel")
    for name in names:
        before[name] = cache.source_of(f"ganvas.metrics.{name}")
    assert len(set(before.values())) == 3
    read = Path.read_text

    def changed(self: Path, **options: str) -> str:
        return read(self, **options) + ("#" if self.name == "distances.py" else "")  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", changed)
    cache.source_of.cache_clear()
    after = {name: cache.source_of(f"ganvas.metrics.{name}") for name in names}
    cache.source_of.cache_clear()
    assert [name for name in names if before[name] != after[name]] == ["prdc"]


def test_the_source_of_a_metric_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own_metric.py"
    digests = set()
    for text in ("x = 1\n", "x = 2\n", "from ganvas.metrics.distances import nearest\n"):
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("own_metric", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "own_metric", module)
        cache.source_of.cache_clear()
        digests.add(cache.source_of("own_metric"))
    cache.source_of.cache_clear()
    assert len(digests) == 3
