"""Components kept outside ganvas: imported once, by path or by name; what packages add."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ganvas import components
from ganvas.components import import_components
from ganvas.errors import UsageError
from ganvas.registry import LATENTS, METRICS, Registry, UnknownComponent


@pytest.fixture(autouse=True)
def forget_again(tmp_path: Path) -> Iterator[None]:
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_file_is_run_once_and_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("VALUE = 5\n")
    (tmp_path / "mine.py").write_text(
        "import pathlib\nimport beside_it\nassert beside_it.VALUE == 5\n"
        f"file = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "file.write_text((file.read_text() if file.exists() else '') + 'x')\n"
    )
    path = str(tmp_path / "mine.py")
    assert not components.is_imported(path)
    for _ in range(2):
        import_components(path)
    assert components.is_imported(path)
    assert (tmp_path / "count").read_text() == "x"
    assert str(tmp_path) not in sys.path


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        ran = tmp_path / folder / "ran"
        (tmp_path / folder / "mine.py").write_text(
            f"import pathlib\npathlib.Path({str(ran)!r}).touch()\n"
        )
        import_components(str(tmp_path / folder / "mine.py"))
        assert ran.exists()


def test_a_module_may_lie_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_parts.py").write_text("")
    monkeypatch.chdir(tmp_path)
    import_components("my_parts")
    assert "my_parts" in sys.modules
    assert components.remembered("my_parts") == "my_parts"
    assert components.remembered("my_parts.py") == str(tmp_path / "my_parts.py")


@pytest.mark.parametrize(
    ("what", "content", "said"),
    [
        ("nowhere.py", None, r"^--import: 'nowhere\.py' does not exist$"),
        ("no_such_module", None, r"^--import: 'no_such_module' cannot be imported: ModuleNotFound"),
        ("bad.py", "x = = 1", r"^--import: 'bad\.py' cannot be imported: SyntaxError: "),
        ("bad.py", "1 / 0", r"^--import: 'bad\.py' cannot be imported: ZeroDivisionError: "),
    ],
)
def test_what_cannot_be_imported_is_one_line_and_leaves_nothing(
    what: str, content: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / what).write_text(content)
    with pytest.raises(UsageError, match=said):
        import_components(what)
    assert not components.is_imported(what)


def entry(name: str, load: Any) -> SimpleNamespace:
    return SimpleNamespace(value=name, load=load, dist=SimpleNamespace(name="their-package"))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The entry points of the group, which a test fills."""
    found: list[Any] = []

    of_others = metadata.entry_points

    def entry_points(**asked: Any) -> Any:
        return found if asked == {"group": "ganvas.components"} else of_others(**asked)

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    for function in (components.import_installed, components.adds_components):
        function.cache_clear()
    yield found
    for function in (components.import_installed, components.adds_components):
        function.cache_clear()


def test_installed_packages_add_components_at_the_first_look_up(installed: list[Any]) -> None:
    registry = Registry("thing", "ganvas.latents")
    installed.append(entry("theirs", lambda: registry.register("theirs")(int)))
    assert registry.names() == ["theirs"] and registry.get("theirs") is int


def test_an_installed_package_that_is_broken_is_named(installed: list[Any]) -> None:
    def broken() -> None:
        raise ImportError("no module x")

    installed.append(entry("theirs.parts", broken))
    with pytest.raises(UsageError, match=r"'their-package' .*'theirs\.parts'.*ImportError: no mod"):
        Registry("thing", "ganvas.latents").names()


def test_a_name_is_refused_early_only_where_no_package_may_add_it(installed: list[Any]) -> None:
    registry = Registry("latent", "ganvas.latents", "LATENTS")
    with pytest.raises(UnknownComponent, match="unknown latent 'nomal': did you mean normal"):
        registry.refuse_early("nomal")
    assert registry.names_in_source() == set(LATENTS.names())
    installed.append(entry("theirs", int))
    components.adds_components.cache_clear()
    registry.refuse_early("nomal")


def test_another_spelling_is_not_refused_and_is_no_name_of_its_own(installed: list[Any]) -> None:
    registry = Registry("metric", "ganvas.metrics", "METRICS")
    registry.refuse_early("kernel-exact")
    with pytest.raises(UnknownComponent, match="unknown metric 'kernel-exat'"):
        registry.refuse_early("kernel-exat")
    assert registry.names_in_source() == set(METRICS.names())
