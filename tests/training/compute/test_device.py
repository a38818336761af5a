"""Random states of whatever device there is; a Mac's is played by a fake."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganvas import config
from ganvas.errors import UsageError
from ganvas.training.checkpoint import load_checkpoint, save_checkpoint
from ganvas.training.compute.device import own_randomness, random_states, set_random_states
from ganvas.training.state import State, new_state

MPS = torch.device("mps")
CPU = torch.device("cpu")


class Mac:
    """The module of a device whose random numbers count up."""

    def __init__(self) -> None:
        self.state = torch.zeros(1, dtype=torch.uint8)

    def get_rng_state(self, device: torch.device) -> Tensor:
        assert device == MPS
        return self.state.clone()

    def set_rng_state(self, state: Tensor, device: torch.device) -> None:
        assert device == MPS
        self.state = state.clone()

    def draw(self) -> int:
        self.state += 1
        return int(self.state)


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Mac:
    fake = Mac()
    monkeypatch.setattr(torch, "get_device_module", lambda device: fake)
    return fake


def test_a_processor_has_one_stream() -> None:
    assert set(random_states(CPU)) == {"cpu"}


def test_the_devices_stream_is_put_back_with_the_processors(mac: Mac) -> None:
    before = random_states(MPS)
    drawn = mac.draw(), float(torch.rand(1))
    set_random_states(MPS, before)
    assert drawn == (mac.draw(), float(torch.rand(1)))
    with pytest.raises(KeyError, match="mps"):
        set_random_states(MPS, random_states(CPU))


def test_own_randomness_leaves_the_devices_stream_alone(mac: Mac) -> None:
    first = mac.draw()
    with own_randomness(MPS):
        mac.draw()
    assert mac.draw() == first + 1


def test_a_checkpoint_holds_the_devices_stream(
    mac: Mac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = config.build(config.read_recipe("cs231n-vanilla").tables)
    state = new_state(run, (1, 8, 8), CPU)
    save_checkpoint(state, tmp_path / "of-a-processor")
    monkeypatch.setattr(State, "device", property(lambda state: MPS))
    mac.draw()
    save_checkpoint(state, tmp_path / "of-a-mac")
    drawn = mac.draw()
    mac.draw()
    load_checkpoint(state, tmp_path / "of-a-mac")
    assert mac.draw() == drawn
    with pytest.raises(UsageError, match="does not fit this run: 'mps'"):
        load_checkpoint(state, tmp_path / "of-a-processor")
