"""How long a user waits: for help, for the message on a misspelt key, for the first trial of a sweep to start.

    python benchmarks/startup.py [--json PATH] [--repetitions 5]

Each is the real command in a process of its own. The first trial starts when its worker is ready for it (`started_at`
in trials.parquet): Ray runs then, and everything is imported. Quoted are medians, and the extremes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from provenance import provenance

GOALS = {"help": 1.0, "misspelt key": 3.0, "first trial": 12.0}
"""Seconds, on 2 cores with a warm disk."""

SWEEP = """
name: startup
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 1
trials_per_study: 2
"""


def seconds_of(*arguments: str, status: int) -> float:
    """Returns the seconds that the command takes to end with this status."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "cifar_tune.sweep", *arguments], capture_output=True)
    taken = time.perf_counter() - began
    assert done.returncode == status, done.stderr.decode()
    return taken


def seconds_to_first_trial(file: Path) -> float:
    """Returns the seconds from the command to the start of the sweep's first trial."""
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch, "results")
        began = time.time()
        seconds_of(str(file), "--results", str(results), status=0)
        trials = pd.read_parquet(results / "trials.parquet")
    return trials.started_at.min().timestamp() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures there")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "startup.yaml")
        file.write_text(SWEEP)
        waits: Mapping[str, Callable[[], float]] = {
            "help": lambda: seconds_of("--help", status=0),
            "misspelt key": lambda: seconds_of(str(file), "--set", "trial.optimiser.lr=1", status=2),
            "first trial": lambda: seconds_to_first_trial(file),
        }
        for wait in waits.values():
            wait()
        seconds = {name: [wait() for _ in range(options.repetitions)] for name, wait in waits.items()}
    print(f"{'':16}{'median':>8}{'least':>8}{'most':>8}{'goal':>8}   seconds, n = {options.repetitions}")
    for name, values in seconds.items():
        print(f"{name:16}{statistics.median(values):8.2f}{min(values):8.2f}{max(values):8.2f}{GOALS[name]:8.1f}")
    if options.json:
        figures = {
            **provenance(),
            "load_average": os.getloadavg()[0],
            "n": options.repetitions,
            "seconds": seconds,
            "medians": {name: statistics.median(values) for name, values in seconds.items()},
            "goals": GOALS,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
