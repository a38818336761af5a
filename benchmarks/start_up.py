"""How long a user waits before anything happens: `ganvas --help`, `import ganvas`.

Each command is a fresh process, in turn with `python -c pass`; prints medians over the rounds.

    python benchmarks/start_up.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import ganvas": [sys.executable, "-c", "import ganvas"],
    "ganvas --help": [sys.executable, "-m", "ganvas", "--help"],
    "ganvas train --help": [sys.executable, "-m", "ganvas", "train", "--help"],
}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    print(f"{'command':<22} {'median':>8} {'min':>8} {'max':>8}   seconds, {rounds} rounds")
    for name, values in times.items():
        counted = values[1:]  # the first round warms the file cache
        median = statistics.median(counted)
        print(f"{name:<22} {median:8.3f} {min(counted):8.3f} {max(counted):8.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
