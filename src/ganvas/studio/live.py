"""What is new, told to every open page: one look at the folder for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool

from ganvas.studio.asking import finite
from ganvas.studio.library import Library

EVERY: Final = 1.0
"""Seconds between two looks while somebody listens."""
ALIVE: Final = 15.0
"""Seconds after which a page hears that all is well, so that dead connections are noticed."""
MOST: Final = 64
"""Pages that may listen at once."""


class Full(Exception):
    """As many pages listen as may."""


class Hub:
    """Looks for changes while anybody listens, and tells them what changed."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._listeners: set[asyncio.Event] = set()
        self._watching: asyncio.Task[None] | None = None

    def listen(self) -> AsyncIterator[str]:
        """Server-sent events: `runs` with the runs that changed and the names of those gone.

        Raises:
            Full: there are MOST listeners already.
        """
        if len(self._listeners) >= MOST:
            raise Full
        news = asyncio.Event()
        self._listeners.add(news)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        return self._told(news)

    async def _told(self, news: asyncio.Event) -> AsyncIterator[str]:
        seen = self._library.version
        try:
            yield f"retry: 2000\nevent: hello\ndata: {seen}\n\n"
            while True:
                try:
                    async with asyncio.timeout(ALIVE):
                        await news.wait()
                except TimeoutError:
                    yield ": all is well\n\n"
                    continue
                news.clear()
                version = self._library.version
                changed, gone = self._library.changed(seen)
                seen = version
                data = finite({"changed": [entry.summary for entry in changed], "gone": gone})
                yield f"event: runs\ndata: {json.dumps(data)}\n\n"
        finally:
            self._listeners.discard(news)

    async def _watch(self) -> None:
        known = self._library.version
        while self._listeners:
            await run_in_threadpool(self._library.refresh)
            if self._library.version != known:
                known = self._library.version
                for news in self._listeners:
                    news.set()
            await asyncio.sleep(EVERY)
