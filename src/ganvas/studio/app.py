"""The application: the API, the page's own files, and the guard before both."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ganvas.studio.api import Api
from ganvas.studio.guard import Guard, refused
from ganvas.studio.live import Hub

KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


def build(hub: Hub, token: str, host: str = "127.0.0.1") -> ASGIApp:
    """The application for the runs of a hub's library."""
    api = Api(hub)
    files = static_files()

    async def static(request: Request) -> Response:
        name = request.path_params.get("name") or "index.html"
        if name not in files:
            return refused(404, "there is no such page")
        content, kind = files[name]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    async def missing(request: Request, error: Exception) -> Response:
        return refused(404, "there is no such address; docs/api.md lists them")

    async def wrong_method(request: Request, error: Exception) -> Response:
        return refused(405, "this address does not take that method")

    async def failed(request: Request, error: Exception) -> Response:
        return refused(500, f"unexpected {type(error).__name__}")

    app = Starlette(
        routes=[
            *api.routes(),
            Route("/", static, methods=["GET"]),
            Route("/static/{name:path}", static, methods=["GET"]),
        ],
        exception_handlers={404: missing, 405: wrong_method, Exception: failed},
    )
    return Guard(app, token, host)


def static_files() -> dict[str, tuple[bytes, str]]:
    """The page's own files, by name; nothing else is ever served as one."""
    folder = resources.files("ganvas.studio") / "static"
    found = {}
    for place, prefix in ((folder, ""), (folder / "vendor", "vendor/")):
        for file in place.iterdir():
            if file.is_file() and (kind := KINDS.get(Path(file.name).suffix)):
                found[prefix + file.name] = file.read_bytes(), kind
    return found
