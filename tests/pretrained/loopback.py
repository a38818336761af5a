"""A server that speaks the part of the Hugging Face hub's protocol that ganvas uses, on loopback.

Reading: the newest commit of a revision, the tree of a commit, files with their headers. Writing:
a repository is made, the card is looked at, files are announced (small ones come in the commit,
large ones by LFS, each to an address that the server gives), a commit in lines of JSON. No xet, no
signatures.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "a" * 34
LARGE = 5_000
"""Bytes from which a file goes by LFS."""


class Hub:
    """Repositories in memory; every request is kept."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        """Name -> commit -> path -> content; the newest commit last."""
        self.requests: list[str] = []
        self.lfs: dict[str, bytes] = {}
        self.refuses = 0
        """A status that every answer has instead."""

    def add(self, name: str, files: dict[str, bytes]) -> str:
        """A commit with these files besides those that are there."""
        commits = self.repositories.setdefault(name, {})
        whole = {**(list(commits.values())[-1] if commits else {}), **files}
        digest = hashlib.sha256(repr((name, len(commits), sorted(whole))).encode()).hexdigest()
        commits[digest[:40]] = whole
        return digest[:40]

    def commit(self, name: str, revision: str) -> str | None:
        commits = list(self.repositories.get(name, {}))
        if revision == "main":
            return commits[-1] if commits else None
        return revision if revision in commits else None


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, body: Any = b"", headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Length": str(len(content))} | (headers or {})
        if not isinstance(body, bytes):
            headers |= {"Content-Type": "application/json"}
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begun(self) -> tuple[str, bytes] | None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if self.hub.refuses:
            self._answer(self.hub.refuses, {"error": "refused"})
            return None
        return path, body

    def _missing(self, code: str) -> None:
        self._answer(404, {"error": code}, {"X-Error-Code": code})

    def do_GET(self) -> None:
        if not (begun := self._begun()):
            return
        path, _ = begun
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/(.+))?", path):
            return self._about(match[1], match[3] or "main")
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)/?", path):
            return self._tree(match[1], match[2])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(*match.groups())
        self._missing("EntryNotFound")

    do_HEAD = do_GET

    def _about(self, name: str, revision: str) -> None:
        if name not in self.hub.repositories:
            return self._missing("RepoNotFound")
        commit = self.hub.commit(name, revision)
        if commit is None:
            return self._missing("RevisionNotFound")
        files = self.hub.repositories[name][commit]
        siblings = [{"rfilename": path} for path in files]
        about = {"id": name, "modelId": name, "sha": commit, "siblings": siblings}
        self._answer(200, about | {"private": False, "tags": [], "downloads": 0, "likes": 0})

    def _tree(self, name: str, revision: str) -> None:
        commit = self.hub.commit(name, revision)
        if commit is None:
            return self._missing("RevisionNotFound")
        files = self.hub.repositories[name][commit]
        found: list[dict[str, Any]] = []
        for path, content in files.items():
            entry = {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
            if len(content) >= LARGE:
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
            found.append(entry)
        self._answer(200, found)

    def _file(self, name: str, revision: str, path: str) -> None:
        commit = self.hub.commit(name, revision)
        content = self.hub.repositories.get(name, {}).get(commit or "", {}).get(path)
        if content is None:
            return self._missing("EntryNotFound")
        digest = hashlib.sha256(content).hexdigest() if len(content) >= LARGE else _blob(content)
        self._answer(200, content, {"ETag": f'"{digest}"', "X-Repo-Commit": str(commit)})

    def do_POST(self) -> None:
        if not (begun := self._begun()):
            return
        path, body = begun
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid credentials"})
        here = f"http://{self.headers['Host']}"
        if path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            made = json.loads(body)
            name = f"{made.get('organization') or 'me'}/{made['name']}"
            status = 409 if name in self.hub.repositories else 200
            self.hub.repositories.setdefault(name, {})
            return self._answer(status, {"url": f"{here}/{name}", "id": name})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", path):
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                }
                for file in files
            ]
            return self._answer(
                200, {"files": modes, "commitOid": self.hub.commit(match[1], "main")}
            )
        if path.endswith("/info/lfs/objects/batch"):
            asked = json.loads(body)["objects"]
            objects = [
                one | {"actions": {"upload": {"href": f"{here}/lfs/{one['oid']}"}}} for one in asked
            ]
            return self._answer(200, {"transfer": "basic", "objects": objects})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            return self._commit(match[1], body, here)
        self._missing("EntryNotFound")

    def _commit(self, name: str, body: bytes, here: str) -> None:
        added: dict[str, bytes] = {}
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                added[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            if line["key"] == "lfsFile":
                added[line["value"]["path"]] = self.hub.lfs[line["value"]["oid"]]
        commit = self.hub.add(name, added)
        url = f"{here}/{name}/commit/{commit}"
        self._answer(200, {"success": True, "commitOid": commit, "commitUrl": url})

    def do_PUT(self) -> None:
        if not (begun := self._begun()):
            return
        path, body = begun
        oid = path.removeprefix("/lfs/")
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.lfs[oid] = body
        self._answer(200)


@contextmanager
def serving() -> Iterator[tuple[Hub, str]]:
    """A hub on a free port of loopback, and its address."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
