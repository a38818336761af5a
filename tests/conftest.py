"""Fixtures that several test files share: a tiny data set, a tiny run, the command line."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import platformdirs
import pytest

# One thread: the nets here are tiny, and threads that wait for each other on a busy machine make
# them a hundred times slower. Set before torch is imported; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

Train = Callable[..., Any]


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases of a test as slow that come after as many as its `slow_after` says."""
    seen = Counter[str]()
    for item in items:
        case = item.nodeid.partition("[")[0]
        seen[case] += 1
        mark = item.get_closest_marker("slow_after")
        if mark and seen[case] > mark.args[0]:
            item.add_marker("slow")


class Output(NamedTuple):
    """What a command left: its exit code and its two streams."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 random grey images of 8x8."""
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), dtype=np.uint8)
    np.savez(path, images=images)
    return path


@pytest.fixture(scope="session")
def tiny_settings(tiny_npz: Path) -> dict[str, Any]:
    """A run of 12 steps in 3 epochs as dotted settings; its nets have BatchNorm and dropout."""
    return {
        "recipe": "tiny",
        "data.name": "npz",
        "data.path": str(tiny_npz),
        "model.name": "quickstart",
        "model.width": 16,
        "latent.dims": 4,
        "train.order": "shuffled",
        "train.batch_size": 16,
        "train.length": "3 epochs",
        "train.device": "cpu",
        "output.log": "2 steps",
        "output.sample": "1 epoch",
        "output.grid": [2, 3],
        "evaluate.metrics": "none",
    }


@pytest.fixture(scope="session")
def train_tiny(tiny_settings: dict[str, Any]) -> Train:
    """train_tiny(outdir, **{"section.setting": value}) -> Trained."""

    def train(outdir: Path | None, resume: Path | None = None, **changes: Any) -> Any:
        import ganvas

        settings = {} if resume else tiny_settings | changes
        if "model.name" in changes:
            del settings["model.width"]
        recipe = None if resume else "cs231n-vanilla"
        return ganvas.train(recipe, settings=settings, outdir=outdir, resume=resume, progress=False)

    return train


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, train_tiny: Train) -> Path:
    """A finished run's folder; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def labelled_generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained generator of 8x8 grey images of five garments, saved; tests only read it."""
    import torch

    from ganvas import config
    from ganvas.classes import Classes
    from ganvas.generator import save_generator, snapshot

    tables = config.read_recipe("cs231n-dcgan").tables
    tables["model"] = {"name": "modern", "width": 2, "dense": 8, "labels": "on"}
    tables["latent"] = {"name": "normal", "dims": 4}
    run = config.build(tables)
    classes = Classes(("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"), (9, 9, 9, 9, 9))
    folder = tmp_path_factory.mktemp("labelled") / "generator"
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = run.model.generator((1, 8, 8), 4, num_classes=5)
        net.classes.weight.normal_()
        save_generator(folder, run, snapshot(run, net, (1, 8, 8), 0, classes))
    return folder


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Output]:
    """cli("sample", folder, "--num", 3) runs the command line in this process, in tmp_path."""
    monkeypatch.setenv("GANVAS_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: Any) -> Output:
        from ganvas.cli import main

        monkeypatch.setattr("sys.argv", ["ganvas", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        return Output(int(exit_.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, of playwright."""
    from playwright.sync_api import sync_playwright  # here: other tests do without

    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as started:
        found = started.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache folder, empty at first, for the tests of a file."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformdirs, "user_cache_dir", lambda app: str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the published data files; the test is skipped where there is none."""
    folder = os.environ.get("GANVAS_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the published data files in GANVAS_DATA")
    return Path(folder)
