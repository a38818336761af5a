"""What is new, told to every open page: one look at the folder for all of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool

from ganvas.studio.asking import finite
from ganvas.studio.library import Library

EVERY: Final = 1.0
"""Seconds between two looks while somebody listens."""
SHARE: Final = 0.04
"""Of the time that looking may take: of a thousand runs less often."""
ALIVE: Final = 15.0
"""Seconds after which a page hears that all is well, so that dead connections are noticed."""
MOST: Final = 64
"""Pages that may listen at once."""


class Full(Exception):
    """As many pages listen as may."""


class Hub:
    """Looks for changes while anybody listens, and tells them what changed."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._closed = False
        self._listeners: set[asyncio.Event] = set()
        self._watching: asyncio.Task[None] | None = None

    def listen(self) -> AsyncIterator[str]:
        """Server-sent events: `runs` with the runs that changed and the names of those gone.

        Raises:
            Full: there are MOST listeners already.
        """
        if len(self._listeners) >= MOST:
            raise Full
        return self._told()

    def close(self) -> None:
        """End all streams: the server is about to stop."""
        self._closed = True
        for news in list(self._listeners):
            news.set()

    async def _told(self) -> AsyncIterator[str]:
        news = asyncio.Event()
        seen = self.library.version
        self._listeners.add(news)  # here, for a stream that is never begun is never ended
        try:
            if self._watching is None or self._watching.done():
                self._watching = asyncio.create_task(self._watch())
            yield f"retry: 2000\nevent: hello\ndata: {seen}\n\n"
            while not self._closed:
                try:
                    async with asyncio.timeout(ALIVE):
                        await news.wait()
                except TimeoutError:
                    yield ": all is well\n\n"
                    continue
                if self._closed:
                    return
                news.clear()
                version = self.library.version
                changed, gone = self.library.changed(seen)
                seen = version
                data = finite({"changed": [entry.summary for entry in changed], "gone": gone})
                yield f"event: runs\ndata: {json.dumps(data)}\n\n"
        finally:
            self._listeners.discard(news)

    async def _watch(self) -> None:
        known = self.library.version
        while self._listeners and not self._closed:
            began = time.monotonic()
            await run_in_threadpool(self.library.refresh)
            took = time.monotonic() - began
            if self.library.version != known:
                known = self.library.version
                for news in self._listeners:
                    news.set()
            await asyncio.sleep(max(EVERY, took / SHARE))
