"""Who is let in, and what is refused before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studio.conftest import HOST, TOKEN, client_of


def test_the_page_and_its_policy(studio: Any) -> None:
    answer = studio.get("")
    assert answer.status_code == 200 and "<title>ganvas studio" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in answer.text and " style=" not in answer.text


@pytest.mark.parametrize("path", ["", "api/runs", "static/main.js", "api/events"])
@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", f"%00{TOKEN}"])
def test_nothing_without_the_token(studio: Any, path: str, token: str) -> None:
    answer = studio.get(f"http://{HOST}/{token}/{path}".replace("//", "/").replace(":/", "://"))
    assert answer.status_code == 403
    assert "token" in answer.json()["error"]


def test_the_token_as_a_bearers(studio: Any) -> None:
    at = f"http://{HOST}/api/runs"
    assert studio.get(at, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert studio.get(at, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 403
    assert studio.get(at, headers={"Authorization": f"Basic {TOKEN}"}).status_code == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:9", "LOCALHOST", "[::1]:4268", "127.9.9.9"]
)
def test_hosts_of_this_machine(studio: Any, host: str) -> None:
    assert studio.get("api/runs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.7", "localhost.evil", "", "[::1"]
)
def test_strangers_hosts_are_refused(studio: Any, host: str) -> None:
    assert studio.get("api/runs", headers={"Host": host}).status_code == 421


def test_with_a_host_addresses_are_taken_and_names_are_not(runs: Path) -> None:
    open_to_all = client_of(runs, "0.0.0.0")
    assert open_to_all.get("api/runs", headers={"Host": "192.168.1.7:4268"}).status_code == 200
    assert open_to_all.get("api/runs", headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1:1", "file://"])
def test_other_origins_are_refused(studio: Any, origin: str) -> None:
    assert studio.get("api/runs", headers={"Origin": origin}).status_code == 403
    assert studio.get("api/runs", headers={"Origin": f"http://{HOST}"}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_methods_that_nothing_needs(studio: Any, method: str) -> None:
    assert studio.request(method, "api/runs").status_code == 405


def test_large_requests_are_refused(studio: Any) -> None:
    at = "api/generators/tiny/draw"
    assert studio.post(at, content=b"x" * (1 << 20) + b"y").status_code == 413
    assert studio.post(at, content=(b"x" * 100_000 for _ in range(12))).status_code == 413
    assert studio.get("api/runs?" + "a" * 5000).status_code == 414
    assert studio.post(at, content=b"x", headers={"Content-Length": "9" * 40}).status_code == 413
