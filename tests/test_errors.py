"""Text from elsewhere that is safe to show."""

from __future__ import annotations

import pytest

from ganvas.errors import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("runs/größe 7 - 数字", "runs/größe 7 - 数字"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("two\nlines\t", "two\\nlines\\t"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\u202efdp.exe", "\\u202efdp.exe"),
    ],
)
def test_what_is_no_plain_character_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode("utf-8")
