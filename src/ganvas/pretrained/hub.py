"""Generators on the Hugging Face hub: read as hf:OWNER/NAME or hf:OWNER/NAME@REVISION, and pushed.

huggingface_hub does the work, with its cache, its token and its settings (HF_ENDPOINT, HF_HOME,
HF_HUB_OFFLINE). What was downloaded once is there without network.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ganvas.errors import RunError, UsageError, first_line, printable

PREFIX: Final = "hf:"
READ: Final = ("config.json", "model.safetensors", "README.md")
"""The files that are downloaded; no others, whatever a repository holds."""
_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True)
class Pushed:
    """Where a folder went on the hub."""

    url: str
    commit: str


@functools.cache  # one look at the hub for each name, however often a verb asks
def download(name: str) -> Path:
    """The folder of a generator on the hub, `OWNER/NAME` or `OWNER/NAME@REVISION`.

    Raises:
        UsageError: huggingface_hub is missing, or there is no such generator.
        RunError: the hub cannot be reached, and it was not downloaded before.
    """
    repository, at, revision = name.partition("@")
    if not _NAME.fullmatch(repository) or (at and not revision):
        raise UsageError(
            f"found '{PREFIX}{printable(name)}'; allowed: {PREFIX}OWNER/NAME, or "
            f"{PREFIX}OWNER/NAME@REVISION"
        )
    library = _library(f"{PREFIX}{name}")
    with _in_words(f"{PREFIX}{name}"):
        folder = library.snapshot_download(
            repository, revision=revision or None, allow_patterns=list(READ), endpoint=_endpoint()
        )
    return Path(folder)


def origin(folder: Path) -> str:
    """'hf:OWNER/NAME, commit 1234…' of a folder that was downloaded; empty of any other."""
    repository, snapshots, commit = folder.parts[-3:] if len(folder.parts) > 3 else ("", "", "")
    match = re.fullmatch(r"models--(.+?)--(.+)", repository)
    if snapshots != "snapshots" or not match:
        return ""
    return f"{PREFIX}{match[1]}/{match[2]}, commit {commit}"


def check_push(name: str) -> None:
    """UsageError unless --push can work: a name, the library, a token."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"--push: found '{name}'; allowed: OWNER/NAME, as on the hub")
    if not _library("--push").get_token():
        raise UsageError("--push: you are not logged in; run 'hf auth login' or set HF_TOKEN")


def push(folder: Path, name: str, message: str) -> Pushed:
    """Upload a folder's files into the repository OWNER/NAME, which is made if it is not there.

    Raises:
        UsageError: there is no such owner, or the token may not write there.
        RunError: the hub cannot be reached.
    """
    library = _library("--push")
    with _in_words(f"--push {name}"):
        api = library.HfApi(endpoint=_endpoint())
        api.create_repo(name, exist_ok=True)
        done = api.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
    return Pushed(str(done.commit_url), str(done.oid))


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _library(what: str) -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise UsageError(
            f"{what} needs huggingface_hub, which is missing; pip install 'ganvas[hub]'"
        ) from None


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Turn the library's errors into one line each."""
    errors = importlib.import_module("huggingface_hub.errors")
    try:
        yield
    except errors.RevisionNotFoundError:
        raise UsageError(f"{what}: there is no such revision on the hub") from None
    except errors.GatedRepoError:
        raise UsageError(
            f"{what}: its owner must let you in; ask on its page on the hub, then 'hf auth login'"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UsageError(
            f"{what}: there is no such repository on the hub, or you may not see it; log in with "
            "'hf auth login' or set HF_TOKEN"
        ) from None
    except errors.LocalEntryNotFoundError:
        raise RunError(
            f"{what}: the hub cannot be reached, and nothing of that name was downloaded before"
        ) from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise UsageError(f"{what}: the hub says that your token may not do that") from error
        raise RunError(f"{what}: the hub answers {status}: {first_line(error)}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise RunError(f"{what}: the hub cannot be reached: {first_line(error)}") from error
    except Exception as error:
        # what a transport raises has no base class that all versions of the library share
        if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "requests"):
            line = f"{what}: the hub cannot be reached: {first_line(error)}"
            raise RunError(line) from error
        raise
