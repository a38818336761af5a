# ruff: noqa: E501
"""Hostile requests to a studio that runs, and what came: python benchmarks/studio_requests.py

Beside the runs lies a file that nothing may show. Each request goes over a socket as it is written
here, without a client that would mend it. It prints a table of kinds, and what was not refused.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from studio_server import studio

SECRET = "nobody-may-read-this"
RUN = "run"


def requests(token: str, host: str) -> Iterator[tuple[str, bytes]]:
    """(kind, request as bytes)."""

    def get(path: str, method: str = "GET", body: bytes = b"", **headers: str) -> bytes:
        given = {"Host": host, "Connection": "close"}
        given |= {key.replace("_", "-"): value for key, value in headers.items()}
        if body and "Content-Length" not in given and "Transfer-Encoding" not in given:
            given["Content-Length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in given.items())]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    root = f"/{token}"
    api = f"{root}/api"

    ups = ["..", "%2e%2e", ".%2e", "%252e%252e", "..%00", "..%c0%af", "....", "..;", "%uff0e%uff0e"]
    slashes = ["/", "%2f", "%5c", "\\", "%252f", "//"]
    places = [f"{api}/runs/{RUN}/files/", f"{api}/runs/{RUN}/sheets/", f"{root}/static/"]
    for place, up, slash in itertools.product(places, ups, slashes):
        yield "traversal", get(f"{place}{slash.join([up, up, 'secret.txt'])}")
    for name in (
        "../secret.txt",
        "/etc/passwd",
        "..",
        ".",
        "~",
        "~~",
        "..~secret.txt",
        "%00",
        "a%00b",
    ):
        for what in ("runs", "generators"):
            yield "names", get(f"{api}/{what}/{quote(name, safe='%~')}")
            yield "names", get(f"{api}/{what}/{name}")
    for name in ("link.txt", "samples/link.png", ".lock", ".hidden", "samples", "checkpoints"):
        yield "links and hidden files", get(f"{api}/runs/{RUN}/files/{name}")
    yield "links and hidden files", get(f"{api}/runs/{RUN}/sheets/link.png")
    yield "links and hidden files", get(f"{api}/runs/linked")

    numbers = [
        "-1",
        "0",
        "257",
        "1e9",
        "9" * 400,
        "NaN",
        "inf",
        "1.5",
        "0x10",
        "",
        "%00",
        "None",
        "[]",
        "１",
    ]
    for key, value in itertools.product(("num", "seed", "class", "truncation", "raw"), numbers):
        if (key, value) in {("seed", "0"), ("seed", "257"), ("truncation", "0"), ("raw", "0")}:
            continue  # these are allowed
        yield "numbers", get(f"{api}/generators/{RUN}/samples.png?{key}={quote(value, safe='%')}")
    for key, value in itertools.product(("offset", "points"), numbers):
        if value not in ("0", "257") or (key, value) == ("points", "0"):
            yield "numbers", get(f"{api}/runs/{RUN}/log?{key}={quote(value, safe='%')}")
    for form in ("svg", "html", "npy", "pkl", "png.exe", "..%2fx"):
        yield "numbers", get(f"{api}/generators/{RUN}/samples.{form}")
    yield "numbers", get(f"{api}/compare?" + "run=run&" * 200)
    yield "numbers", get(f"{api}/compare?run=" + "a" * 3000)

    deep = b"[" * 100_000
    for body in (
        b"", b"null", b"[]", b'"z"', b"{}", b"{", b'{"z":1}', b'{"z":[]}', b'{"z":[[]]}', b'{"z":[[1]]}',
        b'{"z":[["a"]]}', b'{"z":[[null]]}', b'{"z":[[1e308]]}', b'{"z":[[NaN]]}', b'{"z":{"a":1}}', deep,
        b'{"z":' + deep, b"\xff\xfe", b"\x80\x04\x95cos\nsystem\n", json.dumps({"z": [[0] * 5] * 65}).encode(),
        b'{"z":[[0,0]],"frames":' + b"9" * 5000 + b"}", b'{"z":[[true,false]]}',
        b'{"z":[[0]],"classes":[-1]}', b'{"z":[[0]],"which":["a"]}', b'{"z":[[0]],"which":"../best"}',
    ):  # fmt: skip
        for what in ("draw", "way.gif", "nearest"):
            yield "bodies", get(f"{api}/generators/{RUN}/{what}", "POST", body)
    yield "too large", get(f"{api}/generators/{RUN}/draw", "POST", b"x" * (2 << 20))
    yield (
        "too large",
        get(f"{api}/generators/{RUN}/draw", "POST", b"{}", Content_Length="99999999999"),
    )
    yield "too large", get(f"{api}/generators/{RUN}/draw", "POST", b"{}", Content_Length="-5")
    yield "too large", get(f"{api}/generators/{RUN}/draw", "POST", b"{}", Content_Length="1e3")
    chunks = b"".join(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
    yield (
        "too large",
        get(f"{api}/generators/{RUN}/draw", "POST", chunks, Transfer_Encoding="chunked"),
    )
    yield "too large", get(f"{api}/runs?" + "a" * 10_000)
    yield "too large", get(f"{api}/runs/" + "a" * 30_000)
    yield "too large", get(f"{api}/runs", Cookie="a" * 100_000)

    for name in ("evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "[", "localhost.evil.example",
                 "127.0.0.1@evil.example", "192.168.0.1", "10.0.0.1:4268", "0x7f.1"):  # fmt: skip
        yield "hosts", get(f"{api}/runs", Host=name)
    yield "hosts", b"GET /x HTTP/1.1\r\n\r\n"
    yield "hosts", get(f"{api}/runs").replace(b"\r\n\r\n", b"\r\nHost: evil.example\r\n\r\n")
    for origin in ("null", "http://evil.example", "https://evil.example", "file://", f"http://{host}.evil.example",
                   f"http://{host}@evil.example", "http://127.0.0.1:1", "http://localhost", "x"):  # fmt: skip
        for method in ("GET", "POST"):
            path = f"{api}/runs" if method == "GET" else f"{api}/generators/{RUN}/draw"
            yield "origins", get(path, method, b"{}" if method == "POST" else b"", Origin=origin)
    for given in ("", "x", token[:-1], token + "x", token.swapcase(), f"%00{token}", f"{token}%00", "..", "%20" + token,
                  f"x/{token}", f"%2f{token}", "null", "undefined"):  # fmt: skip
        for path in ("api/runs", "", "static/main.js", f"api/runs/{RUN}/files/config.toml"):
            yield "tokens", get(f"/{given}/{path}")
    for value in ("Bearer", "Bearer x", f"Basic {token}", f"Bearer {token}x", f"bearer\t{token}x"):
        yield "tokens", get("/api/runs", Authorization=value)
    yield "tokens", get(f"/api/runs?token={token}")
    yield "tokens", get("/api/runs", Cookie=f"token={token}")
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "x"):
        yield "methods", get(f"{api}/runs/{RUN}", method)
    yield "methods", get(f"{api}/runs", "POST", b"{}")
    yield "methods", get(f"{api}/generators/{RUN}/draw")
    for odd in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n",
                b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
                get(f"{api}/runs", X="a\r\nY: b"), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):  # fmt: skip
        yield "no HTTP", odd


REFUSED = {400, 403, 404, 405, 411, 413, 414, 421, 431, 503}
HARMLESS = {"no HTTP": {200}}
"""A header that the server leaves out does no harm."""


def asked(port: int, request: bytes) -> tuple[int | None, bytes]:
    """The status and the whole answer; None if the server hung up without one."""
    is_whole = b" HTTP/1.1\r\n" in request and b"Connection: close" in request
    with socket.create_connection(("127.0.0.1", port), timeout=20 if is_whole else 1) as connection:
        with contextlib.suppress(OSError):  # it may hang up before it has read all
            connection.sendall(request)
        answer = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                answer += part
    words = answer.split(b" ", 2)
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else None), answer


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        runs = Path(place) / "runs"
        train = ("train", "--epochs", "2", "--device", "cpu", "--outdir", str(runs / RUN))
        subprocess.run([sys.executable, "-m", "ganvas", *train], check=True, capture_output=True)
        secret = Path(place) / "secret.txt"
        secret.write_text(SECRET)
        (runs / RUN / "link.txt").symlink_to(secret)
        (runs / RUN / "samples/link.png").symlink_to(secret)
        (runs / RUN / ".hidden").write_text(SECRET)
        linked = runs / "linked"
        (linked / "checkpoints").mkdir(parents=True)
        (linked / "config.toml").write_text("seed = 1\n")
        (linked / "log.jsonl").symlink_to(secret)
        kinds: dict[str, Counter[str]] = {}
        wrong = []
        with studio(runs) as server:
            for kind, request in requests(server.token, server.host):
                status, answer = asked(server.port, request)
                kinds.setdefault(kind, Counter())[str(status or "hung up")] += 1
                refused = status is None or status in REFUSED or status in HARMLESS.get(kind, ())
                if not refused or SECRET.encode() in answer or b"Traceback" in answer:
                    wrong.append((kind, status, request[:160]))
            runs_of = f"GET /{server.token}/api/runs HTTP/1.0\r\nHost: {server.host}\r\n\r\n"
            alive, _ = asked(server.port, runs_of.encode())
    total = sum(sum(of.values()) for of in kinds.values())
    print("| kind | requests | what came |\n|---|---|---|")
    for kind, of in kinds.items():
        answers = ", ".join(f"{status}: {count}" for status, count in sorted(of.items()))
        print(f"| {kind} | {sum(of.values())} | {answers} |")
    print(f"\n{total} requests; {len(wrong)} not refused; afterwards the server answers {alive}.")
    for kind, status, request in wrong:
        print(f"- {kind}: {status}: `{request!r}`")
    sys.exit(bool(wrong) or alive != 200)


if __name__ == "__main__":
    main()
