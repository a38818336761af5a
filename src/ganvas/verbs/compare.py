"""`compare`: runs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from ganvas.verbs.imports import Imports, import_given
from ganvas.verbs.signatures import verb

if TYPE_CHECKING:
    from ganvas.comparison.compare import Comparison


@verb
def compare(
    runs: Annotated[
        list[str] | str | Path | Sequence[str | Path],
        Argument(help="Run folders, folders that hold some, or patterns."),
    ],
    *,
    html: Annotated[
        Path | str | None,
        Option(help="The page: tables, curves, sheets.  [default: compare.html]"),
    ] = None,
    markdown: Annotated[
        Path | str | None, Option(help="The table of metrics as Markdown, for a README.")
    ] = None,
    latex: Annotated[
        Path | str | None, Option(help="The same for a paper; needs the package booktabs.")
    ] = None,
    csv: Annotated[Path | str | None, Option(help="Every run's numbers, one a line.")] = None,
    imports: Imports = None,
) -> "Comparison":
    """Runs side by side: mean and spread over seeds, curves, sample sheets, settings.

    Numbers of unlike protocols are kept apart. From Python there is a page only if `html` is given.

    Raises:
        UsageError: there is no run, or a run's config.toml cannot be read.
        RunError: a file cannot be written.
    """
    from ganvas.comparison.compare import compare

    import_given(imports)  # metrics of one's own say which of their values are better
    return compare(runs, html=html, markdown=markdown, latex=latex, csv=csv)
