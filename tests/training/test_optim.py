"""The optimizer, against torch's own class."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from ganvas.config import AdamSettings, Ramp
from ganvas.schedules import Progress
from ganvas.training.optim import Adam, in_layout_of

SETTINGS = AdamSettings(learning_rate=3e-3, beta_1=0.4, beta_2=0.99, eps=1e-6)


def parameters() -> list[Tensor]:
    torch.manual_seed(0)
    image = torch.randn(4, 3, 5, 2).contiguous(memory_format=torch.channels_last)
    return [image.requires_grad_(), torch.randn(7, requires_grad=True), torch.randn(2, 2)]


def gradients(of: list[Tensor], step: int) -> None:
    """The first has one from the start, the second from its second step, the third never."""
    for place, parameter in enumerate(of):
        if place < min(step + 1, 2):
            rng = torch.Generator().manual_seed(10 * step + place)
            parameter.grad = torch.empty_like(parameter).copy_(
                torch.randn(parameter.shape, generator=rng)
            )


def test_it_takes_the_steps_of_torchs_class_bit_for_bit() -> None:
    ours, theirs = parameters(), parameters()
    one = Adam(ours, SETTINGS)
    two = torch.optim.Adam(theirs, lr=3e-3, betas=(0.4, 0.99), eps=1e-6, fused=True)
    for step in range(4):
        gradients(ours, step)
        gradients(theirs, step)
        one.step()
        two.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        one.zero_grad()
        two.zero_grad()
        assert all(parameter.grad is None for parameter in ours)
    expected = two.state_dict()["state"]
    assert set(one.moments) == set(expected) == {0, 1}
    for place, moments in one.moments.items():
        assert list(moments) == list(expected[place])
        assert all(torch.equal(moments[key], expected[place][key]) for key in moments)


@pytest.mark.parametrize("form", ["paper", "tensorflow"])
def test_it_goes_on_from_copies_of_moments(form: Literal["paper", "tensorflow"]) -> None:
    settings = replace(SETTINGS, eps_form=form)
    ends = []
    for break_at in (None, 2):
        moved = parameters()
        optimizer = Adam(moved, settings)
        for step in range(4):
            if step == break_at:
                saved = {
                    place: {key: value.clone().contiguous() for key, value in moments.items()}
                    for place, moments in optimizer.moments.items()
                }
                optimizer = Adam(moved, settings)
                optimizer.load(saved)
                for moments in saved.values():
                    moments["exp_avg"].fill_(torch.nan)  # they were copied
            gradients(moved, step)
            optimizer.step()
        ends.append(moved)
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_where_eps_is_added() -> None:
    """Step 1 with gradient 2 and eps 1: 0.1 * 2 / (2 + 1), or with eps / sqrt(1 - 0.99) for eps."""
    for form, move in (("paper", 0.2 / 3), ("tensorflow", 0.2 / (2 + 1 / math.sqrt(1 - 0.99)))):
        value = torch.zeros(1, requires_grad=True)
        settings = AdamSettings(learning_rate=0.1, beta_2=0.99, eps=1.0, eps_form=form)
        value.grad = torch.full((1,), 2.0)
        Adam([value], settings).step()
        torch.testing.assert_close(value.detach(), torch.tensor([-move]))


@pytest.mark.parametrize("on_device", [False, True])
def test_in_tensorflows_form_all_parameters_have_the_optimizers_count(on_device: bool) -> None:
    """The first has gradients in steps 1 to 3, the second in 2 and 4; t is 4 at the end."""
    values = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    settings = AdamSettings(learning_rate=0.1, beta_1=0.5, beta_2=0.75, eps_form="tensorflow")
    optimizer = Adam(values, settings)
    if on_device:  # as on CUDA, where a captured step reads the step size from there
        optimizer._rate_on_device = torch.tensor(0.1)
    expected, m, v = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for t, having in enumerate(((0,), (0, 1), (0,), (1,)), 1):
        for place, value in enumerate(values):
            value.grad = torch.full((1,), 2.0) if place in having else None
        optimizer.step()
        for place in having:
            m[place], v[place] = m[place] / 2 + 1.0, 0.75 * v[place] + 1.0
            rate = 0.1 * math.sqrt(1 - 0.75**t) / (1 - 0.5**t)
            expected[place] -= rate * m[place] / (math.sqrt(v[place]) + 1e-8)
        torch.testing.assert_close(torch.cat(values).detach(), torch.tensor(expected))
    steps = [float(optimizer.moments[place]["step"]) for place in (0, 1)]
    assert steps == [3, 4]


def test_moments_of_other_parameters_are_refused() -> None:
    saved = {1: {"step": torch.ones(()), "exp_avg": torch.ones(6), "exp_avg_sq": torch.ones(6)}}
    optimizer = Adam(parameters(), SETTINGS)
    with pytest.raises(ValueError, match=r"moments of shape \[6\] for a parameter of shape \[7\]"):
        optimizer.load(saved)
    assert not optimizer.moments


def test_values_take_their_parameters_layout() -> None:
    values = torch.randn(4, 3, 5, 2)
    parameter = torch.zeros(4, 3, 5, 2).to(memory_format=torch.channels_last)
    for value in (values, values.to(memory_format=torch.channels_last)):
        made = in_layout_of(parameter, value)
        assert torch.equal(made, values) and made.stride() == parameter.stride()


def test_training_imports_no_compiler() -> None:
    """torch._dynamo takes a second to import, and nothing here compiles."""
    code = (
        "import sys, torch\n"
        "from ganvas import config\n"
        "from ganvas.batch import Batch\n"
        "from ganvas.training.state import new_state\n"
        "run = config.build(config.read_recipe('quickstart').tables)\n"
        "state = new_state(run, (1, 8, 8), torch.device('cpu'))\n"
        "batch = Batch(torch.zeros(4, 1, 8, 8))\n"
        "run.update.step(state.players, run.loss, run.penalty, batch)\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_step_size_follows_its_schedule() -> None:
    """Adam's first step is the step size itself, whatever the gradient."""
    value = torch.zeros(1, requires_grad=True)
    rate = Ramp.parse("0.1 to 0.02 from 9 images to 10 images")
    optimizer = Adam([value], AdamSettings(learning_rate=rate, eps=1e-12))
    for images, expected in ((0, -0.1), (9, -0.2), (10, -0.22)):
        optimizer.follow(Progress(images))
        value.grad = torch.ones(1)
        optimizer.step()
        torch.testing.assert_close(value.detach(), torch.tensor([expected]))


def test_the_second_decay_follows_its_schedule() -> None:
    """A mean square v goes to b v + (1 - b) g^2 with the b of the moment, 0.9 and then 0.5."""
    value = torch.zeros(1, requires_grad=True)
    decay = Ramp.parse("0.9 to 0.5 from 9 images to 10 images")
    optimizer = Adam([value], AdamSettings(beta_2=decay))
    for images, expected in ((0, 0.1 * 4), (10, 0.5 * 0.1 * 4 + 0.5 * 4)):
        optimizer.follow(Progress(images))
        value.grad = torch.full((1,), 2.0)
        optimizer.step()
        torch.testing.assert_close(optimizer.moments[0]["exp_avg_sq"], torch.tensor([expected]))


@pytest.mark.parametrize("on_device", [False, True])
def test_schedules_hold_in_tensorflows_form_too(on_device: bool) -> None:
    """With g = 1, m = 1 - b1^t: a step is the rate by sqrt(1 - b2^t) / sqrt(v), b2 the moment's."""
    value = torch.zeros(1, requires_grad=True)
    settings = AdamSettings(
        learning_rate=Ramp.parse("0.1 to 0.2 over 10 images"),
        beta_1=0.5,
        beta_2=Ramp.parse("0.5 to 0.75 over 10 images"),
        eps=1e-12,
        eps_form="tensorflow",
    )
    optimizer = Adam([value], settings)
    if on_device:
        optimizer._rate_on_device = torch.tensor(0.1)
    second = 0.2 * math.sqrt((1 - 0.75**2) / (0.75 * 0.5 + 0.25))
    for images, expected in ((0, -0.1), (10, -0.1 - second)):
        optimizer.follow(Progress(images))
        value.grad = torch.ones(1)
        optimizer.step()
        torch.testing.assert_close(value.detach(), torch.tensor([expected]))


def test_its_pace_is_the_mean_step_in_learning_rates() -> None:
    """After one step it is 1: the mean gradient and its root mean square are the same."""
    value = torch.tensor([1.0, 2.0], requires_grad=True)
    optimizer = Adam([value], AdamSettings(learning_rate=0.5, beta_1=0.5, beta_2=0.75, eps=1e-12))
    assert optimizer.pace() == math.inf
    value.grad = torch.tensor([3.0, -4.0])
    optimizer.step()
    assert optimizer.pace() == pytest.approx(1.0)
    value.grad = torch.tensor([-3.0, -4.0])
    optimizer.step()
    # the first: mean (0.5 x 1.5 - 1.5) / 0.75 = -1, square (0.75 x 2.25 + 2.25) / 0.4375 = 9
    assert optimizer.pace() == pytest.approx((1 / 3 + 1) / 2)


def test_its_factor_is_on_top_of_the_schedule() -> None:
    moved = []
    for settings, factor in ((0.5, 0.1), (0.05, 1.0)):
        value = torch.tensor([1.0], requires_grad=True)
        optimizer = Adam([value], AdamSettings(learning_rate=settings))
        optimizer.factor = factor
        optimizer.follow(Progress(0, 0.0))
        value.grad = torch.tensor([3.0])
        optimizer.step()
        moved.append(float(value.detach()))
    assert moved[0] == moved[1] != 1.0
