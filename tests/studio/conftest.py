"""A studio over a folder with a finished run, asked without a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOKEN = "the-token-of-the-tests"
HOST = "127.0.0.1:4268"


def client_of(root: Path, host: str = "127.0.0.1") -> Any:
    """Asks the studio over a folder as a browser on its page does."""
    testclient = pytest.importorskip("starlette.testclient")
    from ganvas.studio.app import build
    from ganvas.studio.library import Library
    from ganvas.studio.live import Hub

    return testclient.TestClient(
        build(Hub(Library(root)), TOKEN, host),
        base_url=f"http://{HOST}/{TOKEN}/",
        raise_server_exceptions=False,
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> Path:
    """A folder with the run `tiny`; tests only read it."""
    folder = tmp_path_factory.mktemp("studio")
    shutil.copytree(tiny_run, folder / "tiny")
    return folder


@pytest.fixture(scope="session")
def studio(runs: Path) -> Any:
    return client_of(runs)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """make_run("name", status={...}, log=[{...}], metrics=[{...}]) below tmp_path."""

    def make(name: str, *, config: str = 'recipe = "made"\nseed = 3\n', **files: Any) -> Path:
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.toml").write_text(config)
        for kind in ("log", "metrics", "watchdog"):
            if kind in files:
                lines = "".join(json.dumps(line) + "\n" for line in files[kind])
                (folder / f"{kind}.jsonl").write_text(lines)
        if "status" in files:
            (folder / "status.json").write_text(json.dumps(files["status"]))
        return folder

    return make
