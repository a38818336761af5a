"""What is told to open pages, when, and to how many."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ganvas.studio import library, live
from ganvas.studio.library import Library
from ganvas.studio.live import Full, Hub


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "FRESH", 0.0)
    monkeypatch.setattr(live, "EVERY", 0.01)


async def told(stream: AsyncIterator[str]) -> Any:
    """The data of the next event."""
    text = await asyncio.wait_for(anext(stream), 5)
    return json.loads(text.partition("data: ")[2])


def test_changes_are_told_to_all(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    async def scene() -> None:
        hub = Hub(Library(tmp_path))
        streams = [hub.listen() for _ in range(3)]
        for stream in streams:
            await told(stream)
        run = make_run("a", log=[])
        for stream in streams:
            news = await told(stream)
            assert ([one["id"] for one in news["changed"]], news["gone"]) == (["a"], [])
        run.rename(tmp_path / "b")
        news = await told(streams[0])
        assert ([one["id"] for one in news["changed"]], news["gone"]) == (["b"], ["a"])
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]
        assert not hub._listeners

    asyncio.run(scene())


def test_no_more_than_so_many_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST", 2)

    async def scene() -> None:
        hub = Hub(Library(tmp_path))
        streams = [hub.listen() for _ in range(2)]
        for stream in streams:
            await told(stream)
        with pytest.raises(Full):
            hub.listen()
        await streams[0].aclose()  # type: ignore[attr-defined]
        streams[0] = hub.listen()  # there is room again
        await told(streams[0])
        hub.close()
        for stream in streams:
            assert [one async for one in stream] == []

    asyncio.run(scene())


def test_a_page_hears_that_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ALIVE", 0.01)

    async def scene() -> None:
        stream = Hub(Library(tmp_path)).listen()
        await told(stream)
        assert (await anext(stream)).startswith(":")
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(scene())
