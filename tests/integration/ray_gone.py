"""Sweeps whose Ray dies, whose workers die, or that have no place; notes how each ended.

python -m tests.integration.ray_gone FOLDER, within namespaces
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cifar_tune.layout import LEDGER_NAME
from cifar_tune.results.ledger import events
from tests.integration.hosts import RAY_PORT, Host, Hosts, child_of

PATIENCE_SECONDS = 400.0

GCS, RAYLET = "gcs_server", "raylet"

LONG = ("--set", "trials_per_study=2000")

DIED = "its worker died; it waits for another"
EPOCHS = 60
WATCHFUL = {"RAY_memory_monitor_refresh_ms": "100"}

HELD = """
import time, ray
ray.init("auto", log_to_driver=False)
held = ray.remote(num_cpus=1)(type("Held", (), {})).remote()
ray.get(held.__ray_ready__.remote())
print("held", flush=True)
time.sleep(9999)
"""
"""A program of somebody else's that takes a core."""

SWEEP = """
name: small
trial:
  dataset: {name: digits, train_size: 200}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 32
  epochs: 6
scheduler: {name: none}
trials_per_study: 3
"""


class Scene:
    """A folder with a sweep file, and how its sweeps ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ended: dict[str, object] = {}
        (folder / "small.yaml").write_text(SWEEP)

    def started(self, host: Host, name: str, *words: str) -> subprocess.Popen[bytes]:
        """A sweep of this name; what it writes goes to a file."""
        command = [sys.executable, "-m", "cifar_tune.sweep", "small.yaml", "--results", f"results/{name}", *words]
        with (self.folder / f"{name}.txt").open("wb") as file:
            return subprocess.Popen(
                host.command(*command, folder=self.folder), env=host.environment(), stdout=file, stderr=file
            )

    def begun(self, name: str, epochs: int = 3) -> bool:
        """Whether its trials have finished so many epochs."""
        ledger = self.folder / "results" / name / LEDGER_NAME
        return ledger.is_file() and sum(1 for _ in events(ledger, kind="epoch")) >= epochs

    def deaths(self, name: str) -> int:
        """How often the ledger says that a worker died."""
        ledger = self.folder / "results" / name / LEDGER_NAME
        return ledger.read_text().count(f'"reason":"{DIED}"') if ledger.is_file() else 0

    def told(self, name: str) -> str:
        return (self.folder / f"{name}.txt").read_text()

    def note(self, name: str, sweep: subprocess.Popen[bytes], then: str = "") -> None:
        """Waits for the end of the sweep, and notes it. then: words that tell it from one before of this name."""
        status = sweep.wait(PATIENCE_SECONDS)
        self.ended[f"{name}{then}"] = {"status": status, "told": self.told(name)}


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def dies(scene: Scene, host: Host, name: str, services: Sequence[str], *words: str) -> None:
    """A sweep on a host whose Ray loses these processes; then it is resumed with another Ray."""
    sweep = scene.started(host, name, *LONG, *words)
    wait_until(lambda: scene.begun(name))
    host.kill_processes(*services)
    scene.note(name, sweep)
    host.run(str(Path(sys.executable).with_name("ray")), "stop", "--force", seconds=PATIENCE_SECONDS)
    if words:
        host.start_ray(1)
    resumed = scene.started(host, name, *LONG, *words, "--resume", "--set", "stop.trials=1")
    scene.note(name, resumed, " resumed")


def workers_die(scene: Scene, host: Host, address: str) -> None:
    """Two trials, one after the other: the worker of the first is killed while it starts, that of the second where the
    memory of its node is full."""
    memory = scene.folder / "meminfo"
    there = Path("/proc/meminfo").read_text()
    memory.write_text(there)
    host.run("mount", "--bind", str(memory), "/proc/meminfo", seconds=PATIENCE_SECONDS)
    words = ("--address", address, "--set", "trials_per_study=2", "--set", f"trial.epochs={EPOCHS}")
    sweep = scene.started(host, "workers", *words)
    wait_until(lambda: host.kill_titled("ray::TrialRunner.__init__"))
    wait_until(lambda: scene.begun("workers", EPOCHS + 3))
    before = scene.deaths("workers")
    memory.write_text(re.sub(r"(MemAvailable|MemFree|Cached|SReclaimable): +\d+", r"\1: 1000", there))
    wait_until(lambda: scene.deaths("workers") > before)
    memory.write_text(there)
    scene.note("workers", sweep)


def waits(scene: Scene, hosts: Hosts) -> None:
    """A sweep whose only core others hold, to its end; resumed, it goes on when a node joins, at last on both."""
    head = hosts.add("held")
    head.start_ray(1)
    address = ("--address", f"{head.address}:{RAY_PORT}")
    words = head.command(sys.executable, "-c", HELD)
    with subprocess.Popen(words, env=head.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as others:
        assert others.stdout is not None
        assert others.stdout.readline() == b"held\n"
        scene.note("waits", scene.started(head, "waits", *address, "--set", "resources.wait_hours=0.005"))
        resumed = scene.started(head, "waits", *address, "--resume")
        hosts.add("late").start_ray(1, address[1])
        wait_until(lambda: scene.begun("waits"))
        os.kill(child_of(others), signal.SIGKILL)
    scene.note("waits", resumed, " resumed")


def main(folder: Path) -> None:
    with Hosts(folder / "programs") as hosts:
        scene = Scene(folder)
        try:
            alone = hosts.add("alone")
            dies(scene, alone, "own", (GCS, RAYLET))
            head = hosts.add("head")
            address = f"{head.address}:{RAY_PORT}"
            head.start_ray(1, **WATCHFUL)
            workers_die(scene, head, address)
            waits(scene, hosts)
            for name, services in (("raylet", (RAYLET,)), ("gcs", (GCS,))):
                dies(scene, head, name, services, "--address", address)
        finally:
            (folder / "ended.json").write_text(json.dumps(scene.ended))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
