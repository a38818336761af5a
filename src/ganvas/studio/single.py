"""The page of one run as one file that opens from disk: the same code, with the data in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from ganvas.errors import UsageError
from ganvas.files import write_file
from ganvas.rundir import RunFolder
from ganvas.studio import reading
from ganvas.studio.asking import finite

MOST_SHEETS: Final = 400
"""Of more sheets as many are taken, evenly chosen."""
POINTS: Final = 6_000
"""Lines of the log; of more, every n-th."""

_IMPORT: Final = re.compile(r'^import (\{[^}]*\}) from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def export_page(what: str | Path, target: Path) -> int:
    """Write the page of a run; returns its bytes.

    Raises:
        UsageError: it is no run folder.
        RunError: the file cannot be written.
    """
    folder = RunFolder(Path(what))
    if not folder.is_run:
        raise UsageError(f"--export: '{what}' is no run folder (config.toml and log.jsonl)")
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--export: found '{target}'; allowed: a file name ending in .html")
    content = page_of(folder).encode()
    write_file(target, content)
    return len(content)


def page_of(folder: RunFolder) -> str:
    """The page's text. It asks for nothing, and allows no code but its own, by its hash."""
    static = resources.files("ganvas.studio") / "static"
    styles = [_text(static / "vendor" / "uPlot.min.css"), _style(static)]
    scripts = [_text(static / "vendor" / "uPlot.iife.min.js"), bundle(static, "main.js")]
    policy = (
        "default-src 'none'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
        f"style-src {' '.join(map(_hash, styles))}; script-src {' '.join(map(_hash, scripts))}"
    )
    page = _text(static / "index.html")
    head = re.sub(r'<(link|script) [^>]*(href|src)="static/[^>]*>(</script>)?\n', "", page)
    icon = f'<link rel="icon" href="{_icon(static)}" type="image/svg+xml">\n'
    policies = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    head = head.replace('<meta charset="utf-8">\n', '<meta charset="utf-8">\n' + policies + icon)
    head = head.replace("</head>", "".join(f"<style>{one}</style>\n" for one in styles) + "</head>")
    data = json.dumps(finite(_data(folder)), separators=(",", ":")).replace("<", "\\u003c")
    plot, code = scripts
    end = (
        f'<script type="application/json" id="saved">{data}</script>\n<script>{plot}</script>\n'
        f'<script type="module">{code}</script>\n</body>'
    )
    return head.replace("</body>", end)


def _data(folder: RunFolder) -> dict[str, Any]:
    name = folder.path.resolve().name
    detail = reading.detail(folder)
    sheets = detail["sheets"]
    every = -(-len(sheets) // MOST_SHEETS)
    if every > 1:
        kept = [*sheets[:-1:every], sheets[-1]]
        detail["sheets"] = sheets = kept
    pictures = {f"samples/{sheet['file']}" for sheet in sheets}
    pictures |= {"reals.png"} if detail["reals"] else set()
    found = {one: _picture(folder.path / one) for one in sorted(pictures)}
    return {
        "run": {"summary": {"id": name, "name": name, **reading.summary(folder)}, **detail},
        "log": reading.log(folder, 0, POINTS),
        "pictures": {one: url for one, url in found.items() if url},
    }


def _picture(path: Path) -> str | None:
    try:
        return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return None  # removed in this moment


# Modules in one text


def bundle(folder: Traversable, first: str) -> str:
    """A module and all that it imports as one script: each in a scope of its own, in order."""
    parts = ['"use strict";', "const modules = {};"]
    for name in _in_order(folder, first, []):
        text = _text(folder / name)
        exported = ", ".join(_EXPORT.findall(text))
        inside = _EXPORT.sub("", _IMPORT.sub(r'const \1 = modules["\2"];', text))
        assert not re.search(r"^(import|export)\b", inside, re.MULTILINE), name
        parts.append(f'modules["{name}"] = (() => {{\n{inside}\nreturn {{ {exported} }};\n}})();')
    text = "\n".join(parts)
    assert "</script" not in text.lower()
    return text


def _in_order(folder: Traversable, name: str, known: list[str]) -> Iterator[str]:
    """The modules that one needs, each before those that need it, and it last."""
    for _, other in _IMPORT.findall(_text(folder / name)):
        if other not in known:
            yield from _in_order(folder, other, known)
    if name not in known:
        known.append(name)
        yield name


def _style(static: Traversable) -> str:
    return _text(static / "studio.css").replace('"icon.svg"', f'"{_icon(static)}"')


def _icon(static: Traversable) -> str:
    content = base64.b64encode((static / "icon.svg").read_bytes()).decode()
    return f"data:image/svg+xml;base64,{content}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
