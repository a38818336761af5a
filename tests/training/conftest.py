"""Fixtures that the test files of training share."""

from __future__ import annotations

import pytest

from ganvas.training import loop


@pytest.fixture
def plain_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture of the losses is drawn, which takes longer than a tiny run."""
    monkeypatch.setattr(loop, "plot_losses", lambda path, title, lines: path.write_text(title))
