"""The page of a run as one file: all of it inside, and nothing asked for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from ganvas.rundir import RunFolder
from ganvas.studio.single import bundle, page_of


@pytest.fixture(scope="module")
def page(tiny_run: Path) -> str:
    return page_of(RunFolder(tiny_run))


def data_of(page: str) -> Any:
    match = re.search(r'<script type="application/json" id="saved">(.*?)</script>', page)
    assert match
    return json.loads(match[1])


def test_it_asks_for_nothing(page: str) -> None:
    outside = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", outside, flags=re.DOTALL)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', markup)
    assert all(one.startswith(("data:", "#")) for one in addresses)
    assert "url(" not in re.sub(r'url\("data:[^"]*"\)', "", page.split("</style>")[1])


def test_it_allows_the_code_that_it_holds_and_no_other(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy and "unsafe" not in policy[1]
    scripts = re.findall(r'<script(?: type="module")?>(.*?)</script>', page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert (len(scripts), len(styles)) == (2, 2)
    for text in scripts + styles:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]


def test_it_holds_the_runs_data(page: str, tiny_run: Path) -> None:
    data = data_of(page)
    log = RunFolder(tiny_run).read_log()
    assert data["log"]["columns"]["G/loss"] == [line["G/loss"] for line in log]
    for path in RunFolder(tiny_run).samples():
        url = data["pictures"][f"samples/{path.name}"]
        assert base64.b64decode(url.partition(",")[2]) == path.read_bytes()
    assert data["run"]["summary"]["state"] == "finished"


def test_what_a_run_says_cannot_end_its_script(make_run: Callable[..., Path]) -> None:
    evil = "</script><script>alert(1)</script>"
    run = make_run(
        "a", log=[{"step": 1, evil: 1}], watchdog=[{"step": 1, "fault": "worse", "message": evil}]
    )
    page = page_of(RunFolder(run))
    assert evil not in page
    assert data_of(page)["run"]["alarms"][0]["message"] == evil


def test_every_module_is_in_it_once_and_before_those_that_need_it() -> None:
    static = resources.files("ganvas.studio") / "static"
    text = bundle(static, "main.js")
    modules = {file.name for file in static.iterdir() if file.name.endswith(".js")}
    order = re.findall(r'^modules\["([\w.]+)"\] = ', text, re.MULTILINE)
    assert set(order) == modules and len(order) == len(modules)
    for name in modules:
        for needed in re.findall(r'from "\./([\w.]+)"', (static / name).read_text()):
            assert order.index(needed) < order.index(name)
