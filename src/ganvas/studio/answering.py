"""How the API answers: errors as one line, pictures as files, what takes time in turns."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ganvas.errors import RunError, UsageError
from ganvas.studio.guard import TooLarge, refused
from ganvas.studio.library import Unknown
from ganvas.studio.live import Full

WAITING: Final = 24
"""Requests that may wait for their turn; more are told to come again."""

Handler = Callable[[Request], Awaitable[Response]]


def answered(handler: Handler) -> Handler:
    """Turn what goes wrong into a code and one line."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Unknown as error:
            return refused(404, error.args[0])
        except TooLarge:
            return refused(413, "the body is larger than is allowed")
        except ClientDisconnect:
            return refused(400, "the request ended before its body did")
        except UsageError as error:
            return refused(400, str(error))
        except RunError as error:
            return refused(500, str(error))
        except (Full, Busy):
            response = refused(503, "too many at once; try again in a moment")
            response.headers["Retry-After"] = "2"
            return response

    return answer


class Busy(Exception):
    """As many wait for a drawing as may."""


class Turns:
    """Turns at what takes time, one after another; Busy if too many wait for theirs."""

    def __init__(self) -> None:
        self._waiting = 0
        self._taken = anyio.Lock()

    async def __aenter__(self) -> None:
        if self._waiting >= WAITING:
            raise Busy
        self._waiting += 1
        try:
            await self._taken.acquire()
        except BaseException:
            self._waiting -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._taken.release()
        self._waiting -= 1


FORMS: Final = ("png", "npz", "bin")


def as_file(form: str, images: Any, name: str) -> Response:
    """Images as a file: uint8 (N, C, H, W), or an ImageSet for `npz`.

    `bin` are their bytes as N, H, W, C.
    """
    from ganvas import images as files

    headers = {}
    if form != "npz":
        headers["X-Shape"] = ",".join(map(str, images.shape))
    if form == "bin":
        content = images.transpose(0, 2, 3, 1).tobytes()
        return Response(content, headers=headers, media_type="application/octet-stream")
    headers["Content-Disposition"] = (
        f'inline; filename="{name}.{"gif" if form == "walk" else form}"'
    )
    if form == "png":
        return Response(files.png(files.sheet_of(images)), headers=headers, media_type="image/png")
    if form == "walk":
        return Response(files.gif_of_walk(images), headers=headers, media_type="image/gif")
    return Response(files.npz(images), headers=headers, media_type="application/octet-stream")
