"""From unconditional to conditional: what is told of the class on the way, and exact resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ganvas
from ganvas.config import Ramp
from ganvas.errors import UsageError
from ganvas.models.modern import Modern
from ganvas.rundir import RunFolder
from ganvas.schedules import Progress
from ganvas.training.labels import Fading

RAMP = Ramp.parse("0 to 1 from 20 % to 60 %")
MODEL = Modern(width=2, dense=8, labels="on", label_fade=RAMP)
LABELS = torch.tensor([0, 1, 2])


def test_the_share_follows_the_ramp_in_both_nets() -> None:
    G, D = MODEL.generator((1, 8, 8), 4, 3), MODEL.discriminator((1, 8, 8), 3)
    fading = Fading(MODEL, (G, D))
    for share, expected in ((0, 0), (0.2, 0), (0.3, 0.25), (0.4, 0.5), (0.6, 1), (1, 1)):
        fading.follow(Progress(0, share))
        found = [float(net.classes.share) for net in (G, D)]  # type: ignore[arg-type]
        assert found == pytest.approx([expected, expected])


def test_before_it_begins_the_class_makes_no_difference() -> None:
    """Halfway G gets half of an embedding, and D adds half of its projection."""
    torch.manual_seed(0)
    G, D = MODEL.generator((1, 8, 8), 4, 3).eval(), MODEL.discriminator((1, 8, 8), 3).eval()
    z, images = torch.randn(1, 4).expand(3, 4), torch.randn(1, 1, 8, 8).expand(3, 1, 8, 8)
    fading = Fading(MODEL, (G, D))
    fading.follow(Progress(0, 0.0))
    drawn, plain = G(z, LABELS), D(images, LABELS)
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(plain[0], plain[2])
    fading.follow(Progress(0, 0.6))
    whole = D(images, LABELS)
    assert not torch.equal(whole[0], whole[2])
    fading.follow(Progress(0, 0.4))
    torch.testing.assert_close(D(images, LABELS), (plain + whole) / 2)
    half = 0.5 * G.classes.weight  # type: ignore[operator, union-attr]
    torch.testing.assert_close(G(z, LABELS), G.net(torch.cat([z, half], dim=1)))  # type: ignore[operator]
    torch.testing.assert_close(G(z, torch.eye(3)), G(z, LABELS))


def test_without_a_ramp_nets_are_as_they_were() -> None:
    plain = Modern(width=2, dense=8, labels="on")
    for net in (plain.generator((1, 8, 8), 4, 3), plain.discriminator((1, 8, 8), 3)):
        assert not any("share" in key for key in net.state_dict())
        Fading(plain, [net]).follow(Progress(0, 0.5))


@pytest.mark.parametrize("wrong", ["0 to 2", "-1 to 1", 1.5, "fast"])
def test_a_share_lies_between_0_and_1(wrong: Any) -> None:
    settings = {"model.name": "modern", "model.labels": "on", "model.label_fade": wrong}
    with pytest.raises(UsageError, match=r"model\.label_fade: found .*; allowed: "):
        ganvas.resolve("quickstart", settings=settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 epochs of 3 steps; the fade begins after 20 % and ends after 60 %."""
    folder = tmp_path_factory.mktemp("fading")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (48, 8, 8), dtype=np.uint8)
    np.savez(folder / "set.npz", images=images, labels=np.arange(48) % 3)
    settings = {
        "model.name": "modern", "model.width": 2, "model.dense": 8, "model.labels": "on",
        "model.label_fade": "0 to 1 from 20 % to 60 %",
        "latent.name": "normal", "latent.dims": 4, "ema.half_life": 50.0,
        "train.batch_size": 16, "train.length": "6 epochs", "train.device": "cpu",
        "output.grid": [3, 4], "output.keep_checkpoints": 9,
        "evaluate.metrics": "1nn-labels20", "evaluate.every": "3 epochs",
    }  # fmt: skip
    ganvas.train(
        "cs231n-vanilla",
        data=folder / "set.npz",
        settings=settings,
        outdir=folder / "run",
        progress=False,
    )
    return folder / "run"


def state(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / "state.safetensors")


def test_a_run_fades_and_its_generator_holds_how_far(run: Path) -> None:
    checkpoints = sorted((run / "checkpoints").iterdir())
    shares = [float(state(path)["D.classes.share"]) for path in checkpoints]
    assert shares[0] == 0 and 0 < shares[2] < 1 and shares[-1] == 1
    assert shares == sorted(shares)
    generator = ganvas.load(run)
    assert 0.9 < float(generator.net.classes.share) <= 1  # type: ignore[arg-type]
    same, other = generator.sample(2, labels=0), generator.sample(2, labels=1)
    assert not np.array_equal(same, other)


def test_its_labelled_fakes_are_measured_on_the_way(run: Path) -> None:
    """As `ganvas evaluate` measures them, which knows the labels that were drawn."""
    rows = RunFolder(run).read_metrics()
    assert [row["metric"] for row in rows] == ["1nn-labels20"] * 2
    (row,) = ganvas.evaluate(run, metrics="1nn-labels20", split="train")
    assert row.values == rows[-1]["values"] and 0 < row.values["error"] < 1


def test_it_goes_on_in_the_midst_of_it_to_the_bit(run: Path) -> None:
    checkpoints = sorted((run / "checkpoints").iterdir())
    whole = state(checkpoints[-1])
    ganvas.train(resume=checkpoints[2], progress=False)
    again = state(sorted((run / "checkpoints").iterdir())[-1])
    assert [key for key in whole if not torch.equal(whole[key], again[key])] == []
