"""Who may ask: the token, the host, the origin, and how much a request may hold.

The token is the first part of every address, so the page needs no cookie and another page, which
does not know it, can neither read nor cause anything. Host and Origin are looked at besides: a
name of a stranger's that leads here (DNS rebinding) is refused whatever it knows.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 1 << 20
"""Bytes of a request's body."""
LARGEST_QUERY: Final = 4_000
"""Characters after the question mark."""
LARGEST_HEAD: Final = 16_384
"""Bytes of its headers."""
LOOPBACK: Final = ("localhost",)
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class TooLarge(Exception):
    """A request's body goes on beyond what is allowed."""


class Guard:
    """Passes on what may be asked, without the token; answers the rest itself."""

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        self._app = app
        self._token = token
        self._names = allowed_names(host)
        self._is_local = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for key, value in HEADERS.items():
                    sent[key] = value
                sent.setdefault("Cache-Control", "no-store")
            await send(message)

        inside = self._without_token(scope, headers)
        refusal = self._refusal(scope, headers)
        if refusal or not inside:
            await refused(*(refusal or WRONG_TOKEN))(scope, receive, send_with_headers)
            return
        read = 0

        async def receive_so_much() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY:
                raise TooLarge
            return message

        await self._app(inside, receive_so_much, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, f"method {scope['method']!r:.20}: allowed are GET, HEAD and POST"
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_known(hosts[0]):
            return 421, "Host: this address is not one that ganvas studio answers to"
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (
            f"http://{hosts[0]}".lower(),
            f"https://{hosts[0]}".lower(),  # behind a proxy that encrypts
        ):
            return 403, "Origin: requests from other pages are refused"
        if headers.get("sec-fetch-site") == "cross-site" and scope["method"] == "POST":
            return 403, "requests from other pages are refused"
        if len(scope["query_string"]) > LARGEST_QUERY:
            return 414, f"the query has more than {LARGEST_QUERY:,} characters"
        if sum(len(name) + len(value) for name, value in headers.raw) > LARGEST_HEAD:
            return 431, f"the headers have more than {LARGEST_HEAD:,} bytes"
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length[:12]) > LARGEST_BODY:
            return 413, f"the body has more than {LARGEST_BODY:,} bytes"
        return None

    def _is_known(self, host: str) -> bool:
        name = host_name(host)
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._is_local  # an address cannot be rebound

    def _without_token(self, scope: Scope, headers: Headers) -> Scope | None:
        """What was asked for behind the token, or with it as a bearer's; None if it is wrong."""
        first, slash, rest = str(scope["path"]).removeprefix("/").partition("/")
        if slash and self._is_token(first):
            return dict(scope) | {"path": f"/{rest}", "root_path": ""}
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return dict(scope) | {"root_path": ""}
        return None

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self._token.encode())


WRONG_TOKEN: Final = (
    403,
    "the token is missing or wrong; open the address that `ganvas studio` printed, or send "
    "`Authorization: Bearer TOKEN`",
)


def refused(code: int, why: str) -> Response:
    """One line of what is wrong, as every refusal of the API is."""
    body = json.dumps({"error": why})
    return PlainTextResponse(body, code, media_type="application/json")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


def allowed_names(host: str) -> frozenset[str]:
    """Names by which a browser may have come here."""
    names: Iterable[str] = LOOPBACK
    if not is_loopback(host):
        own = socket.gethostname().lower()
        names = (*LOOPBACK, host.lower(), own, f"{own}.local", socket.getfqdn().lower())
    return frozenset(names)


def host_name(host: str) -> str:
    """The name in a Host header, without the port; "" if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
