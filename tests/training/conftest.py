"""Fixtures that the test files of training share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from ganvas.training import loop


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache folder, empty at first, for the tests of a file."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformdirs, "user_cache_dir", lambda app: str(folder))
        yield folder


@pytest.fixture
def plain_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture of the losses is drawn, which takes longer than a tiny run."""
    monkeypatch.setattr(loop, "plot_losses", lambda path, title, lines: path.write_text(title))
