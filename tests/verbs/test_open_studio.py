"""`ganvas studio`: what is refused before anything is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--export", "nowhere", "a.html"), "'nowhere' is no run folder"),
        (("--export", "RUN", "a.txt"), "ending in .html"),
        (("runs", "--export", "RUN", "a.html"), "leave out DIR"),
        (("--port", "0"), "--port: found 0; allowed: 1 to 65535"),
        (("nowhere",), "'nowhere' is not a folder"),
        (("--host", "256.1.1.1"), "--host: found '256.1.1.1'"),
    ],
)
def test_wrong_options_get_one_line(
    cli: Callable[..., Any], tiny_run: Path, arguments: tuple[str, ...], says: str
) -> None:
    given = [str(tiny_run) if one == "RUN" else one for one in arguments]
    found = cli("studio", *given, *([] if "--export" in given else ["--no-browser"]))
    assert found.code == 2 and says in found.err and found.err.count("\n") == 1


def test_a_port_that_is_taken(cli: Callable[..., Any], tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = cli("studio", tmp_path, "--no-browser", "--port", port)
    assert (found.code, found.err) == (
        2, f"ganvas: --port: {port} is in use; name another, or leave it out\n"
    )  # fmt: skip


def test_without_the_extra(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = cli("studio")
    assert found.code == 2 and "pip install 'ganvas[studio]'" in found.err
