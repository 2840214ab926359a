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
from typing import Any

from tests.integration.hosts import RAY_PORT, Host, Hosts
from tests.integration.sweep_on_cards import EPOCHS, NOTES

H100, RTX4060 = "NVIDIA H100 PCIe", "NVIDIA GeForce RTX 4060"
CARDS = {"driver": [], "big": [H100], "cut": [RTX4060], "killed": [RTX4060, RTX4060], "late": [RTX4060]}
CORES = {"driver": 1, "big": 4, "cut": 2, "killed": 4, "late": 2}

HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}
"""Ray calls a silent node dead after some 20 s instead of 60: three missed answers of 5 s, a second between them."""

PATIENCE_SECONDS = 200.0


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

        def loses(host: Host, how: Callable[[], None]) -> None:
            """Lets the host be lost while a trial there is in its middle."""
            wait_until(driver, lambda: in_the_middle(notes, host.name))
            how()
            events[host.name] = time.time()

        loses(running["cut"], running["cut"].cut_off)
        loses(running["killed"], running["killed"].kill)
        late = hosts.add("late", CARDS["late"])
        late.start_ray(CORES["late"], address, **variables)
        events["late"] = time.time()
        (folder / "events.json").write_text(json.dumps(events))
        sys.exit(driver.wait(PATIENCE_SECONDS))


def wait_until(driver: subprocess.Popen[bytes], true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert driver.poll() is None, "the sweep ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def in_the_middle(notes: Path, host: str) -> bool:
    """Whether a trial of this host has finished some epochs and not the last."""
    newest: dict[str, dict[str, Any]] = {}
    for line in notes.read_text().splitlines():
        entry = json.loads(line)
        newest[entry["trial"]] = entry
    return any(entry["host"] == host and 1 <= entry["epoch"] < EPOCHS - 1 for entry in newest.values())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
