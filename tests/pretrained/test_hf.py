"""Generators of the Hugging Face hub, against a server on loopback that speaks its protocol."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback import TOKEN, Hub, serving

os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # read when the library is imported
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import ganvas
from ganvas.errors import RunError, UsageError
from ganvas.exports import hub as exported
from ganvas.exports.source import open_source
from ganvas.generator import card_of, folder_of, load
from ganvas.pretrained import hub as online

# of the library, about how it calls its own transport
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

FILES = ("config.json", "model.safetensors", "README.md")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub, an empty cache, and a token."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    online.download.cache_clear()
    with serving() as (found, address):
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield found
    online.download.cache_clear()


def published(hub: Hub, run: Path, **others: bytes) -> str:
    """A run's generator as a repository of the hub; returns the commit."""
    files = {name: (run / "generator" / name).read_bytes() for name in FILES}
    return hub.add("me/digits", files | others)


# Reading


def test_it_draws_what_was_published(hub: Hub, tiny_run: Path) -> None:
    published(hub, tiny_run)
    assert np.array_equal(load("hf:me/digits").sample(5, seed=2), load(tiny_run).sample(5, seed=2))


def test_only_three_files_are_read(hub: Hub, tiny_run: Path) -> None:
    others = {
        "model.pkl": b"\x80",
        "run.py": b"import os",
        "pytorch_model.bin": b"PK",
        "x.json": b"{",
    }
    published(hub, tiny_run, **others)
    folder = folder_of("hf:me/digits")
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert not [one for one in hub.requests if one.endswith(tuple(others))]


def test_a_revision_is_that_commit_and_the_card_says_which(hub: Hub, tiny_run: Path) -> None:
    first = published(hub, tiny_run)
    second = published(hub, tiny_run, extra=b"more")
    assert first != second
    for what, commit in ((f"hf:me/digits@{first}", first), ("hf:me/digits", second)):
        assert card_of(load(what), folder_of(what)).origin == f"hf:me/digits, commit {commit}"


def test_every_verb_takes_it(
    hub: Hub, tiny_run: Path, tiny_npz: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    commit = published(hub, tiny_run)
    assert cli("sample", "hf:me/digits", "--num", 4).code == 0
    assert (tmp_path / "samples.png").is_file()
    measured = ("--data", tiny_npz, "--metrics", "fd", "--num", 20, "--features", "pixels")
    found = cli("evaluate", "hf:me/digits", *measured, "--split", "train")
    assert (found.code, found.err) == (0, "") and "fd20" in found.out
    shown = cli("show", "hf:me/digits")
    assert shown.code == 0 and f"| origin | hf:me/digits, commit {commit} |" in shown.out
    assert cli("export", "hf:me/digits", "--to", "page").code == 0
    assert f"hf:me/digits, commit {commit}" in (tmp_path / "tiny.html").read_text()


def test_what_was_downloaded_is_there_without_network(
    hub: Hub, tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(hub, tiny_run)
    first = load("hf:me/digits").sample(3)
    online.download.cache_clear()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    assert np.array_equal(load("hf:me/digits").sample(3), first)


# Refusals of one line


def line(error: Any) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 300
    return text


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("hf:me/nothing", "hf:me/nothing: there is no such repository on the hub"),
        ("hf:me/digits@old", "hf:me/digits@old: there is no such revision on the hub"),
        ("hf:digits", "allowed: hf:OWNER/NAME, or hf:OWNER/NAME@REVISION"),
        ("hf:me/digits@", "allowed: hf:OWNER/NAME"),
        ("hf:../../etc", "allowed: hf:OWNER/NAME"),
        ("hf:", "allowed: hf:OWNER/NAME"),
    ],
)
def test_what_is_not_there(what: str, said: str, hub: Hub, tiny_run: Path) -> None:
    published(hub, tiny_run)
    with pytest.raises(UsageError) as error:
        load(what)
    assert said in line(error)


def test_a_repository_without_a_generator(hub: Hub) -> None:
    hub.add("me/words", {"README.md": b"# words", "tokenizer.json": b"{}"})
    with pytest.raises(UsageError, match="'hf:me/words' holds no generator") as error:
        load("hf:me/words")
    line(error)


def test_a_damaged_one(hub: Hub, tiny_run: Path) -> None:
    published(hub, tiny_run, **{"model.safetensors": b"no weights"})
    with pytest.raises(UsageError, match="is damaged") as error:
        load("hf:me/digits")
    line(error)


def test_without_network_it_says_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RunError, match="hf:me/digits: the hub cannot be reached") as error:
        load("hf:me/digits")
    line(error)


@pytest.mark.parametrize("status", [500, 429])
def test_a_hub_that_is_ill(status: int, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.refuses = status
    with pytest.raises(RunError, match="hf:me/digits: the hub") as error:
        load("hf:me/digits")
    line(error)


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    for call in (lambda: load("hf:me/other"), lambda: online.check_push("me/other")):
        with pytest.raises(UsageError, match=r"pip install 'ganvas\[hub\]'") as error:
            call()
        line(error)


# Writing


@pytest.fixture(scope="module")
def built(tiny_run: Path) -> Any:
    """The files of a run's hub folder, which take seconds to make."""
    return exported.build(open_source(tiny_run))


@pytest.fixture
def quick(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports take the files that are made already."""
    monkeypatch.setattr(exported, "build", lambda source: built)


@pytest.mark.usefixtures("quick")
def test_what_is_pushed_comes_back(hub: Hub, tiny_run: Path, tmp_path: Path) -> None:
    done = ganvas.export(tiny_run, to="hub", output=tmp_path / "out", push="me/new")
    assert done.commit == hub.commit("me/new", "main") and done.commit in done.url
    assert f"commit {done.commit}" in str(done)
    files = hub.repositories["me/new"][done.commit]
    local = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert {name: files[name] for name in local} == local
    assert any(one.startswith("PUT /lfs/") for one in hub.requests), "the large ones go by LFS"
    assert np.array_equal(load("hf:me/new").sample(5), load(tiny_run).sample(5))


@pytest.mark.usefixtures("quick")
def test_it_is_pushed_into_a_repository_that_is_there(
    hub: Hub, tiny_run: Path, tmp_path: Path
) -> None:
    hub.add("me/mine", {"LICENSE": b"MIT"})
    done = ganvas.export(tiny_run, to="hub", output=tmp_path / "out", push="me/mine")
    assert hub.repositories["me/mine"][done.commit]["LICENSE"] == b"MIT"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": "page", "push": "me/x"}, "--push: found with --to page"),
        ({"to": "hub", "push": "x"}, "--push: found 'x'; allowed: OWNER/NAME"),
        ({"to": "hub", "push": "../x/y"}, "--push: found '../x/y'"),
    ],
)
def test_a_wrong_push_is_refused_at_once(
    options: dict[str, Any], said: str, hub: Hub, tiny_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as error:
        ganvas.export(tiny_run, output=tmp_path / "out", **options)
    assert said in line(error) and not (tmp_path / "out").exists() and not hub.requests


def test_without_a_token_nothing_is_made(
    hub: Hub, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UsageError, match="you are not logged in; run 'hf auth login'") as error:
        ganvas.export(tiny_run, to="hub", output=tmp_path / "out", push="me/x")
    assert line(error) and not (tmp_path / "out").exists() and not hub.requests


@pytest.mark.usefixtures("quick")
def test_a_push_that_fails_leaves_the_folder(
    hub: Hub, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "b" * 34)
    with pytest.raises(UsageError, match="your token may not do that|log in") as error:
        ganvas.export(tiny_run, to="hub", output=tmp_path / "out", push="me/x")
    assert f"hf upload me/x {tmp_path / 'out'}" in str(error.value)
    assert load(tmp_path / "out").recipe == "tiny"
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RunError, match="the hub cannot be reached"):
        ganvas.export(tiny_run, to="hub", output=tmp_path / "out", push="me/x")
