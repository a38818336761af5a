"""Steps: the same as a plain loop, and fit to be captured; on CUDA, captured and replayed.

What a CUDA graph asks of a step can be tested on a processor: that it finds its tensors where they
were, and that no value decides what it does. The rest needs a GPU (marker `gpu`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ganvas import config
from ganvas.batch import Batch, Latents
from ganvas.config import AdamSettings, Run
from ganvas.config.length import Lengths
from ganvas.data.loader import Loader
from ganvas.data.store import Store
from ganvas.drawing import draw_sheet
from ganvas.errors import RunError, UsageError
from ganvas.images import to_float
from ganvas.pixels import ImageSet
from ganvas.registry import LATENTS, MODELS, UPDATES
from ganvas.rundir import RunFolder
from ganvas.schedules import START, Progress
from ganvas.training.checkpoint import load_checkpoint, save_checkpoint
from ganvas.training.compute.device import wait_for
from ganvas.training.compute.graph import (
    WARM_UP,
    Captured,
    Steps,
    check_device,
    obstacle,
)
from ganvas.training.optim import Adam
from ganvas.training.players import Players, inference
from ganvas.training.state import State, new_state

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)
IMAGES = np.random.default_rng(0).integers(0, 256, (76, *SHAPE), dtype=np.uint8)
"""At 8 a batch: 9 full steps an epoch, and a short one of 4."""

RULES: dict[str, dict[str, Any]] = {
    "alternating": {},
    "generator-first": {"update.first": "generator"},
    "shared": {"update.first": "generator", "update.fakes": "shared"},
    "merged": {"update.d_batch": "merged"},
    "separate": {"update.d_batch": "separate", "update.fake_mode": "inference"},
    "two-d-steps": {"update.d_steps": 2, "train.batch_size": 4},
    "simultaneous": {"update.name": "simultaneous"},
    "controller": {"update.name": "controller"},
}
CAPTURABLE = [rule for rule in RULES if rule != "controller"]


def make_run(rule: str, model: str = "quickstart", **more: Any) -> Run:
    changes: dict[str, Any] = {
        "model.name": model,
        "latent.dims": 4,
        "train.batch_size": 8,
        "train.drop_last": False,
    }
    if model == "quickstart":
        changes["model.width"] = 16
    changes |= RULES[rule] | more
    return config.build(
        config.override(config.read_recipe("cs231n-vanilla").tables, list(changes.items()))
    )


def begin(run: Run, device: torch.device = CPU) -> tuple[State, Loader]:
    torch.manual_seed(run.seed)
    lengths = Lengths.of(run, len(IMAGES))
    state = new_state(run, SHAPE, device)
    store = Store(ImageSet(IMAGES), device, with_labels=False)
    loader = Loader(store, lengths, run.train.order, run.seed, run.model.value_range)
    return state, loader


def plain_loop(run: Run, num: int) -> tuple[State, dict[str, list[float]]]:
    """The method in its plainest form: batch after batch into the update rule."""
    state, loader = begin(run)
    images = torch.from_numpy(IMAGES)
    curves: dict[str, list[float]] = {}
    for _, indices in zip(range(num), loader.indices(0), strict=False):
        real = to_float(images[indices], *run.model.value_range)
        scalars = run.update.step(state.players, run.loss, run.penalty, Batch(real))
        for key, value in scalars.items():
            curves.setdefault(key, []).append(value.item())
        state.step += 1
    return state, curves


def everything(state: State) -> dict[str, Tensor]:
    """All tensors that a step changes, by name."""
    found = {
        f"{name}.{key}": value
        for name, net in (("G", state.players.G), ("D", state.players.D))
        for key, value in net.state_dict().items()
    }
    for name, optimizer in state.players.optimizers.items():
        for index, moments in optimizer.moments.items():
            found |= {f"{name}.{index}.{key}": value for key, value in moments.items()}
    if state.average is not None:
        found |= {f"average.{k}": value for k, value in state.average.net.state_dict().items()}
    found["strength"] = state.players.augment.strength
    return found | {f"sums.{key}": value for key, value in state.sums.items()}


def assert_same(one: State, two: State) -> None:
    """But for the sums, bit for bit; random streams too."""
    a, b = ({k: v for k, v in everything(s).items() if "sums" not in k} for s in (one, two))
    assert set(a) == set(b)
    assert [key for key in a if not torch.equal(a[key], b[key])] == []
    assert torch.equal(one.players.stream.get_state(), two.players.stream.get_state())
    assert one.memory == two.memory and one.step == two.step


# The same as a plain loop


@pytest.mark.parametrize(
    ("rule", "model"),
    [(rule, "quickstart") for rule in RULES] + [("simultaneous", "mnist-classes")],
)
def test_steps_are_those_of_a_plain_loop_bit_for_bit(rule: str, model: str) -> None:
    """Over two epochs of ten steps, the tenth a short one, with the sums cleared on the way."""
    run = make_run(rule, model)
    expected, curves = plain_loop(run, 20)
    expected_rng = torch.get_rng_state()
    state, loader = begin(run)
    steps = Steps(run, state, loader, run.update.step)
    for end in (7, 20):
        start = state.step
        for _ in range(end - start):
            steps.take(START)
        assert state.summed == end - start
        for key, values in curves.items():
            total = torch.zeros(())
            for value in values[start:end]:
                total += value
            assert torch.equal(state.sums[key], total), key
        state.clear_sums()
    assert_same(state, expected)
    assert torch.equal(torch.get_rng_state(), expected_rng)


@pytest.mark.parametrize("rule", ["alternating", "simultaneous", "controller"])
@pytest.mark.parametrize("stop", [5, 9, 10])
def test_steps_go_on_from_a_checkpoint_bit_for_bit(rule: str, stop: int, tmp_path: Path) -> None:
    run = make_run(rule)
    whole, loader = begin(run)
    steps = Steps(run, whole, loader, run.update.step)
    for _ in range(stop):
        steps.take(START)
    save_checkpoint(whole, tmp_path / "checkpoint")
    for _ in range(20 - stop):
        steps.take(START)
    rng = torch.get_rng_state()

    resumed, loader = begin(run)
    load_checkpoint(resumed, tmp_path / "checkpoint")
    steps = Steps(run, resumed, loader, run.update.step)
    for _ in range(20 - stop):
        steps.take(START)
    assert_same(resumed, whole)
    assert resumed.summed == whole.summed == 20
    assert resumed.sums.keys() == whole.sums.keys()
    assert all(torch.equal(resumed.sums[key], whole.sums[key]) for key in whole.sums)
    assert torch.equal(torch.get_rng_state(), rng)


def test_what_an_update_returns_may_be_overwritten_by_the_next() -> None:
    """As the scalars of a captured step are: one piece of memory for all steps."""
    state, _ = begin(make_run("alternating"))
    scalar = torch.zeros(())
    for value in (1.0, 2.0, 4.0):
        state.accumulate({"D/loss": scalar.fill_(value)})
    assert state.sums["D/loss"].item() == 7.0
    state.clear_sums()
    state.accumulate({"D/loss": scalar.fill_(8.0)})
    assert state.sums["D/loss"].item() == 8.0


# Fit to be captured


@pytest.mark.parametrize(
    ("rule", "model"),
    [(rule, "quickstart") for rule in CAPTURABLE] + [("simultaneous", "mnist-classes")],
)
def test_a_step_finds_every_tensor_where_the_step_before_left_it(
    rule: str, model: str, tmp_path: Path
) -> None:
    """A replay writes to the addresses of the capture, whatever has gone on in between."""
    run = make_run(rule, model)
    state, loader = begin(run)
    steps = Steps(run, state, loader, run.update.step)
    steps.take(START)
    places = {key: value.data_ptr() for key, value in everything(state).items()}
    latents = Latents(run.latent.sample(4, torch.Generator()))
    for _ in range(3):
        for _ in range(4):
            steps.take(START)
        state.clear_sums()
        draw_sheet(state.players.G, latents, run.model)
        save_checkpoint(state, tmp_path / "checkpoint")
    assert {key: value.data_ptr() for key, value in everything(state).items()} == places
    assert all(key in places for key in ("G.0.exp_avg", "D.0.step", "sums.G/loss"))


class Reads(TorchDispatchMode):
    """Counts the times that a value comes from a tensor to Python: on CUDA, a wait for the device.

    And the tensors made of Python's values: on CUDA, copies from the processor's memory. Neither
    can be captured.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values = self.tensors = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        self.values += function is torch.ops.aten._local_scalar_dense.default
        self.tensors += function is torch.ops.aten.lift_fresh.default
        return function(*arguments, **(options or {}))


def test_reads_are_counted() -> None:
    tensor = torch.ones(2)
    with Reads() as reads:
        assert tensor.sum() > 1 and float(tensor[0]) == 1.0 and bool(tensor.any())
        assert torch.tensor(1.0).shape == ()
    assert (reads.values, reads.tensors) == (3, 1)


@pytest.mark.parametrize("rule", RULES)
def test_only_rules_that_say_so_can_be_captured(rule: str) -> None:
    run = make_run(rule)
    state, loader = begin(run)
    indices = next(loader.indices(0))
    steps = Steps(run, state, loader, run.update.step)
    steps._play(indices)  # optimizers make their moments in the first one
    with Reads() as reads:
        steps._play(indices)
    assert (reads.values == reads.tensors == 0) == run.update.capturable


@pytest.mark.parametrize("name", LATENTS.names())
def test_only_latents_that_say_so_can_be_captured(name: str) -> None:
    latent = LATENTS.get(name)(dims=64)
    generator = torch.Generator().manual_seed(0)
    with Reads() as reads:
        latent.sample(64, generator)
    assert not latent.capturable or reads.values == reads.tensors == 0


ON_THE_WAY = {
    "r1": {"penalty.name": "r1", "penalty.weight": "1 to 0.1 over 1000 images"},
    "r1-r2": {"penalty.name": "r1-r2"},
    "gradient-penalty": {"penalty.name": "gradient-penalty"},
    "finite-difference": {"penalty.name": "finite-difference"},
    "diffaugment": {"augment.name": "diffaugment", "augment.flips": True},
    "adaptive": {"augment.name": "adaptive", "loss.name": "relativistic"},
    "rate": {"optim.generator.learning_rate": "1e-3 to 0 over 1000 images"},
    "average": {"ema.half_life": 100.0},
}


@pytest.mark.parametrize("settings", ON_THE_WAY.values(), ids=ON_THE_WAY)
def test_what_changes_on_the_way_can_be_captured(settings: dict[str, Any]) -> None:
    """Neither a value is read nor a tensor made of one, and what changes stays where it lies."""
    run = make_run("alternating", **settings)
    assert obstacle(run) is None
    state, loader = begin(run)
    indices = next(loader.indices(0))
    steps = Steps(run, state, loader, run.update.step)
    steps.take(START)
    where = {key: value.data_ptr() for key, value in everything(state).items()}
    with Reads() as reads:
        steps._play(indices)
    assert reads.values == reads.tensors == 0
    steps.take(Progress(100))
    assert {key: value.data_ptr() for key, value in everything(state).items()} == where


@pytest.mark.parametrize("model", MODELS.names())
def test_a_step_needs_no_values(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device there are none, and nothing on the processor mixes with what is there."""
    shape = (3, 32, 32) if "cifar" in model else (1, 64, 64) if "firstgan" in model else (1, 28, 28)
    run = make_run("simultaneous", model)
    with torch.device("meta"):
        nets = [run.model.generator(shape, 4), run.model.discriminator(shape)]
    optimizers = {
        key: torch.optim.SGD(net.parameters(), 0.1, foreach=False)
        for key, net in zip("GD", nets, strict=True)
    }
    latent = SimpleNamespace(sample=lambda num, rng: torch.randn(num, 4, device="meta"))
    state = State(Players(*nets, optimizers, latent, torch.Generator()))  # type: ignore[arg-type]
    real = to_float(torch.zeros(8, *shape, dtype=torch.uint8, device="meta"), -1.0, 1.0)
    for rule in ("separate", "simultaneous"):
        update = make_run(rule).update
        scalars = update.step(state.players, run.loss, run.penalty, Batch(real))
        state.accumulate(scalars)
    assert {value.device.type for value in state.sums.values()} == {"meta"}


def test_the_step_size_of_tensorflows_adam_needs_no_values() -> None:
    """On CUDA it follows from a count on the device, which a replay moves on."""
    value = torch.ones(2, requires_grad=True)
    optimizer = Adam([value], AdamSettings(learning_rate=0.5, eps_form="tensorflow"))
    optimizer._rate_on_device = torch.tensor(0.5)
    value.grad = torch.ones(2)
    for _ in range(3):
        optimizer.step()
    with Reads() as reads:
        rate = optimizer._corrected_rate()
    assert isinstance(rate, Tensor) and (reads.values, reads.tensors) == (0, 0)
    expected = 0.5 * (1 - 0.999**3) ** 0.5 / (1 - 0.5**3)
    assert rate.dtype == torch.float32 and rate.item() == pytest.approx(expected)


def test_components_say_whether_they_can_be_captured() -> None:
    assert {name: UPDATES.get(name).capturable for name in UPDATES.names()} == {
        "alternating": True,
        "simultaneous": True,
        "controller": False,
    }
    assert {name: LATENTS.get(name).capturable for name in LATENTS.names()} == {
        "normal": True,
        "uniform": True,
        "truncated-normal": False,
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"latent.name": "uniform"}, None),
        ({"latent.name": "truncated-normal"}, "latent.name = 'truncated-normal'"),
        ({"update.name": "controller"}, "update.name = 'controller'"),
        ({"optim.generator.beta_2": "0.9 to 0.99"}, "a ramp as optim.generator.beta_2"),
    ],
    ids=str,
)
def test_what_stands_in_the_way_is_said(settings: dict[str, Any], expected: str | None) -> None:
    found = obstacle(make_run("alternating", **settings))
    assert found is None if expected is None else expected in str(found)


def test_a_component_that_does_not_say_is_not_captured() -> None:
    run = SimpleNamespace(update=UPDATES.get("controller")(), latent=object())
    assert "'controller'" in str(obstacle(run))  # type: ignore[arg-type]


# The setting


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_on_another_device_it_is_an_error(device: str) -> None:
    run = make_run("alternating", **{"train.cuda_graphs": True})
    with pytest.raises(UsageError, match=f"train.cuda_graphs: found true on device '{device}'"):
        check_device(run, torch.device(device))
    check_device(run, torch.device("cuda", 0))
    check_device(make_run("alternating"), torch.device(device))


def test_on_a_processor_it_is_one_line_and_nothing_is_written(cli: Any, tmp_path: Path) -> None:
    result = cli("train", "--device", "cpu", "--set", "train.cuda_graphs=true", "--outdir", "run")
    assert result.code == 2 and len(result.err.splitlines()) == 1
    assert "train.cuda_graphs: found true on device 'cpu'" in result.err
    assert not list(tmp_path.iterdir())


# On a GPU


@pytest.fixture
def cuda() -> Iterator[torch.device]:
    """A CUDA device on which the same kernels give the same sums."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield torch.device("cuda", torch.cuda.current_device())
    torch.backends.cudnn.deterministic = before


def graphs(rule: str, model: str = "quickstart", **more: Any) -> tuple[Run, Run]:
    """A run without CUDA graphs and the same run with them."""
    settings = {"train.precision": "float32", "train.order": "shuffled"} | more
    return (
        make_run(rule, model, **settings),
        make_run(rule, model, **settings | {"train.cuda_graphs": True}),
    )


def take(run: Run, state: State, loader: Loader, num: int) -> Steps:
    steps = Steps(run, state, loader, run.update.step)
    for _ in range(num):
        steps.take(START)
    return steps


def is_replaying(steps: Steps) -> bool:
    return steps._captured is not None and steps._captured._graph is not None


def assert_close(one: State, two: State, start: State) -> None:
    """Counts and random streams are equal, weights differ by little of what they have moved.

    A replay with old images or latents, or a step too many, makes them differ as much as they move.
    """
    assert one.step == two.step and one.summed == two.summed
    assert torch.equal(one.players.stream.get_state(), two.players.stream.get_state())
    a, b, before = everything(one), everything(two), everything(start)
    assert set(a) == set(b)
    for key, value in a.items():
        if key.endswith((".step", "num_batches_tracked")):
            assert torch.equal(value, b[key]), key
    moved = torch.stack([(a[k] - before[k]).abs().mean() for k in before if "weight" in k]).mean()
    apart = torch.stack([(a[k] - b[k]).abs().mean() for k in before if "weight" in k]).mean()
    assert moved > 0 and apart < 0.02 * moved, f"apart {float(apart):.3g} of {float(moved):.3g}"
    for key in one.sums:
        assert float(one.sums[key]) == pytest.approx(float(two.sums[key]), rel=0.02, abs=0.02)


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["quickstart", "mnist-classes"])
@pytest.mark.parametrize("rule", CAPTURABLE)
def test_replays_train_as_calls_do(rule: str, model: str, cuda: torch.device) -> None:
    """Over 50 steps in 5 epochs, with dropout and BatchNorm, each epoch's last step a short one."""
    states, streams = [], []
    for run in graphs(rule, model):
        state, loader = begin(run, cuda)
        steps = take(run, state, loader, 50)
        assert is_replaying(steps) == run.train.cuda_graphs
        states.append(state)
        streams.append(torch.cuda.get_rng_state(cuda))
    assert_close(*states, begin(run, cuda)[0])
    assert torch.equal(*streams), "dropout's stream"


@pytest.mark.gpu
def test_replays_train_as_calls_do_in_tensorflows_form(cuda: torch.device) -> None:
    """The step size is corrected by a count that replays move on."""
    forms = {f"optim.{net}.eps_form": "tensorflow" for net in ("generator", "discriminator")}
    states = []
    for run in graphs("merged", **forms):
        state, loader = begin(run, cuda)
        take(run, state, loader, 50)
        assert all(float(o._taken) == 50 for o in state.players.optimizers.values())
        states.append(state)
    assert_close(*states, begin(run, cuda)[0])


@pytest.mark.gpu
def test_the_latest_scalars_are_those_of_the_newest_step(cuda: torch.device) -> None:
    """Called, captured, replayed, or on the short batch between replays."""
    _, run = graphs("alternating")
    state, loader = begin(run, cuda)
    steps = Steps(run, state, loader, run.update.step)
    for _ in range(25):
        before = {key: value.clone() for key, value in state.sums.items()}
        steps.take(0)
        for key, value in state.latest.items():
            gained = float(state.sums[key] - before.get(key, 0.0))
            assert float(value) == pytest.approx(gained, abs=1e-4)


@pytest.mark.gpu
def test_the_first_steps_are_steps_of_the_run(cuda: torch.device) -> None:
    """Warm-up and capture add none, and the step that is captured is done once."""
    for num in range(1, WARM_UP + 4):
        states = []
        for run in graphs("alternating"):
            state, loader = begin(run, cuda)
            steps = take(run, state, loader, num)
            assert is_replaying(steps) == (run.train.cuda_graphs and num > WARM_UP)
            for optimizer in state.players.optimizers.values():
                assert float(optimizer.moments[0]["step"]) == num
            states.append(state)
        assert_close(*states, begin(graphs("alternating")[0], cuda)[0])


@pytest.mark.gpu
@pytest.mark.parametrize("rule", ["alternating", "simultaneous"])
@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (1, 1)])
def test_a_checkpoint_goes_on_with_graphs_and_without(
    rule: str, first: int, second: int, cuda: torch.device, tmp_path: Path
) -> None:
    """Written by one kind of run at step 14, read by the other; whole is the plain one."""
    runs = graphs(rule)
    whole, loader = begin(runs[0], cuda)
    take(runs[0], whole, loader, 40)
    stream = torch.cuda.get_rng_state(cuda)

    state, loader = begin(runs[first], cuda)
    take(runs[first], state, loader, 14)
    save_checkpoint(state, tmp_path / "checkpoint")
    resumed, loader = begin(runs[second], cuda)
    load_checkpoint(resumed, tmp_path / "checkpoint")
    for key, value in everything(state).items():
        assert torch.equal(everything(resumed)[key], value), key
    take(runs[second], resumed, loader, 26)
    assert torch.equal(torch.cuda.get_rng_state(cuda), stream)
    assert_close(resumed, whole, begin(runs[0], cuda)[0])


@pytest.mark.gpu
def test_a_stopped_run_with_graphs_goes_on_bit_for_bit(cuda: torch.device, tmp_path: Path) -> None:
    _, run = graphs("alternating")
    whole, loader = begin(run, cuda)
    steps = take(run, whole, loader, 23)
    save_checkpoint(whole, tmp_path / "checkpoint")
    for _ in range(20):
        steps.take(START)
    resumed, loader = begin(run, cuda)
    load_checkpoint(resumed, tmp_path / "checkpoint")
    take(run, resumed, loader, 20)
    assert_same(resumed, whole)


@pytest.mark.gpu
def test_what_goes_on_between_replays_changes_nothing(cuda: torch.device, tmp_path: Path) -> None:
    _, run = graphs("alternating")
    states = []
    for busy in (False, True):
        state, loader = begin(run, cuda)
        steps = Steps(run, state, loader, run.update.step)
        rng = torch.Generator(cuda).manual_seed(5)
        latents = Latents(torch.randn(32, 4, device=cuda, generator=rng))
        for _ in range(40):
            steps.take(START)
            if busy:
                draw_sheet(state.players.G, latents, run.model)
                with torch.no_grad(), inference(state.players.D, True):
                    state.players.judge(Batch(torch.zeros(8, *SHAPE, device=cuda)))
                torch.full((1 << 20,), float("nan"), device=cuda)  # over whatever memory is free
                save_checkpoint(state, tmp_path / "checkpoint")
        states.append(state)
    one, two = (everything(state) for state in states)
    assert all(bool(value.isfinite().all()) for value in two.values())
    assert [key for key in one if not torch.equal(one[key], two[key])] == []


@pytest.mark.gpu
def test_sums_are_of_all_steps_since_they_were_cleared(cuda: torch.device) -> None:
    totals: list[dict[str, float]] = []
    for run in graphs("simultaneous"):
        state, loader = begin(run, cuda)
        steps = take(run, state, loader, 12)
        state.clear_sums()
        for _ in range(6):
            steps.take(START)
        assert state.summed == 6
        totals.append({key: float(value) for key, value in state.sums.items()})
    assert totals[1] == pytest.approx(totals[0], rel=0.02)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_recipe_trains_with_graphs_from_the_command(
    precision: str, cuda: torch.device, tmp_path: Path, cli: Any
) -> None:
    settings = {"train.cuda_graphs": True, "train.precision": precision, "train.drop_last": False}
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    options = [option.replace("True", "true").replace("False", "false") for option in options]
    result = cli("train", "--device", "cuda", "--epochs", 2, "--outdir", "run", *options)
    assert (result.code, result.err) == (0, "")
    assert "warning" not in result.out
    lines = RunFolder(tmp_path / "run").read_log()
    assert all(0 < line["D/loss"] < 5 for line in lines)
    assert (tmp_path / "run" / "generator" / "model.safetensors").is_file()


@pytest.mark.gpu
def test_a_rule_that_cannot_be_captured_trains_and_says_so(
    cuda: torch.device, tmp_path: Path, cli: Any
) -> None:
    result = cli(
        "train", "--device", "cuda", "--epochs", 1, "--outdir", "run",
        "--set", "update.name=controller", "--set", "train.cuda_graphs=true",
    )  # fmt: skip
    assert result.code == 0
    assert result.out.count("train.cuda_graphs has no effect with update.name = 'controller'") == 1


@pytest.mark.gpu
def test_a_step_that_reads_values_is_one_line(cuda: torch.device) -> None:
    state, _ = begin(graphs("alternating")[1], cuda)
    value = torch.ones((), device=cuda)
    captured = Captured(lambda: float(value) and None, state)
    for _ in range(WARM_UP):
        captured()
    with pytest.raises(RunError, match=r"cannot be captured in a CUDA graph: .*cuda_graphs=false"):
        captured()


@pytest.mark.gpu
def test_throughput_with_and_without(cuda: torch.device) -> None:
    """Prints the rates (-s shows them); no claim is made of them here."""
    import time

    for run in graphs("simultaneous", "mnist-classes", **{"train.drop_last": True}):
        state, loader = begin(run, cuda)
        steps = take(run, state, loader, 20)
        wait_for(cuda)
        start = time.perf_counter()
        for _ in range(200):
            steps.take(START)
        wait_for(cuda)
        rate = 200 / (time.perf_counter() - start)
        print(f"cuda_graphs={run.train.cuda_graphs}: {rate:,.0f} steps/s")
        assert all(bool(value.isfinite().all()) for value in everything(state).values())
