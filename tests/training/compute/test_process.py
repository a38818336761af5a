"""Whether freed memory stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from ganvas.training.compute.process import flushes_denormals, tuned_process

CODE = """
import resource, torch
from ganvas.training.compute.process import give_back_memory, keep_freed_memory
{call}
def step():
    return [torch.ones(10_000_000) for _ in range(2)]  # 40 MB each
for _ in range(15):  # until there is room for all, wherever they are put
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(call: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(call=call)], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_pages_are_cleared_once() -> None:
    """5 times 80 MB are 100,000 pages of 4 kB, or 25,000 of 16 kB."""
    assert faults("") > 10_000, "the test would not see a difference"
    assert faults("keep_freed_memory()") < 1_000
    twice = "keep_freed_memory(); keep_freed_memory()"
    assert faults(twice) < 1_000
    assert faults("keep_freed_memory(); give_back_memory()") > 10_000


def test_the_process_is_as_before_when_a_run_ends() -> None:
    assert not flushes_denormals()
    with pytest.raises(RuntimeError), tuned_process(torch.device("cpu")):
        assert flushes_denormals()
        raise RuntimeError
    assert not flushes_denormals()


FLUSHED = """
import sys, torch
from ganvas.training.compute.process import tuned_process
torch.set_num_threads(4)
def flushed():
    convolved = torch.nn.functional.conv2d(
        torch.full((64, 16, 32, 32), 1e-37), torch.full((16, 16, 1, 1), 1e-3) / 16
    )
    product = torch.full((2048, 64), 1e-37) @ (torch.full((64, 512), 1e-3) / 64)
    scaled = torch.full((1 << 20,), 1e-38) * 1e-4
    return [round(float((x == 0).float().mean()), 3) for x in (convolved, product, scaled)]
if sys.argv[1] == "started":
    flushed()
for _ in range(2):
    with tuned_process(torch.device("cpu")):
        inside = flushed()
    print(inside, flushed())
"""


@pytest.mark.slow_after(1)
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another OpenMP")
@pytest.mark.parametrize("threads", ["started", "not started"])
def test_so_are_the_threads_of_torch(threads: str) -> None:
    """Whether they were there when the run began, or it started them."""
    done = subprocess.run(
        [sys.executable, "-c", FLUSHED, threads], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[1.0, 1.0, 1.0] [0.0, 0.0, 0.0]\n" * 2


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganvas.training.compute import process

    for error in (AttributeError, OSError, TypeError):

        def library(_: object, error: type[Exception] = error) -> object:
            raise error

        monkeypatch.setattr(process.ctypes, "CDLL", library)
        process.keep_freed_memory()
        process.give_back_memory()
        process.end_worker_threads()
