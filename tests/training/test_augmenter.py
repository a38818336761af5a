"""An augmentation in use: how its strength moves, and that a run with one repeats and resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ganvas.augment import Adaptive, DiffAugment
from ganvas.protocols import Scalars
from ganvas.training.augmenter import Augmenter


def lead(real: float, fake: float) -> Scalars:
    return {"D/real": torch.tensor(real), "D/fake": torch.tensor(fake)}


def test_the_strength_rises_while_d_leads_by_more_than_the_target() -> None:
    """50 of 1,000 images a step: a twentieth up each time that the running mean is above 0.6."""
    augmenter = Augmenter(Adaptive(target=0.6, span=1000))
    strengths = [augmenter.adapt(lead(1.0, 0.0), 50)["D/augmentation"].item() for _ in range(40)]
    # 1 - 0.9^n passes 0.6 at n = 9
    assert strengths[7] == 0.0
    assert strengths[8:12] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert max(strengths) == strengths[-1] == 1.0


def test_the_strength_falls_when_d_no_longer_leads() -> None:
    augmenter = Augmenter(Adaptive(target=0.6, span=100))
    for _ in range(12):
        augmenter.adapt(lead(1.0, 0.0), 50)
    assert augmenter.strength == 1.0
    for _ in range(12):
        augmenter.adapt(lead(0.5, 0.5), 50)
    assert augmenter.strength == 0.0


def test_others_do_not_move_nor_log() -> None:
    augmenter = Augmenter(DiffAugment())
    scalars = lead(1.0, 0.0)
    assert augmenter.adapt(scalars, 50) is scalars and augmenter.strength == 1.0


def test_the_state_comes_back() -> None:
    one = Augmenter(Adaptive(target=0.1, span=1000), seed=3)
    x = torch.rand(4, 1, 8, 8)
    for _ in range(5):
        one(x)
        one.adapt(lead(1.0, 0.0), 50)
    kept = {key: value.clone() for key, value in one.state().items()}
    two = Augmenter(Adaptive(target=0.1, span=1000), seed=4)
    two.load(kept)
    for _ in range(3):
        assert torch.equal(one(x), two(x))
        assert one.adapt(lead(0.9, 0.2), 50) == two.adapt(lead(0.9, 0.2), 50)


def test_no_augmentation_has_no_state() -> None:
    assert Augmenter().state() == {}
    x = torch.rand(4, 1, 8, 8)
    assert Augmenter()(x) is x


# In a run


def newest(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(max((folder / "checkpoints").iterdir()) / "state.safetensors")


@pytest.mark.parametrize("name", ["diffaugment", "adaptive"])
def test_a_run_goes_on_to_the_bit(name: str, train_tiny: Any, tmp_path: Path) -> None:
    on = {"augment.name": name, "output.keep_checkpoints": 3}
    on |= {"augment.target": 0.001, "augment.span": 1000} if name == "adaptive" else {}
    folder = tmp_path / "run"
    train_tiny(folder, **on)
    whole = newest(folder)
    train_tiny(None, resume=min((folder / "checkpoints").iterdir()))
    again = newest(folder)
    assert [key for key in whole if not torch.equal(whole[key], again[key])] == []
    line = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    assert ("D/augmentation" in line) == (name == "adaptive")
    assert {key for key in whole if key.startswith("augment.")} == (
        {"augment.rng", "augment.strength", "augment.lead"}
        if name == "adaptive"
        else {"augment.rng"}
    )


def test_what_d_sees_changes_the_run(train_tiny: Any, tiny_run: Path, tmp_path: Path) -> None:
    plain = newest(tiny_run)
    augmented = newest(train_tiny(tmp_path / "run", **{"augment.name": "diffaugment"}).folder)
    assert not torch.equal(plain["D.1.weight"], augmented["D.1.weight"])
    assert torch.equal(plain["rng.latents"], augmented["rng.latents"])


def test_differences_and_augmentations_do_not_go_together(train_tiny: Any, tmp_path: Path) -> None:
    from ganvas.errors import UsageError

    on = {"augment.name": "diffaugment", "penalty.name": "finite-difference"}
    with pytest.raises(UsageError, match=r"penalty\.name: found 'finite-difference'.*allowed: r1"):
        train_tiny(tmp_path / "run", **on)
    assert not (tmp_path / "run" / "config.toml").exists()
    with pytest.raises(UsageError, match="bfloat16"):
        train_tiny(
            tmp_path / "run",
            **{"train.precision": "bfloat16"} | {"penalty.name": on["penalty.name"]},
        )
