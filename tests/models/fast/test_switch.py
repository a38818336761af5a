"""One switch for all layers of a net."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ganvas.models.fast.switch import HasFastForm, use_fast
from ganvas.registry import MODELS


@pytest.mark.parametrize("name", MODELS.names())
def test_nets_are_plain_until_they_are_switched(name: str) -> None:
    model: Any = MODELS.get(name)()
    with torch.device("meta"):
        nets = model.generator((1, 32, 32), 8), model.discriminator((1, 32, 32))
    for net in nets:
        keys = list(net.state_dict())
        layers = [module for module in net.modules() if isinstance(module, HasFastForm)]
        assert not any(layer.fast for layer in layers)
        use_fast(net, True)
        assert all(layer.fast for layer in layers)
        assert list(net.state_dict()) == keys
        use_fast(net, False)
        assert not any(layer.fast for layer in layers)
