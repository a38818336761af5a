"""What a request says, checked: bounded numbers, known names, one line for what is wrong."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ganvas.errors import UsageError, printable

LONGEST: Final[dict[type[float], int]] = {int: 20, float: 30}
"""Characters of a text that is read as a number."""


class Json(Response):
    """JSON as browsers read it: what is not finite is null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        except ValueError:
            text = json.dumps(finite(content), allow_nan=False, separators=(",", ":"))
        return text.encode()


def finite(value: Any) -> Any:
    """The value with None for numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def whole(given: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    """A whole number; UsageError if it is none, or out of range."""
    value = _read(given, name, default, int)
    if type(value) is not int or not low <= value <= high:
        raise UsageError(
            f"{name}: found {shown(value)}; allowed: a whole number from {low:,} to {high:,}"
        )
    return value


def decimal(given: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    """A number; UsageError if it is none, or out of range."""
    value = _read(given, name, default, float)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(
            f"{name}: found {shown(value)}; allowed: a number from {low:g} to {high:g}"
        )
    return float(value)


def _read(given: Mapping[str, Any], name: str, default: float, kind: type[float]) -> Any:
    """What was given: a number where a text is one, otherwise as it came."""
    value = given.get(name, default)
    if isinstance(value, str) and value.isascii() and len(value) <= LONGEST[kind]:
        with contextlib.suppress(ValueError):
            return kind(value)
    return value


def vectors(given: Mapping[str, Any], dims: int, most: int) -> list[list[float]]:
    """`z`, a list of latents; UsageError if it is none."""
    found = given.get("z")
    allowed = f"allowed: 1 to {most} latents of {dims} numbers each, from -1000 to 1000"
    if not isinstance(found, list) or not 1 <= len(found) <= most:
        count = f"{len(found):,} latents" if isinstance(found, list) else shown(found)
        raise UsageError(f"z: found {count}; {allowed}")
    for one in found:
        if not isinstance(one, list) or len(one) != dims:
            raise UsageError(f"z: found {shown(one)}; {allowed}")
        for value in one:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not -1000 <= value <= 1000:
                raise UsageError(f"z: found {shown(value)} in a latent; {allowed}")
    return found


async def body(request: Request) -> dict[str, Any]:
    """A request's JSON object; UsageError if it holds none."""
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError("body: allowed is a JSON object")
    return found


def shown(value: Any) -> str:
    """What was found, in a few printable characters."""
    text = printable(repr(value) if isinstance(value, str) else json.dumps(value, default=str))
    return text if len(text) <= 60 else f"{text[:57]}…"
