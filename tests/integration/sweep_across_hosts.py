"""A sweep across hosts, of which one is cut off, one is killed and one joins late.

python -m tests.integration.sweep_across_hosts FOLDER, within namespaces
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.integration.hosts import RAY_PORT, Hosts
from tests.integration.sweep_on_cards import GATE, NOTES

H100, RTX4060 = "NVIDIA H100 PCIe", "NVIDIA GeForce RTX 4060"
CARDS = {"driver": [], "big": [H100], "cut": [RTX4060], "killed": [RTX4060, RTX4060], "late": [RTX4060]}
CORES = {"driver": 1, "big": 4, "cut": 2, "killed": 4, "late": 2}

HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "8000",
    "RAY_health_check_failure_threshold": "3",
}
"""Ray calls a silent node dead after some 30 s: three missed answers of 8 s, a second between them."""

PATIENCE_SECONDS = 400.0


def main(folder: Path) -> None:
    notes = folder / NOTES
    notes.touch()
    with Hosts(folder / "programs") as hosts:
        running = {name: hosts.add(name, CARDS[name]) for name in ("driver", "big", "cut", "killed")}
        head = running["driver"]
        address = f"{head.address}:{RAY_PORT}"
        variables = {**HEALTH, "NOTES": str(notes)}
        for name, host in running.items():
            host.start_ray(CORES[name], None if host is head else address, **variables)
        driver = subprocess.Popen(
            head.command(sys.executable, "-m", "tests.integration.sweep_on_cards", str(folder), address),
            env=head.environment(**variables),
        )
        events: dict[str, float] = {}
        for name in ("cut", "killed"):
            wait_until(driver, lambda name=name: has_begun(notes, name))
        for name, lose in (("cut", running["cut"].cut_off), ("killed", running["killed"].kill)):
            lose()
            events[name] = time.time()
        late = hosts.add("late", CARDS["late"])
        late.start_ray(CORES["late"], address, **variables)
        (folder / GATE).touch()
        (folder / "events.json").write_text(json.dumps(events))
        sys.exit(driver.wait(PATIENCE_SECONDS))


def wait_until(driver: subprocess.Popen[bytes], true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert driver.poll() is None, "the sweep ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def has_begun(notes: Path, host: str) -> bool:
    """Whether a trial of this host has finished an epoch."""
    entries = map(json.loads, notes.read_text().splitlines())
    return any(entry["host"] == host and entry["epoch"] for entry in entries)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
