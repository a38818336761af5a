"""A minute of load on a studio with a run that trains beside it: python benchmarks/studio_load.py

Twenty clients do what an open page does: each listens to the events and asks every second for a
run, its log since the last time and its newest sheet. Load and quiet take turns of SECONDS, so that
the training speed with it and without it, from the run's own log, is measured in turn.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from studio_server import studio

CLIENTS = 20
SECONDS = 15.0


class Client(threading.Thread):
    """An open page."""

    def __init__(self, port: int, token: str, run: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.port, self.root, self.run_id, self.stop = port, f"/{token}/api", run, stop
        self.took: list[float] = []
        self.failed = 0
        self.events = 0

    def run(self) -> None:
        listener = threading.Thread(target=self.listen, daemon=True)
        listener.start()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        offset = 0
        while not self.stop.is_set():
            began = time.monotonic()
            at = f"{self.root}/runs/{self.run_id}"
            detail = json.loads(self.ask(connection, at) or "{}")
            log = json.loads(self.ask(connection, f"{at}/log?offset={offset}&points=6000") or "{}")
            offset = log.get("offset", offset)
            if sheets := detail.get("sheets"):
                self.ask(connection, f"{at}/sheets/{sheets[-1]['file']}")
            self.stop.wait(max(0.0, 1 - (time.monotonic() - began)))
        connection.close()
        listener.join(5)

    def ask(self, connection: http.client.HTTPConnection, path: str) -> bytes:
        began = time.monotonic()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            content = answer.read()
            self.failed += answer.status != 200
        except OSError:
            connection.close()
            self.failed += 1
            content = b""
        self.took.append(time.monotonic() - began)
        return content

    def listen(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", f"{self.root}/events")
        answer = connection.getresponse()
        while not self.stop.is_set():
            self.events += answer.readline().startswith(b"event: runs")
        connection.close()


def memory(pid: int) -> float:
    """Megabytes that a process holds."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in x)
    return int(line.split()[1]) / 1000


def worked(pid: int) -> float:
    """Seconds of a processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def newest(log: Path) -> tuple[float, float]:
    """Images shown by now, and the time."""
    lines = log.read_text().splitlines() if log.exists() else []
    return (json.loads(lines[-1])["images"] if lines else 0.0), time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = Path(place) / "runs"
        runs.mkdir()
        minutes = (2 * given.rounds * given.seconds + 60) / 60
        train = ["train", given.recipe, "--minutes", f"{minutes:.1f}", "--outdir", str(runs / "a")]
        often = ["--set", "output.log=2 steps", "--set", "output.sample=1 epoch"]
        unmeasured = ["--set", "evaluate.metrics=none"]
        training = subprocess.Popen(
            [sys.executable, "-m", "ganvas", *train, *often, *unmeasured],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with studio(runs) as server:
                log = runs / "a/log.jsonl"
                while newest(log)[0] == 0:
                    time.sleep(0.5)
                time.sleep(10)  # until it runs evenly
                seconds = given.seconds
                measure(log, server.port, server.token, server.pid, given.rounds, seconds)
        finally:
            training.terminate()
            training.wait(60)


def measure(log: Path, port: int, token: str, pid: int, rounds: int, seconds: float) -> None:
    took: list[float] = []
    ratios, shares, held = [], [], [memory(pid)]
    failed = events = 0
    heads = "round|quiet, images/s|load, images/s|ratio|answered|slowest|studio's CPU|memory"
    print(f"| {' | '.join(heads.split('|'))} |")
    print("|---|---|---|---|---|---|---|---|")
    for i in range(rounds):
        speeds = {}
        for phase in ("quiet", "load") if i % 2 == 0 else ("load", "quiet"):
            stop = threading.Event()
            clients = [
                Client(port, token, "a", stop) for _ in range(CLIENTS if phase == "load" else 0)
            ]
            for client in clients:
                client.start()
            time.sleep(1)
            before, cpu = newest(log), worked(pid)
            time.sleep(seconds)
            after = newest(log)
            if clients:
                shares.append((worked(pid) - cpu) / (after[1] - before[1]))
            stop.set()
            for client in clients:
                client.join(30)
            speeds[phase] = (after[0] - before[0]) / (after[1] - before[1])
            if clients:
                mine = [one for client in clients for one in client.took]
                failed += sum(client.failed for client in clients)
                events += sum(client.events for client in clients)
                took += mine
        held.append(memory(pid))
        ratios.append(speeds["load"] / speeds["quiet"])
        print(
            f"| {i + 1} | {speeds['quiet']:,.0f} | {speeds['load']:,.0f} | {ratios[-1]:.3f} "
            f"| {len(mine):,} | {1000 * max(mine):,.0f} ms | {shares[-1]:.1%} | {held[-1]:.1f} MB |"
        )
    took.sort()
    asked = (
        f"{len(took):,} requests and {events:,} events in {rounds * (seconds + 1):.0f} s of load"
    )
    middle, most = statistics.median(took), took[int(0.99 * len(took))]
    print(
        f"\n{asked} from {CLIENTS} clients; {failed} not answered; median {1000 * middle:.0f} ms, "
        f"99 % within {1000 * most:.0f} ms, slowest {1000 * took[-1]:.0f} ms.\n"
        f"Memory {held[0]:.1f} MB before, {held[-1]:.1f} MB after.\n"
        f"The studio used {statistics.median(shares):.1%} of one core under load (median).\n"
        f"Load average of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n"
        f"Training speed with load: {statistics.median(ratios):.3f} of that without (median)."
    )


if __name__ == "__main__":
    main()
