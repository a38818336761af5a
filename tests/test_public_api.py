"""The public names, what importing them costs, and that commands and functions are one."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import Any

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


@pytest.mark.slow_after(6)
@pytest.mark.parametrize(
    "code",
    [
        "import ganvas",
        "import ganvas; ganvas.Run; ganvas.UsageError; ganvas.RunError",
        "from ganvas import cli; sys.argv = ['ganvas', '--help']; run(cli.main)",
        "from ganvas import cli; sys.argv = ['ganvas', 'train', '--help']; run(cli.main)",
        "import ganvas, inspect; [inspect.signature(getattr(ganvas, n)) for n in verbs]",
        "import ganvas; assert ganvas.list('recipes')",
        "from ganvas.verbs import completion as c; c.names('q'), c.metrics(''), c.settings('')",
        "from ganvas import cli; sys.argv = ['ganvas', 'train', '--set', 'seed']; run(cli.main, 2)",
        "from ganvas import cli; sys.argv = ['ganvas', 'train', '--epochs', '0']; run(cli.main, 2)",
        "from ganvas import cli; sys.argv = ['ganvas', 'train', '--resume', 'x']; run(cli.main, 2)",
        "from ganvas import cli; sys.argv = ['ganvas', 'train', '--set', 'loss.name=hing']; "
        "run(cli.main, 2)",
        "from ganvas import cli; sys.argv = ['ganvas', 'train', '--data', 'x.npz']; "
        "run(cli.main, 2)",
        "from ganvas import cli; sys.argv = ['ganvas', 'sample', 'nowhere']; run(cli.main, 2)",
        "from ganvas import cli; sys.argv = ['ganvas', 'evaluate', 'nowhere']; run(cli.main, 2)",
        "from ganvas import cli; sys.argv = ['ganvas', 'evaluate', '.', '--data', 'minst']; "
        "run(cli.main, 2)",
        "from ganvas import cli; sys.argv = ['ganvas', 'data', 'inspect', 'a.npz']; "
        "run(cli.main, 2)",
    ],
)
def test_light_uses_load_neither_torch_nor_numpy(code: str) -> None:
    script = f"""
import sys
verbs = ["train", "resolve", "sample", "evaluate", "compare", "list", "show"]
def run(main, code=0):
    try:
        main()
    except SystemExit as end:
        assert end.code == code, end.code
{code}
heavy = {{"torch", "numpy", "matplotlib", "PIL", "safetensors", "sklearn"}} & set(sys.modules)
print("HEAVY", sorted(heavy))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    heavy = result.stdout.splitlines()[-1]
    assert heavy == "HEAVY []"


VERBS = ["train", "sample", "evaluate", "compare", "export", "list", "show"]


def commands() -> dict[str, set[str]]:
    """Each command's options by its name, as "train" or "data list"."""
    import typer

    from ganvas import cli

    whole: Any = typer.main.get_command(cli.app)
    inner = {f"data {name}": one for name, one in whole.commands["data"].commands.items()}
    found = {**whole.commands, **inner}
    del found["data"]
    return {name: {one.name for one in command.params} for name, command in found.items()}


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_has_the_options_of_its_function(verb: str) -> None:
    only_command = {"as_json"} | ({"dry_run"} if verb == "train" else set())
    only_function = {"progress"} if verb in ("train", "evaluate") else set()
    options = commands()[verb]
    arguments = set(inspect.signature(getattr(ganvas, verb)).parameters)
    assert options - only_command == arguments - only_function
    assert only_command <= options and only_function <= arguments


def test_every_command_prints_json_on_request() -> None:
    data = {"data list", "data show", "data fetch", "data inspect", "data clean"}
    assert set(commands()) == {*VERBS, "import", "studio", *data}
    prints = {name: options for name, options in commands().items() if name != "studio"}
    assert all("as_json" in options for options in prints.values())


@pytest.mark.parametrize("name", [*VERBS, "open_studio", "resolve"])
def test_a_function_says_what_its_arguments_are(name: str) -> None:
    """Its options' help is written once; the docstring has it too, the signature plain types."""
    function = getattr(ganvas, name)
    text = inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters.values():
        assert len(re.findall(rf"^    {parameter.name}: \S", text, re.MULTILINE)) == 1
        assert "OptionInfo" not in str(parameter)
    first, *rest = text.split("\n\n")
    assert "\n" not in first
    titles = [part.partition("\n")[0] for part in rest if re.match(r"[A-Z]\w+:\n", part)]
    assert titles == [one for one in ("Args:", "Returns:", "Raises:") if one in titles]


def test_resolve_takes_what_train_takes_to_settle_its_settings() -> None:
    train = inspect.signature(ganvas.train).parameters
    resolve = inspect.signature(ganvas.resolve).parameters
    assert set(train) - set(resolve) == {"outdir", "progress", "begin_with"}
    assert set(resolve) <= set(train)


@pytest.mark.parametrize(
    "name", ["train", "resolve", "sample", "show", "evaluate", "compare", "list"]
)
def test_all_but_the_first_argument_are_by_keyword(name: str) -> None:
    first, *others = inspect.signature(getattr(ganvas, name)).parameters.values()
    assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in others)
