"""The public names, what importing them costs, and that commands and functions are one."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import ganvas


def test_public_names_are_sorted_and_unique() -> None:
    assert ganvas.__all__ == sorted(set(ganvas.__all__))
    assert dir(ganvas) == ganvas.__all__


@pytest.mark.parametrize("name", ganvas.__all__)
def test_public_names_resolve_to_things_with_docstrings(name: str) -> None:
    thing = getattr(ganvas, name)
    assert (inspect.getdoc(thing) or "").strip()


@pytest.mark.parametrize("name", ganvas.data.__all__)
def test_public_names_of_data_resolve_to_functions_with_docstrings(name: str) -> None:
    assert (inspect.getdoc(getattr(ganvas.data, name)) or "").strip()


def test_names_of_data_are_sorted() -> None:
    assert ganvas.data.__all__ == sorted(set(ganvas.data.__all__))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        ganvas.nonsense  # noqa: B018
    assert not hasattr(ganvas, "fit")


@pytest.mark.parametrize(
    "code",
    [
        "import ganvas",
        "import ganvas; ganvas.Run; ganvas.UsageError; ganvas.RunError",
        "from ganvas import cli; sys.argv = ['ganvas', '--help']; run(cli.main)",
        "from ganvas import cli; sys.argv = ['ganvas', 'train', '--help']; run(cli.main)",
    ],
)
def test_light_uses_load_neither_torch_nor_numpy(code: str) -> None:
    script = f"""
import sys
def run(main):
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, end.code
{code}
heavy = {{"torch", "numpy", "matplotlib", "PIL", "safetensors", "sklearn"}} & set(sys.modules)
print("HEAVY", sorted(heavy))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    heavy = result.stdout.splitlines()[-1]
    assert heavy == "HEAVY []"


@pytest.mark.parametrize(
    ("command", "only_command", "only_function"),
    [
        ("train", {"dry_run"}, {"progress"}),
        ("sample", set(), set()),
        ("evaluate", {"as_json"}, {"progress"}),
        ("compare", {"as_json"}, {"markdown", "latex", "csv"}),
        ("show", {"as_json"}, set()),
    ],
)
def test_a_command_has_the_options_of_its_function(
    command: str, only_command: set[str], only_function: set[str]
) -> None:
    from ganvas import cli

    options = set(inspect.signature(getattr(cli, command)).parameters)
    arguments = set(inspect.signature(getattr(ganvas, command)).parameters)
    assert options - only_command == arguments - only_function
    assert only_command <= options and only_function <= arguments


def test_resolve_takes_what_train_takes_to_settle_its_settings() -> None:
    train = inspect.signature(ganvas.train).parameters
    resolve = inspect.signature(ganvas.resolve).parameters
    assert set(train) - set(resolve) == {"outdir", "data_root", "progress"}
    assert set(resolve) <= set(train)


@pytest.mark.parametrize("name", ["train", "resolve", "sample", "show", "evaluate", "compare"])
def test_all_but_the_first_argument_are_by_keyword(name: str) -> None:
    first, *others = inspect.signature(getattr(ganvas, name)).parameters.values()
    assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in others)
