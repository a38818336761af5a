"""The HTTP API: each handler reads what is asked, asks the library or the playroom, answers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from ganvas import pretrained
from ganvas.errors import UsageError
from ganvas.studio import reading
from ganvas.studio.answering import FORMS, Handler, Turns, answered, as_file
from ganvas.studio.asking import Json, body, decimal, vectors, whole
from ganvas.studio.library import Entry, Unknown
from ganvas.studio.live import Hub

MOST_IMAGES: Final = 256
"""Images that are drawn for one request."""
MOST_LATENTS: Final = 64
"""Latents that a request may bring."""
MOST_FRAMES: Final = 240
"""Frames of an animation."""
MOST_COMPARED: Final = 64
"""Runs that are compared."""
PRETRAINED: Final = "pretrained."
"""What the ids of the package's own generators begin with."""
SEEDS: Final = 2**32 - 1
DETAILS_KEPT: Final = 64
"""Runs whose description is kept until they change."""


class Api:
    """The routes below /api/."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.library = hub.library
        self._turns = Turns()
        self._reading = anyio.Lock()
        self._details: dict[str, tuple[int, Response]] = {}

    @functools.cached_property
    def playroom(self) -> Any:
        from ganvas.studio.playing import Playroom  # loads torch: only for those who play

        return Playroom()

    def routes(self) -> list[Route]:
        run, generator = "/api/runs/{run}", "/api/generators/{generator}"
        paths: dict[str, tuple[Handler, str]] = {
            "/api/runs": (self.runs, "GET"),
            run: (self.run, "GET"),
            f"{run}/log": (self.log, "GET"),
            f"{run}/metrics": (self.metrics, "GET"),
            f"{run}/sheets": (self.sheets, "GET"),
            f"{run}/sheets/{{file}}": (self.sheet, "GET"),
            f"{run}/files/{{file:path}}": (self.file, "GET"),
            "/api/compare": (self.compare, "GET"),
            "/api/events": (self.events, "GET"),
            "/api/generators": (self.generators, "GET"),
            generator: (self.facts, "GET"),
            f"{generator}/latents": (self.latents, "GET"),
            f"{generator}/samples.{{form}}": (self.samples, "GET"),
            f"{generator}/walk.gif": (self.walk, "GET"),
            f"{generator}/draw": (self.draw, "POST"),
            f"{generator}/way.gif": (self.way, "POST"),
            f"{generator}/nearest": (self.nearest, "POST"),
        }
        return [
            Route(path, answered(handler), methods=[method])
            for path, (handler, method) in paths.items()
        ]

    # Runs

    async def runs(self, request: Request) -> Response:
        entries = await run_in_threadpool(self.library.entries)
        return Json(
            {
                "folder": str(self.library.root),
                "complete": self.library.complete,
                "runs": [entry.summary for entry in entries],
            }
        )

    async def run(self, request: Request) -> Response:
        entry = await self._entry(request)
        async with self._reading:  # of many pages on one run, one reads for all
            known = self._details.get(entry.id)
            if known is None or known[0] != entry.version:
                while len(self._details) >= DETAILS_KEPT:
                    del self._details[next(iter(self._details))]
                known = entry.version, await run_in_threadpool(self._detail, entry)
                self._details[entry.id] = known
        return known[1]

    def _detail(self, entry: Entry) -> Response:
        detail = reading.detail(entry.folder)
        for kind, place in (("files", ""), ("sheets", "samples/")):
            detail[kind] = [
                one for one in detail[kind] if self._holds(entry, f"{place}{one['file']}")
            ]
        return Json({"summary": entry.summary, **detail})

    async def log(self, request: Request) -> Response:
        entry = await self._entry(request)
        offset = whole(request.query_params, "offset", 0, 0, 2**53)
        points = whole(request.query_params, "points", reading.LONGEST, 2, reading.LONGEST)
        return Json(await run_in_threadpool(reading.log, entry.folder, offset, points))

    async def metrics(self, request: Request) -> Response:
        entry = await self._entry(request)
        return Json({"metrics": await run_in_threadpool(reading.metrics, entry.folder)})

    async def sheets(self, request: Request) -> Response:
        entry = await self._entry(request)
        return Json({"sheets": await run_in_threadpool(reading.sheets, entry.folder)})

    async def sheet(self, request: Request) -> Response:
        entry = await self._entry(request)
        return self._sent(request, entry, "samples", request.path_params["file"], ".png")

    async def file(self, request: Request) -> Response:
        entry = await self._entry(request)
        name = request.path_params["file"]
        offered = await run_in_threadpool(reading.files, entry.folder)
        if name not in {one["file"] for one in offered}:
            raise Unknown("there is no such file")
        folder, _, last = name.rpartition("/")
        return self._sent(request, entry, folder, last, "")

    def _sent(
        self, request: Request, entry: Entry, folder: str, name: str, ending: str
    ) -> Response:
        """A file of a run, if it is one of those in its folder and no link that leads out."""
        place = entry.folder.path / folder
        path = place / name
        is_plain = name == Path(name).name and name not in (".", "..") and "\0" not in name
        if not is_plain or not name.endswith(ending) or name.startswith("."):
            raise Unknown("there is no such file")
        if not path.is_file() or not self.library.holds(path):
            raise Unknown("there is no such file")
        kinds = {".png": "image/png", ".gif": "image/gif"}
        kind = kinds.get(path.suffix)
        # what a run wrote is never shown as a page, whatever it is
        headers = {"Cache-Control": "private, max-age=3600" if ending else "no-cache"}
        response = FileResponse(
            path,
            stat_result=path.stat(),
            headers=headers,
            media_type=kind or "application/octet-stream",
        )
        if kind is None:
            response.headers["Content-Disposition"] = "attachment"
        if request.headers.get("if-none-match") == response.headers.get("etag", ""):
            return Response(status_code=304)
        return response

    def _holds(self, entry: Entry, name: str) -> bool:
        return self.library.holds(entry.folder.path / name)

    async def _entry(self, request: Request) -> Entry:
        return await run_in_threadpool(self.library.entry, request.path_params["run"])

    async def compare(self, request: Request) -> Response:
        names = request.query_params.getlist("run")
        if not 1 <= len(names) <= MOST_COMPARED:
            raise UsageError(f"run: found {len(names)} runs; allowed: 1 to {MOST_COMPARED}")
        entries = [
            await run_in_threadpool(self.library.entry, name) for name in dict.fromkeys(names)
        ]
        async with self._turns:
            return Json(await run_in_threadpool(_compared, entries))

    async def events(self, request: Request) -> Response:
        told = self.hub.listen()
        return StreamingResponse(told, media_type="text/event-stream")

    # Generators

    async def generators(self, request: Request) -> Response:
        entries = await run_in_threadpool(self.library.entries)
        saved = await run_in_threadpool(self.library.saved_generators)
        found = [
            {
                "id": entry.id,
                "name": entry.summary["name"],
                "kind": "run",
                "path": str(entry.folder.path),
            }
            for entry in entries
            if (entry.folder.generator / "model.safetensors").is_file()
        ]
        found += [
            {"id": f"{PRETRAINED}{name}", "name": name, "kind": "pretrained", "path": name}
            for name in pretrained.names()
        ]
        found += [
            {"id": id, "name": id.replace("~", "/"), "kind": "saved", "path": str(path)}
            for id, path in saved.items()
        ]
        return Json({"generators": found})

    async def facts(self, request: Request) -> Response:
        source = await self._source(request, request.query_params)
        return Json(await self._drawn("facts", source))

    async def latents(self, request: Request) -> Response:
        given = request.query_params
        source = await self._source(request, given)
        num = whole(given, "num", 16, 1, MOST_IMAGES)
        seed = whole(given, "seed", 0, 0, SEEDS)
        return Json(await self._drawn("latents", source, num, seed, _truncation(given)))

    async def samples(self, request: Request) -> Response:
        given = request.query_params
        form = request.path_params["form"]
        if form not in FORMS:
            raise Unknown(f"samples.{form:.20}: allowed are {', '.join(FORMS)}")
        source = await self._source(request, given)
        num = whole(given, "num", 25, 1, MOST_IMAGES)
        seed = whole(given, "seed", 0, 0, SEEDS)
        made = await self._drawn("sample", source, num, seed, _label(given), _truncation(given))
        if form == "npz":
            return as_file("npz", made, f"samples-seed{seed}")
        return as_file(form, made.images, f"samples-seed{seed}")

    async def walk(self, request: Request) -> Response:
        given = request.query_params
        source = await self._source(request, given)
        seed = whole(given, "seed", 0, 0, SEEDS)
        frames = await self._drawn("walk", source, seed, _label(given), _truncation(given))
        return as_file("walk", frames, f"walk-seed{seed}")

    async def draw(self, request: Request) -> Response:
        given = await body(request)
        source = await self._source(request, given)
        z, labels = await self._latents(source, given)
        return as_file("bin", await self._drawn("draw", source, z, labels), "samples")

    async def way(self, request: Request) -> Response:
        given = await body(request)
        source = await self._source(request, given)
        z, labels = await self._latents(source, given)
        frames = whole(given, "frames", 60, len(z), MOST_FRAMES)
        return as_file("walk", await self._drawn("way", source, z, frames, labels), "way")

    async def nearest(self, request: Request) -> Response:
        entry = await run_in_threadpool(self.library.entry, request.path_params["generator"])
        given = await body(request)
        source = await self._source(request, given)
        z, labels = await self._latents(source, given)
        made = await self._drawn("draw", source, z[:1], labels[:1] if labels else None)
        images, distances = await self._drawn("nearest", source, entry.folder.path, made[0])
        response = as_file("bin", images, "nearest")
        response.headers["X-Distances"] = ",".join(f"{value:.4f}" for value in distances)
        return response

    async def _latents(
        self, source: Any, given: Mapping[str, Any]
    ) -> tuple[list[list[float]], list[int] | None]:
        facts = await self._drawn("facts", source)
        labels = given.get("classes")
        if labels is not None and not (
            isinstance(labels, list) and len(labels) <= MOST_LATENTS and all(map(_is_class, labels))
        ):
            raise UsageError(f"classes: allowed: a list of at most {MOST_LATENTS} class indices")
        return vectors(given, facts["dims"], MOST_LATENTS), labels

    async def _source(self, request: Request, given: Mapping[str, Any]) -> Any:
        """The weights that are asked for: `which` of a run, or a saved generator."""
        from ganvas.studio.playing import Source

        id, which = request.path_params["generator"], given.get("which", "newest")
        raw = bool(whole(given, "raw", 0, 0, 1))
        try:
            entry = await run_in_threadpool(self.library.entry, id)
        except Unknown:
            name = id.removeprefix(PRETRAINED)
            if id != name and name in pretrained.names():
                return Source(pretrained.home(name))
            saved = await run_in_threadpool(self.library.saved_generators)
            if id not in saved:
                raise Unknown("there is no such run or generator") from None
            return Source(saved[id])
        offered = [one["which"] for one in reading.generators(entry.folder)]
        if which not in offered:
            have = ", ".join(offered) or "none yet"
            raise UsageError(f"which: found {str(which)!r:.40}; allowed: {have}")
        folder = entry.folder
        base = folder.best if which == "best" else folder.generator
        if not (base / "model.safetensors").is_file():
            base = folder.best
        checkpoints = {path.name: path for path in folder.checkpoints()}
        source = Source(base, checkpoints.get(str(which)), raw)
        if not self.library.holds(source.weights) or not self.library.holds(base / "config.json"):
            raise Unknown("there is no such run or generator")
        return source

    async def _drawn(self, what: str, *arguments: Any) -> Any:
        async with self._turns:
            return await run_in_threadpool(lambda: getattr(self.playroom, what)(*arguments))


def _label(given: Mapping[str, Any]) -> str | None:
    """One class, by name or number."""
    label: str | None = given.get("class")
    if label is not None and not 1 <= len(label) <= 200:
        raise UsageError("class: allowed: the name or the number of one class")
    return label


def _truncation(given: Mapping[str, Any]) -> float:
    return decimal(given, "truncation", 1.0, 0.0, 1.0)


def _compared(entries: list[Entry]) -> dict[str, Any]:
    from ganvas.comparison.compare import compare

    found = compare([entry.folder.path for entry in entries])
    return found.as_json() | {"ids": {str(entry.folder.path): entry.id for entry in entries}}


def _is_class(value: object) -> bool:
    return type(value) is int and 0 <= value < 10**6
