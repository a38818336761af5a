"""--import: components of one's own through every verb, and never imported in silence."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ganvas import components
from ganvas.registry import LOSSES, METRICS, MODELS

Cli = Callable[..., Any]

LOSS = '''
import pathlib

import torch.nn.functional as F
from pydantic.dataclasses import dataclass

from ganvas.registry import CHECKED, LOSSES

(pathlib.Path(__file__).parent / "ran").touch()


@LOSSES.register("my-hinge")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MyHinge:
    """Mine."""

    margin: float = 1.0
    """Distance."""

    def discriminator(self, real, fake):
        return F.relu(self.margin - real).mean() + F.relu(self.margin + fake).mean()

    def generator(self, fake):
        return -fake.mean()

    def output(self, logits):
        return logits
'''
MODEL = '''
from pydantic.dataclasses import dataclass

from ganvas.models.quickstart import Quickstart
from ganvas.registry import CHECKED, MODELS


@MODELS.register("my-model")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MyModel(Quickstart):
    """Mine."""
'''

METRIC = '''
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from ganvas.metrics.metric import Measured, Metric
from ganvas.registry import CHECKED, METRICS


@METRICS.register("my-brightness")
@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MyBrightness(Metric):
    """Mine."""

    power: float = 1.0
    """Of grey levels."""
    needs: ClassVar = ("pixels",)
    better: ClassVar = {"off": "lower"}

    def statistics(self, real):
        return float(np.mean(real.pixels))

    def compare(self, statistics, fakes):
        return Measured({"off": abs(float(np.mean(fakes.pixels)) - statistics)})
'''


def forget() -> None:
    """As in a new process: my components are not known."""
    for registry, name in (
        (LOSSES, "my-hinge"), (MODELS, "my-model"), (METRICS, "my-brightness")
    ):  # fmt: skip
        cls = registry._classes.pop(name, None)
        registry._names.pop(cls, None)  # type: ignore[arg-type]
    for module in list(components._FILES):
        del components._FILES[module]
        sys.modules.pop(module, None)


@pytest.fixture(autouse=True)
def unknown_before_and_after() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.fixture
def own_loss(cli: Cli, tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run with a loss of its own, not known now; its file notes that it ran."""
    (tmp_path / "mine.py").write_text(LOSS)
    done = cli(
        "train", tiny_run / "config.toml", "--import", "mine.py", "--set", "loss.name=my-hinge",
        "--outdir", "run",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    forget()
    (tmp_path / "ran").unlink()
    return tmp_path / "run"


def test_without_it_the_name_is_unknown(cli: Cli, tiny_run: Path) -> None:
    done = cli("train", tiny_run / "config.toml", "--set", "loss.name=my-hinge")
    assert done.code == 2 and "unknown loss 'my-hinge'" in done.err
    assert "--import FILE|MODULE" in done.err


def test_the_run_folder_remembers_it(own_loss: Path, tmp_path: Path) -> None:
    tables = tomllib.loads((own_loss / "config.toml").read_text())
    assert tables["imports"] == [str(tmp_path / "mine.py")]
    config = json.loads((own_loss / "generator" / "config.json").read_text())
    assert config["imports"] == [str(tmp_path / "mine.py")]


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(
    "command",
    [
        ("train", "--resume", "run"),
        ("train", "run/config.toml", "--outdir", "other"),
        ("show", "run/config.toml"),
    ],
    ids=" ".join,
)
def test_code_that_a_folder_names_is_not_imported_in_silence(
    command: tuple[str, ...], own_loss: Path, cli: Cli, tmp_path: Path
) -> None:
    refused = cli(*command)
    assert refused.code == 2 and len(refused.err.splitlines()) == 1
    assert f"--import {tmp_path / 'mine.py'}" in refused.err and "trust" in refused.err
    assert not (tmp_path / "ran").exists() and not (tmp_path / "other").exists()
    given = cli(*command, "--import", "mine.py")
    assert (given.code, given.err) == (0, "")
    assert (tmp_path / "ran").exists()


@pytest.mark.slow_after(2)
@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_yes_at_a_terminal_is_consent(
    answer: str,
    code: int,
    own_loss: Path,
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import io

    answers = io.StringIO(answer)
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", answers)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    done = cli("show", own_loss / "config.toml", "--json")
    assert done.code == code
    assert f"has components of its own, in {tmp_path / 'mine.py'}. Run that code?" in done.err
    assert (tmp_path / "ran").exists() == (code == 0)
    if code == 0:
        assert json.loads(done.out)["loss"] == "my-hinge"  # the question is not in the result


def test_sample_and_evaluate_of_a_run_with_an_own_loss_agree(own_loss: Path, cli: Cli) -> None:
    """Neither needs it."""
    assert cli("sample", own_loss, "--num", 3).code == 0
    done = cli("evaluate", own_loss, "--split", "train", "--metrics", "fd", "--json")
    assert (done.code, done.err) == (0, "")
    (row,) = json.loads(done.out)
    assert row["step"] == 12 and row["values"]["distance"] > 0


def test_a_run_with_an_own_model_is_not_called_damaged(
    cli: Cli, tiny_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(MODEL)
    done = cli(
        "train", tiny_run / "config.toml", "--import", "mine.py", "--set", "model.name=my-model",
        "--outdir", "run",
    )  # fmt: skip
    assert done.code == 0
    forget()
    options = {"sample": ("--num", 3), "evaluate": ("--split", "train", "--metrics", "fd")}
    for verb, more in options.items():
        for what in ("run", "run/generator"):
            refused = cli(verb, what, *more)
            assert refused.code == 2 and "damaged" not in refused.err
            assert f"--import {tmp_path / 'mine.py'}" in refused.err
        done = cli(verb, "run", *more, "--import", "mine.py")
        assert (done.code, done.err) == (0, "")
        forget()


@pytest.fixture
def own_metric(cli: Cli, tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run that was measured by a metric of its own, not known now."""
    (tmp_path / "mine.py").write_text(METRIC)
    done = cli(
        "train", tiny_run / "config.toml", "--import", "mine.py", "--outdir", "run",
        "--evaluate", "my-brightness20", "--set", "metrics.my-brightness.power=2.0",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    forget()
    return tmp_path / "run"


def test_a_metric_of_ones_own_is_asked_for_by_its_name(own_metric: Path, cli: Cli) -> None:
    """Its name stands in the folder, which also says where it comes from."""
    for command in (
        ("train", "--resume", "run"),
        ("train", "run/config.toml", "--dry-run"),
        ("evaluate", "run", "--metrics", "my-brightness20"),
    ):
        refused = cli(*command)
        assert refused.code == 2 and len(refused.err.splitlines()) == 1, command
        assert f"--import {own_metric.parent / 'mine.py'}" in refused.err
    assert cli("evaluate", "run", "--metrics", "kd20").code == 0  # which needs it not
    given = cli("evaluate", "run", "--metrics", "my-brightness20", "--import", "mine.py", "--json")
    (row,) = json.loads(given.out)
    assert row["metric"] == "my-brightness20"
    assert row["settings"] == {"my-brightness": {"power": 2.0}}
    assert cli("train", "--resume", "run").code == 0  # it is known now


def test_a_metric_that_is_asked_for_by_name_alone_is_remembered(tmp_path: Path) -> None:
    import ganvas

    (tmp_path / "mine.py").write_text(METRIC)
    components.import_components(str(tmp_path / "mine.py"))
    run = ganvas.resolve(evaluate="my-brightness20")
    assert run.imports == (str(tmp_path / "mine.py"),)


def test_export_and_import_take_components_of_ones_own(
    tiny_run: Path, cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(MODEL)
    done = cli(
        "train", tiny_run / "config.toml", "--import", "mine.py", "--set", "model.name=my-model",
        "--set", "model.width=16", "--outdir", "run",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    forget()
    for command in (
        ("export", "run", "--to", "page"),
        ("import", "weights.pt", "--recipe", "run/config.toml"),
    ):
        refused = cli(*command)
        assert refused.code == 2 and "if you trust that code" in refused.err, command
    refused = cli("import", "weights.pt", "--recipe", "run/config.toml", "--import", "mine.py")
    assert "'weights.pt' does not exist" in refused.err
    forget()
    exported = cli("export", "run", "--to", "page", "--import", "mine.py")
    assert (exported.code, exported.err) == (0, "") and list(tmp_path.glob("*.html"))


def test_it_goes_on_where_it_was(own_loss: Path, cli: Cli, tmp_path: Path) -> None:
    """On resuming, the place of the code is no setting that may not change."""
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "mine.py").rename(moved / "mine.py")
    done = cli("train", "--resume", own_loss, "--import", "moved/mine.py")
    assert (done.code, done.err) == (0, "")
    tables = tomllib.loads((own_loss / "config.toml").read_text())
    assert tables["imports"] == [str(tmp_path / "mine.py")]


def test_it_is_listed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LOSS)
    assert (
        json.loads(cli("list", "losses", "--import", "mine.py", "--json").out)["losses"]["my-hinge"]
        == "Mine."
    )
    assert cli("show", "my-hinge").out.startswith("my-hinge (loss): Mine.")


def test_a_recipe_names_files_beside_itself(cli: Cli, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text(LOSS)
    (tmp_path / "lib" / "own.toml").write_text(
        'imports = ["mine.py"]\nextends = "quickstart"\n[loss]\nname = "my-hinge"\n'
    )
    refused = cli("train", "lib/own.toml", "--dry-run")
    assert f"--import {Path('lib') / 'mine.py'}" in refused.err
    done = cli("train", "lib/own.toml", "--dry-run", "--import", "lib/mine.py")
    assert (done.code, done.err) == (0, "")
    assert tomllib.loads(done.out)["imports"] == [str(tmp_path / "lib" / "mine.py")]


def test_components_of_an_imported_module_are_remembered_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from Python, where the module was imported without --import."""
    import ganvas

    (tmp_path / "my_losses.py").write_text(LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    importlib.import_module("my_losses")
    assert ganvas.resolve(settings={"loss.name": "my-hinge"}).imports == ("my_losses",)
    del sys.modules["my_losses"]


def test_a_run_takes_no_imports_besides() -> None:
    import ganvas

    with pytest.raises(ganvas.UsageError, match="^imports: found with a Run"):
        ganvas.resolve(ganvas.resolve(), imports=["x.py"])
