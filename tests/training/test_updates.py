"""Each update rule equals the same update written by hand with plain gradient descent.

`Hand` below repeats the method with matrix products, explicit gradients and `p -= rate * g`. It
shares no code with the rules: no optimizer, no module, no loss component.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganvas import config
from ganvas.batch import Batch
from ganvas.errors import RunError
from ganvas.losses.adversarial import NonSaturating
from ganvas.losses.penalties import NoPenalty
from ganvas.models.layers import KerasBatchNorm1d
from ganvas.training.joint import fewest_passes, generator_first, simultaneous
from ganvas.training.players import Players
from ganvas.training.state import new_state
from ganvas.training.updates import Alternating, Controller, Simultaneous

RATE = {"G": 0.3, "D": 0.2, "D_real": 0.2, "D_fake": 0.1}
NONE = NoPenalty()
REAL_TARGET, FAKE_TARGET, G_TARGET, SCALE = 0.9, 0.2, 0.8, 0.7
LOSS = NonSaturating(
    real_target=REAL_TARGET, fake_target=FAKE_TARGET, generator_target=G_TARGET, d_scale=SCALE
)


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Picture(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 1, 2, 2)


class Score(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1)


class Noise:
    dims = 3

    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        return torch.randn(num, 3, generator=generator)


def fresh_players(rule: Any, seed: int = 0) -> Players:
    """Small nets, BatchNorm in G, and SGD optimizers."""
    torch.manual_seed(seed)
    G = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4), Picture())
    D = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1), Score())
    nn.init.normal_(G[1].weight, 1.0, 0.3)
    nn.init.normal_(G[1].bias, 0.0, 0.3)
    nets = {"G": G, "D": D}
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.SGD(nets[net].parameters(), lr=RATE[name])
        for name, net in rule.optimizers.items()
    }
    return Players(G, D, optimizers, Noise(), torch.Generator().manual_seed(7))


def noise(seed: int = 7) -> Callable[[int], Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return lambda num: torch.randn(num, 3, generator=rng)


def reals(num: int, seed: int) -> Tensor:
    return torch.rand(num, 1, 2, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# The method by hand


def bce(logits: Tensor, target: float) -> Tensor:
    return (
        -(target * torch.log(torch.sigmoid(logits))).mean()
        - ((1 - target) * torch.log(1 - torch.sigmoid(logits))).mean()
    )


@dataclass
class Hand:
    g: list[Tensor]
    d: list[Tensor]
    mean: Tensor
    var: Tensor
    draw: Callable[[int], Tensor]
    seen: dict[str, float] = field(default_factory=lambda: {"g": 0.0, "real": 1.0, "fake": 1.0})

    @classmethod
    def of(cls, players: Players) -> Hand:
        copies = [[p.detach().clone() for p in net.parameters()] for net in (players.G, players.D)]
        norm = players.G[1]
        return cls(*copies, norm.running_mean.clone(), norm.running_var.clone(), noise())

    def G(self, z: Tensor, g: list[Tensor], inference: bool = False) -> Tensor:
        w1, b1, gamma, beta, w2, b2 = g
        h = z @ w1.T + b1
        mean, var = h.mean(0), ((h - h.mean(0)) ** 2).mean(0)
        if inference:
            mean, var = self.mean, self.var
        else:
            unbiased = var.detach() * len(h) / (len(h) - 1)
            self.mean = 0.9 * self.mean + 0.1 * mean.detach()
            self.var = 0.9 * self.var + 0.1 * unbiased
        h = torch.tanh((h - mean) / torch.sqrt(var + 1e-5) * gamma + beta)
        return (h @ w2.T + b2).reshape(-1, 1, 2, 2)

    def D(self, x: Tensor, d: list[Tensor]) -> Tensor:
        w1, b1, w2, b2 = d
        h = x.reshape(-1, 4) @ w1.T + b1
        return (torch.where(h > 0, h, 0.2 * h) @ w2.T + b2)[:, 0]

    def move(self, weights: list[Tensor], gradients: tuple[Tensor, ...], rate: float) -> None:
        for p, g in zip(weights, gradients, strict=True):
            p -= rate * g

    def down(self, net: str, loss: Callable[[list[Tensor]], Tensor], rate: float) -> None:
        weights = self.g if net == "g" else self.d
        leaves = [p.clone().requires_grad_() for p in weights]
        self.move(weights, torch.autograd.grad(loss(leaves), leaves), rate)

    def d_loss(self, d: list[Tensor], real: Tensor, fake: Tensor) -> Tensor:
        return SCALE * (bce(self.D(real, d), REAL_TARGET) + bce(self.D(fake, d), FAKE_TARGET))

    def alternating(self, rule: Alternating, batches: list[Tensor]) -> None:
        num = len(batches[-1])
        leaves = shared = None
        if rule.fakes == "shared":
            leaves = [p.clone().requires_grad_() for p in self.g]
            shared = self.G(self.draw(num), leaves)

        def generator() -> None:
            if shared is None:
                z = self.draw(num)
                self.down("g", lambda g: bce(self.D(self.G(z, g), self.d), G_TARGET), RATE["G"])
            else:
                loss = bce(self.D(shared, [p.clone() for p in self.d]), G_TARGET)
                assert leaves is not None
                self.move(self.g, torch.autograd.grad(loss, leaves), RATE["G"])

        def discriminator(real: Tensor) -> None:
            if rule.d_batch == "merged":
                real = real[: len(real) // 2]
            if shared is None:
                fake = self.G(self.draw(len(real)), self.g, rule.fake_mode == "inference")
            else:
                fake = shared.detach()[: len(real)]
            if rule.d_batch == "separate":
                self.down("d", lambda d: bce(self.D(real, d), REAL_TARGET), RATE["D"])
                self.down("d", lambda d: bce(self.D(fake, d), FAKE_TARGET), RATE["D"])
            else:
                self.down("d", lambda d: self.d_loss(d, real, fake), RATE["D"])

        if rule.first == "generator":
            generator()
        for real in batches:
            discriminator(real)
        if rule.first == "discriminator":
            generator()

    def simultaneous(self, real: Tensor) -> None:
        g = [p.clone().requires_grad_() for p in self.g]
        d = [p.clone().requires_grad_() for p in self.d]
        fake = self.G(self.draw(len(real)), g)
        for_g = torch.autograd.grad(bce(self.D(fake, d), G_TARGET), g, retain_graph=True)
        for_d = torch.autograd.grad(self.d_loss(d, real, fake), d)
        self.move(self.g, for_g, RATE["G"])
        self.move(self.d, for_d, RATE["D"])

    def controller(self, rule: Controller, real: Tensor) -> list[str]:
        done = []
        for name, limit in (
            ("fake", rule.d_fake_threshold),
            ("g", rule.g_threshold),
            ("real", rule.d_real_threshold),
        ):
            if self.seen[name] <= limit:
                continue
            done.append(name)
            g = [p.clone().requires_grad_() for p in self.g]
            d = [p.clone().requires_grad_() for p in self.d]
            fake = self.D(self.G(self.draw(len(real)), g), d)
            terms = {
                "g": bce(fake, G_TARGET),
                "real": bce(self.D(real, d), REAL_TARGET),
                "fake": bce(fake, FAKE_TARGET),
            }
            self.seen = {key: value.item() for key, value in terms.items()}
            if name == "g":
                self.move(self.g, torch.autograd.grad(terms["g"], g), RATE["G"])
            else:
                self.move(self.d, torch.autograd.grad(terms[name], d), RATE[f"D_{name}"])
        return done


def assert_same(players: Players, hand: Hand) -> None:
    for made, expected in (
        (list(players.G.parameters()), hand.g),
        (list(players.D.parameters()), hand.d),
        ([players.G[1].running_mean, players.G[1].running_var], [hand.mean, hand.var]),
    ):
        torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-7)


def weights(net: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in net.parameters()]


def all_equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


ALTERNATING = [
    Alternating(first=first, d_steps=d_steps, fakes=fakes, d_batch=d_batch, fake_mode=fake_mode)
    for first, d_steps, fakes, d_batch, fake_mode in itertools.product(
        ("discriminator", "generator"),
        (1, 3),
        ("fresh", "shared"),
        ("summed", "merged", "separate"),
        ("training", "inference"),
    )
    if not (fakes == "shared" and fake_mode == "inference")
]


@pytest.mark.parametrize("shared_passes", [False, True])
@pytest.mark.parametrize("rule", ALTERNATING, ids=str)
def test_alternating_equals_two_rounds_by_hand(rule: Alternating, shared_passes: bool) -> None:
    players = fresh_players(rule)
    step = fewest_passes(rule, LOSS, NONE, players.D) if shared_passes else rule.step
    hand = Hand.of(players)
    before = weights(players.G), weights(players.D)
    for round_ in range(2):
        batches = [reals(6, 10 * round_ + i) for i in range(rule.d_steps)]
        step(players, LOSS, NONE, Batch(torch.cat(batches)))
        hand.alternating(rule, batches)
        assert_same(players, hand)
    assert not all_equal(before[0], weights(players.G)) and not all_equal(
        before[1], weights(players.D)
    )


@pytest.mark.parametrize("step", [Simultaneous().step, simultaneous], ids=["rule", "joint"])
def test_simultaneous_equals_two_rounds_by_hand(step: Any) -> None:
    players = fresh_players(Simultaneous())
    hand = Hand.of(players)
    for round_ in range(2):
        step(players, LOSS, NONE, Batch(reals(6, round_)))
        hand.simultaneous(reals(6, round_))
        assert_same(players, hand)


@pytest.mark.parametrize(
    "rule",
    [
        Controller(),
        Controller(g_threshold=0.1, d_real_threshold=0.1, d_fake_threshold=0.1),
        Controller(d_fake_threshold=1.5),
        Controller(d_real_threshold=1.5),
        Controller(g_threshold=1.5, d_fake_threshold=0.01),
    ],
    ids=str,
)
def test_controller_equals_rounds_by_hand(rule: Controller) -> None:
    players = fresh_players(rule)
    hand = Hand.of(players)
    if rule.d_fake_threshold > 1:  # so that the first round has something to do
        hand.seen["g"] = players.memory["G/loss"] = 1.0
    for round_ in range(4):
        scalars = rule.step(players, LOSS, NONE, Batch(reals(6, round_)))
        done = hand.controller(rule, reals(6, round_))
        counts = {name: scalars[f"count/{name}"].item() for name in ("D_fake", "G", "D_real")}
        assert counts == {
            "D_fake": float("fake" in done),
            "G": float("g" in done),
            "D_real": float("real" in done),
        }
        assert_same(players, hand)
    assert players.memory["G/loss"] == pytest.approx(hand.seen["g"])
    assert players.memory["D/loss_real"] == pytest.approx(hand.seen["real"])
    assert players.memory["D/loss_fake"] == pytest.approx(hand.seen["fake"])


# Only the net that is updated moves or gathers gradients


def mark_gradients(net: nn.Module) -> None:
    for p in net.parameters():
        p.grad = torch.full_like(p, 123.0)


def untouched(net: nn.Module) -> bool:
    return all(p.grad is not None and bool((p.grad == 123.0).all()) for p in net.parameters())


@pytest.mark.parametrize("rule", ALTERNATING, ids=str)
def test_a_half_step_leaves_the_other_net_alone(rule: Alternating) -> None:
    players = fresh_players(rule)
    real = Batch(reals(6, 0))
    shared = players.generate(real) if rule.fakes == "shared" else None

    mark_gradients(players.G)
    before = weights(players.G), weights(players.D)
    rule.discriminator_steps(players, LOSS, NONE, [real], shared)
    assert all_equal(before[0], weights(players.G)) and untouched(players.G)
    assert not all_equal(before[1], weights(players.D))

    for p in players.G.parameters():
        p.grad = None
    mark_gradients(players.D)
    before = weights(players.G), weights(players.D)
    rule.generator_step(players, LOSS, real, shared)
    assert all_equal(before[1], weights(players.D)) and untouched(players.D)
    assert not all_equal(before[0], weights(players.G))

    assert all(p.requires_grad for net in (players.G, players.D) for p in net.parameters())
    assert players.G.training and players.D.training


@pytest.mark.parametrize(
    ("name", "term", "moved"),
    [("D_fake", "D/loss_fake", "D"), ("G", "G/loss", "G"), ("D_real", "D/loss_real", "D")],
)
def test_a_controlled_step_leaves_the_other_net_alone(name: str, term: str, moved: str) -> None:
    rule = Controller()
    players = fresh_players(rule)
    nets = {"G": players.G, "D": players.D}
    other = nets["D" if moved == "G" else "G"]
    mark_gradients(other)
    before = {key: weights(net) for key, net in nets.items()}
    rule.update(name, term, players, LOSS, NONE, Batch(reals(6, 0)))
    assert untouched(other)
    assert {key: all_equal(before[key], weights(nets[key])) for key in nets} == {
        "G": moved != "G",
        "D": moved != "D",
    }
    assert all(p.requires_grad for net in nets.values() for p in net.parameters())


def test_old_gradients_play_no_part() -> None:
    for rule in (Alternating(), Simultaneous(), Controller()):
        both = [fresh_players(rule), fresh_players(rule)]
        mark_gradients(both[1].G)
        mark_gradients(both[1].D)
        for players in both:
            rule.step(players, LOSS, NONE, Batch(reals(6, 0)))
        assert all_equal(weights(both[0].G), weights(both[1].G))
        assert all_equal(weights(both[0].D), weights(both[1].D))


# What the nets are shown


@dataclass
class Shown:
    """What D saw and what G made, in order."""

    to_d: list[Tensor] = field(default_factory=list)
    by_g: list[Tensor] = field(default_factory=list)
    g_training: list[bool] = field(default_factory=list)

    def watch(self, players: Players) -> Shown:
        players.D.register_forward_hook(lambda m, x, y: self.to_d.append(x[0].detach().clone()))

        def note(module: nn.Module, _: Any, output: Tensor) -> None:
            self.by_g.append(output.detach().clone())
            self.g_training.append(module.training)

        players.G.register_forward_hook(note)
        return self


@pytest.mark.parametrize("first", ["discriminator", "generator"])
def test_shared_fakes_are_the_very_fakes_that_g_is_trained_on(first: Any) -> None:
    rule = Alternating(first=first, fakes="shared")
    players = fresh_players(rule)
    shown = Shown().watch(players)
    rule.step(players, LOSS, NONE, Batch(reals(6, 0)))
    (made,) = shown.by_g
    places = [1, 2] if first == "discriminator" else [0, 2]
    assert len(shown.to_d) == 3
    for place in places:
        assert torch.equal(shown.to_d[place], made)
    assert torch.equal(shown.to_d[3 - sum(places)], reals(6, 0))


@pytest.mark.parametrize("first", ["discriminator", "generator"])
def test_fresh_fakes_are_made_from_new_noise_for_each_update(first: Any) -> None:
    rule = Alternating(first=first, d_steps=3)
    players = fresh_players(rule)
    shown = Shown().watch(players)
    rule.step(players, LOSS, NONE, Batch(reals(18, 0)))
    assert len(shown.by_g) == 4
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(shown.by_g, 2))


@pytest.mark.parametrize(
    ("d_batch", "sizes"),
    [("summed", [8, 8, 8]), ("separate", [8, 8, 8]), ("merged", [8, 8])],
)
def test_what_d_sees_at_once(d_batch: Any, sizes: list[int]) -> None:
    rule = Alternating(d_batch=d_batch)
    players = fresh_players(rule)
    shown = Shown().watch(players)
    real = reals(8, 0)
    rule.step(players, LOSS, NONE, Batch(real))
    assert [len(images) for images in shown.to_d] == sizes
    if d_batch == "merged":
        assert torch.equal(shown.to_d[0], torch.cat([real[:4], shown.by_g[0]]))
        assert [len(images) for images in shown.by_g] == [4, 8]
    else:
        assert torch.equal(shown.to_d[0], real) and torch.equal(shown.to_d[1], shown.by_g[0])


def test_every_d_step_has_reals_of_its_own() -> None:
    rule = Alternating(d_steps=3)
    assert rule.batches_per_step == 3
    players = fresh_players(rule)
    shown = Shown().watch(players)
    real = reals(12, 0)
    rule.step(players, LOSS, NONE, Batch(real))
    assert torch.equal(torch.cat(shown.to_d[0:6:2]), real)
    assert [len(images) for images in shown.to_d] == [4] * 7


@pytest.mark.parametrize("num", [5, 2, 6])
def test_a_short_last_batch_is_used_up(num: int) -> None:
    rule = Alternating(d_steps=3)
    players = fresh_players(rule)
    players.G[1] = nn.Identity()  # BatchNorm cannot train on one image
    shown = Shown().watch(players)
    real = reals(num, 0)
    rule.step(players, LOSS, NONE, Batch(real))
    assert torch.equal(torch.cat(shown.to_d[0:-1:2]), real)


def test_inference_fakes_leave_the_running_statistics_alone() -> None:
    for mode, moves in (("inference", False), ("training", True)):
        rule = Alternating(fake_mode=mode)  # type: ignore[arg-type]
        players = fresh_players(rule)
        shown = Shown().watch(players)
        before = players.G[1].running_mean.clone()
        rule.discriminator_steps(players, LOSS, NONE, [Batch(reals(6, 0))], None)
        assert torch.equal(before, players.G[1].running_mean) != moves
        assert shown.g_training == [moves]
        assert players.G.training
        before = players.G[1].running_mean.clone()
        rule.generator_step(players, LOSS, Batch(reals(6, 0)), None)
        assert not torch.equal(before, players.G[1].running_mean)
        assert shown.g_training[-1], "G trains in training mode"


def test_simultaneous_makes_one_pass() -> None:
    players = fresh_players(Simultaneous())
    shown = Shown().watch(players)
    Simultaneous().step(players, LOSS, NONE, Batch(reals(6, 0)))
    assert len(shown.by_g) == 1
    assert len(shown.to_d) == 2
    assert torch.equal(shown.to_d[0], reals(6, 0)) and torch.equal(shown.to_d[1], shown.by_g[0])


@pytest.mark.parametrize("value", [0.0, -2.1972246, 2.1972246, 40.0, -40.0, -95.0])
@pytest.mark.parametrize("fake_target", [0.0, FAKE_TARGET])
def test_one_backward_pass_is_as_good_as_two(value: float, fake_target: float) -> None:
    """Also where a gradient vanishes: sigmoid(-2.197) is 0.1, sigmoid(-95) is nothing."""
    loss = NonSaturating(real_target=REAL_TARGET, fake_target=fake_target, generator_target=0.9)
    found: dict[bool, list[Tensor]] = {}
    for together in (False, True):
        players = fresh_players(Simultaneous())
        with torch.no_grad():
            players.D[3].weight *= 1e-3
            players.D[3].bias.fill_(value)
        step = simultaneous if together else Simultaneous().step
        step(players, loss, NONE, Batch(reals(6, 0)))
        found[together] = [p.grad for net in (players.G, players.D) for p in net.parameters()]
    for one, two in zip(found[True], found[False], strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-7 * float(two.abs().max()) + 1e-12)
    assert any(bool(gradient.any()) for gradient in found[False])


class Passes(nn.Linear):
    """Counts the gradients that pass through it."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.backwards = 0
        self.register_full_backward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.backwards += 1


def test_one_backward_pass_is_one_on_each_batch() -> None:
    for together, passes in ((False, 3), (True, 2)):
        players = fresh_players(Simultaneous())
        players.D[3] = Passes(5, 1)
        step = simultaneous if together else Simultaneous().step
        step(players, LOSS, NONE, Batch(reals(6, 0)))
        assert players.D[3].backwards == passes


@pytest.mark.parametrize("norm_of", [nn.BatchNorm1d, KerasBatchNorm1d])
def test_shared_fakes_are_judged_once_if_that_is_the_same(norm_of: Any) -> None:
    """Parameters, running statistics and scalars are those of two passes."""
    rule = Alternating(first="generator", fakes="shared")
    ends: list[list[Tensor]] = []
    for repeatably, passes in ((False, 3), (True, 2)):
        players = fresh_players(rule)
        players.D[1] = nn.Sequential(players.D[1], norm_of(5, momentum=0.3))
        step = generator_first if repeatably else rule.step
        shown = Shown().watch(players)
        for round_ in range(3):
            scalars = step(players, LOSS, NONE, Batch(reals(6, round_)))
            assert len(shown.to_d) == passes * (round_ + 1)
        norm = players.D[1][1]
        assert int(norm.num_batches_tracked) == 9
        ends.append(
            [*weights(players.G), *weights(players.D), norm.running_mean, norm.running_var]
            + [scalars[key] for key in sorted(scalars)]
        )
    for once, twice in zip(*ends, strict=True):
        torch.testing.assert_close(once, twice, rtol=1e-6, atol=1e-9)


# What D sees


@pytest.mark.parametrize("d_steps", [1, 3])
@pytest.mark.parametrize("d_batch", ["summed", "merged", "separate"])
@pytest.mark.parametrize("num", [1, 2, 7, 12])
def test_reals_seen_are_those_that_d_is_shown(d_batch: Any, d_steps: int, num: int) -> None:
    """For merged batches half of what is drawn, rounded down, one at least."""
    rule = Alternating(d_batch=d_batch, d_steps=d_steps, fake_mode="inference")
    players = fresh_players(rule)
    players.G[1] = nn.Identity()
    images = reals(num, 0)
    shown = Shown().watch(players)
    rule.step(players, LOSS, NONE, Batch(images))
    rows = {tuple(image.flatten().tolist()) for batch in shown.to_d for image in batch}
    seen = sum(tuple(image.flatten().tolist()) in rows for image in images)
    assert rule.reals_seen(num) == seen
    if d_batch == "merged" and d_steps == 1:
        assert seen == max(1, num // 2)


# What is reported


@pytest.mark.parametrize(
    "rule", [Alternating(), Alternating(d_batch="merged"), Simultaneous()], ids=str
)
def test_scalars_are_those_of_the_updates_own_passes(rule: Any) -> None:
    players = fresh_players(rule)
    hand = Hand.of(players)
    real = reals(6, 0)
    scalars = rule.step(players, LOSS, NONE, Batch(real))
    if isinstance(rule, Alternating) and rule.d_batch == "merged":
        real = real[:3]
    fake = hand.G(hand.draw(len(real)), hand.g)
    on_real, on_fake = hand.D(real, hand.d), hand.D(fake, hand.d)
    expected = {
        "D/loss_real": bce(on_real, REAL_TARGET).item(),
        "D/loss_fake": bce(on_fake, FAKE_TARGET).item(),
        "D/loss": hand.d_loss(hand.d, real, fake).item(),
        "D/real": torch.sigmoid(on_real).mean().item(),
        "D/fake": torch.sigmoid(on_fake).mean().item(),
    }
    if isinstance(rule, Simultaneous):
        expected["G/loss"] = bce(on_fake, G_TARGET).item()
    assert set(scalars) == {*expected, "G/loss"}
    assert {key: scalars[key].item() for key in expected} == pytest.approx(expected)
    assert not any(value.requires_grad for value in scalars.values())
    assert all(value.shape == () for value in scalars.values())


# The controller


@dataclass
class Scripted:
    """A loss whose values do not depend on the nets, and whose gradients do."""

    g: float
    real: float
    fake: float

    def scripted(self, logits: Tensor, value: float) -> Tensor:
        return (logits - logits.detach()).mean() + value

    def generator(self, fake: Tensor) -> Tensor:
        return self.scripted(fake, self.g)

    def on_real(self, logits: Tensor) -> Tensor:
        return self.scripted(logits, self.real)

    def on_fake(self, logits: Tensor) -> Tensor:
        return self.scripted(logits, self.fake)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.on_real(real) + self.on_fake(fake)

    def output(self, logits: Tensor) -> Tensor:
        return logits


def counts(scalars: dict[str, Tensor]) -> tuple[int, int, int]:
    return tuple(int(scalars[f"count/{name}"]) for name in ("D_fake", "G", "D_real"))  # type: ignore[return-value]


def test_the_first_iteration_takes_all_three_kinds_of_step() -> None:
    rule = Controller()
    players = fresh_players(rule)
    with torch.no_grad():
        for p in players.D.parameters():
            p.mul_(0.01)  # so that all logits are near 0, all losses near 0.69
    scalars = rule.step(players, NonSaturating(), NONE, Batch(reals(6, 0)))
    assert counts(scalars) == (1, 1, 1)
    for key in ("G/loss", "D/loss_real", "D/loss_fake"):
        assert players.memory[key] == pytest.approx(0.693, abs=0.05)


@pytest.mark.parametrize(
    ("loss", "first", "second"),
    [
        (Scripted(g=0.75, real=0.375, fake=0.5), (1, 1, 0), (0, 1, 0)),
        (Scripted(g=0.5, real=0.46875, fake=0.75), (1, 0, 1), (1, 0, 1)),  # at, not above
        (Scripted(g=0.53125, real=0.4375, fake=0.625), (1, 1, 0), (0, 1, 0)),
        (Scripted(g=0.125, real=0.125, fake=0.75), (1, 0, 0), (1, 0, 0)),
        (Scripted(g=0.75, real=0.75, fake=0.75), (1, 1, 1), (1, 1, 1)),
    ],
    ids=str,
)
def test_thresholds_decide_on_the_losses_seen_last(
    loss: Scripted, first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    rule = Controller(d_fake_threshold=0.625, g_threshold=0.5, d_real_threshold=0.4375)
    players = fresh_players(rule)
    assert counts(rule.step(players, loss, NONE, Batch(reals(6, 0)))) == first
    assert counts(rule.step(players, loss, NONE, Batch(reals(6, 1)))) == second


def test_a_controller_that_nothing_moves_any_more_says_so() -> None:
    rule = Controller()
    players = fresh_players(rule)
    still = Scripted(g=0.1, real=0.1, fake=0.1)
    rule.step(players, still, NONE, Batch(reals(6, 0)))
    with pytest.raises(RunError, match="threshold"):
        rule.step(players, still, NONE, Batch(reals(6, 1)))


def test_the_controller_has_three_optimizers_with_moments_of_their_own() -> None:
    torch.set_default_dtype(torch.float32)
    tables = config.read_recipe("mnist-classes").tables
    changes = [("latent.dims", 3), ("train.precision", "float32")]
    run = config.build(config.override(tables, changes))
    players = new_state(run, (1, 8, 8), torch.device("cpu")).players
    players.latent, players.stream = Noise(), torch.Generator().manual_seed(7)
    assert set(players.optimizers) == {"G", "D_real", "D_fake"}
    for name, net in (("G", players.G), ("D_real", players.D), ("D_fake", players.D)):
        optimizer = players.optimizers[name]
        assert [id(p) for p in optimizer.parameters] == [id(p) for p in net.parameters()]
        assert optimizer.settings.learning_rate == 1e-4
        assert (optimizer.settings.beta_1, optimizer.settings.beta_2) == (0.9, 0.999)

    players.D.eval()  # no dropout, so that the gradients can be told beforehand
    real = torch.rand(6, 1, 8, 8)
    players.memory |= {"G/loss": 0.0, "D/loss_real": 1.0, "D/loss_fake": 1.0}
    gradients = {}
    inputs = list(players.D.parameters())
    z = noise()(6).float()
    fake = players.D(players.G(z))
    gradients["D_fake"] = torch.autograd.grad(F.softplus(fake).mean(), inputs)
    moments = {name: players.optimizers[name].moments for name in ("D_fake", "D_real")}
    rule = Controller(g_threshold=100.0)
    rule.step(players, NonSaturating(), NONE, Batch(real))
    places = range(len(inputs))
    moved = [moments["D_fake"][i]["exp_avg"] for i in places]
    torch.testing.assert_close(moved, [0.1 * g for g in gradients["D_fake"]], rtol=1e-3, atol=1e-7)
    others = [moments["D_real"][i]["exp_avg"] for i in places]
    assert not any(torch.allclose(a, b) for a, b in zip(moved, others, strict=True))
    assert all(moments[name][i]["step"] == 1 for name in moments for i in places)
    assert not players.optimizers["G"].moments


# Fused Adam


@pytest.mark.parametrize(
    ("rule", "model"),
    [
        ("alternating", "mnist-classes"),
        ("simultaneous", "mnist-classes"),
        ("controller", "mnist-classes"),
        ("simultaneous", "genzoo-mnist"),
        ("alternating", "cs231n-dcgan"),
    ],
)
def test_fused_adam_takes_plain_adams_steps(rule: str, model: str) -> None:
    """Fused Adam misplaces what is laid out in memory in another way than its parameter."""
    torch.set_default_dtype(torch.float32)
    tables = config.read_recipe("cs231n-vanilla").tables
    changes = [
        ("update.name", rule),
        ("model.name", model),
        ("latent.dims", 3),
        ("train.precision", "float32"),
        ("optim.generator.eps", 0.01),  # so that gradients that are round-off move nothing
        ("optim.discriminator.eps", 0.01),
    ]
    run = config.build(config.override(tables, changes))
    ends = []
    for fused in (True, False):
        players = new_state(run, (1, 16, 16), torch.device("cpu")).players
        players.latent, players.stream = Noise(), torch.Generator().manual_seed(7)
        if not fused:
            for name, net in run.update.optimizers.items():
                parameters = (players.G if net == "G" else players.D).parameters()
                players.optimizers[name] = torch.optim.Adam(
                    parameters, lr=1e-3, betas=(0.5, 0.999), eps=0.01, foreach=False, fused=False
                )
        start = weights(players.G) + weights(players.D)
        for i in range(2):
            real = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(i))
            run.update.step(players, run.loss, NONE, Batch(real))
        ends.append(
            [b - a for a, b in zip(start, weights(players.G) + weights(players.D), strict=True)]
        )
    for fused_change, plain_change in zip(*ends, strict=True):
        least = 1e-7 * plain_change.numel() ** 0.5
        off = (fused_change - plain_change).norm() / plain_change.norm().clamp(min=least)
        assert off < 0.01
