"""Lines of JSON, whatever happened to their file, and a reader that follows it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ganvas.rundir import Tail, number, read_lines, tail

BAD = [
    b"\xff",
    b'{"step": 2',
    b"a note",
    b"[1, 2]",
    b"3",
    b'{"a": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"a": 1}\x00',
    b"\xff\xfe{",
]


@pytest.mark.parametrize("bad", BAD)
def test_nothing_after_a_bad_line_is_lost(bad: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n' + bad + b'\n\n{"step": 3}\n')
    assert read_lines(path) == [{"step": 1}, {"step": 3}]


def test_a_byte_that_is_no_text_spoils_its_own_word_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"data": "lettres\xe9", "value": 2.5}\n{"value": 3}')
    assert read_lines(path) == [{"data": "lettres\ufffd", "value": 2.5}, {"value": 3}]


def test_a_file_that_is_missing_or_a_folder_has_no_lines(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        assert read_lines(path) == []
        assert tail(path, 0) == Tail([], 0, False)
    assert tail(tmp_path / "none", 12) == Tail([], 0, True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (-0.5, -0.5),
        (10**18, 10**18),
        (True, None),
        ("1", None),
        (None, None),
        ([1], None),
        (math.inf, None),
        (math.nan, None),
        (10**400, None),
    ],
)
def test_numbers(value: Any, expected: float | None) -> None:
    assert number(value) == expected


# Following


def test_a_reader_gets_each_line_once_and_only_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    whole = b'{"step": 1}\n{"step": 2}\nnoise\n{"step": 3}\n'
    seen, offset = [], 0
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        found = tail(path, offset)
        assert not found.rewound and found.offset >= offset
        seen += found.lines
        offset = found.offset
        assert len(seen) == sum(whole[:end].count(b"%d}\n" % step) for step in (1, 2, 3))
    assert [line["step"] for line in seen] == [1, 2, 3] and offset == len(whole)
    assert tail(path, offset) == Tail([], offset, False)


@pytest.mark.parametrize(
    "now",
    [
        b"",
        b'{"step": 1}\n',
        b'{"step": 1}\n{"step": 2, "seconds": 3.25}\n{"step": 4}\n',  # cut, then longer than before
    ],
)
def test_a_file_that_was_rewound_is_read_from_its_beginning(now: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2, "seconds": 3.5}\n')
    offset = tail(path).offset
    path.write_bytes(now)
    assert tail(path, offset) == Tail(read_lines(path), len(now), True)


@pytest.mark.parametrize("offset", [-1, -(10**12), 5, 10**30])
def test_an_offset_from_a_stranger_does_no_harm(offset: int, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n')
    assert tail(path, offset).lines == [{"step": 1}]
