"""`studio`: the live page."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ganvas.errors import UsageError
from ganvas.verbs.imports import Imports, import_given
from ganvas.verbs.signatures import verb


@verb
def open_studio(
    folder: Annotated[
        str | Path | None,
        Argument(metavar="DIR", help="Folder that holds run folders.  [default: runs]"),
    ] = None,
    *,
    port: Annotated[
        int | None, Option(help="Port to serve at.  [default: 4268, or the next free one]")
    ] = None,
    host: Annotated[
        str, Option(help="Address to serve at; others than this machine's own are a risk.")
    ] = "127.0.0.1",
    browser: Annotated[bool, Option("--browser/--no-browser", help="Open it in a browser.")] = True,
    export: Annotated[
        tuple[str, str] | None,
        Option(metavar="RUN PAGE.html", help="Write the page of a run as one file, and stop."),
    ] = None,
    imports: Imports = None,
    say: Annotated[Callable[[str], None], "what to do with the address and with warnings"] = print,
) -> None:
    """A live page in the browser: runs as they train, side by side, and generators to play with.

    It needs the extra `ganvas[studio]`, and no network. Returns when it is interrupted. With
    `export` it serves nothing.

    Raises:
        UsageError: there is no such folder, the port is taken, or the extra is not installed.
        RunError: the page cannot be written.
    """
    if export is not None:
        if folder is not None or port is not None:
            raise UsageError("--export: it serves nothing; leave out DIR and --port")
        from ganvas.studio.single import export_page

        run, page = export
        size = export_page(run, Path(page)) / 1e6
        say(f"{page}: {size:.1f} MB; it opens from disk, without network")
        return
    require_extra()
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"--port: found {port}; allowed: 1 to 65535")
    root = Path("runs" if folder is None else folder)
    if folder is not None and not root.is_dir():
        raise UsageError(f"'{folder}' is not a folder; name one that holds run folders")

    from ganvas.studio.serving import serve

    import_given(imports)
    serve(root, host=host, port=port, browser=browser, say=say)


def require_extra() -> None:
    """UsageError if what `ganvas[studio]` installs is not there."""
    missing = [name for name in ("starlette", "uvicorn") if not importlib.util.find_spec(name)]
    if missing:
        raise UsageError(f"the studio needs {' and '.join(missing)}: pip install 'ganvas[studio]'")
