"""Serving the page until somebody stops it."""

from __future__ import annotations

import errno
import secrets
import socket
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from ganvas.errors import RunError, UsageError
from ganvas.studio.app import build
from ganvas.studio.guard import is_loopback
from ganvas.studio.library import Library
from ganvas.studio.live import Hub

PORT: Final = 4268
"""G A N V on the keys of a telephone."""
TRIED: Final = 20
"""Ports after it that are tried when nobody asked for one."""
MOST_CONNECTIONS: Final = 256


def serve(
    root: Path, *, host: str, port: int | None, browser: bool, say: Callable[[str], None]
) -> None:
    """Serve the runs below a folder until interrupted; `say` gets the address, and warnings.

    Raises:
        UsageError: the port is taken, or the host is none of this machine's.
    """
    token = secrets.token_urlsafe(18)
    listening = _listen(host, port)
    address = address_of(host, listening.getsockname()[1], token)
    hub = Hub(Library(root))
    threading.Thread(target=hub.library.refresh, daemon=True).start()  # while the browser starts
    config = uvicorn.Config(
        build(hub, token, host),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config, hub)
    if not is_loopback(host):
        say(
            f"warning: --host {host}: everybody who can reach this machine and has the address "
            "below can read these runs; nothing is encrypted. Over ssh, a tunnel is safer: "
            f"ssh -L {PORT}:localhost:{PORT} HOST"
        )
    say(f"ganvas studio: {root} at\n  {address}\nStop it with Ctrl-C.")
    if browser:
        threading.Thread(target=_open_when_up, args=(server, address), daemon=True).start()
    try:
        server.run([listening])
    except KeyboardInterrupt:
        pass  # the usual end
    finally:
        listening.close()


class _Server(uvicorn.Server):
    """Ends the streams of open pages before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._hub.close()
        super().handle_exit(sig, frame)


def _listen(host: str, port: int | None) -> socket.socket:
    ports = [port] if port is not None else [*range(PORT, PORT + TRIED), 0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for one in ports:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, one))
            listening.listen()  # who reads the address may come at once
            return listening
        except OSError as error:
            listening.close()
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise UsageError(
                    f"--host: found '{host}'; allowed: an address of this machine, "
                    "such as 127.0.0.1 or 0.0.0.0"
                ) from None
            if error.errno == errno.EACCES:
                raise UsageError(f"--port: {one} needs more rights; use one from 1024") from None
            if error.errno != errno.EADDRINUSE:
                raise RunError(f"cannot listen on {host}:{one}: {error.strerror}") from None
    raise UsageError(f"--port: {port} is in use; name another, or leave it out")


def address_of(host: str, port: int, token: str) -> str:
    """The address to open, with the token in it."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/{token}/"


def _open_when_up(server: uvicorn.Server, address: str) -> None:
    until = time.monotonic() + 10
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    webbrowser.open(address)
