"""What the driver computes on a cluster: to place a trial, by the number of cards; and Ray's part, with empty trials.

    python benchmarks/cluster_scale.py [--cards 8 100 1000] [--trials 200] [--json PATH]

Printed, all as CPU time: milliseconds to take a trial's place back and give it to another when all cards are taken, and
to see that nothing has room; then, for real Ray with empty trials on eight declared cores, milliseconds of the driver,
of Ray's control store (GCS) and of the node's raylet for each trial and for each report, solved from sweeps of 1 and
of 9 epochs.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from cifar_tune.config.sweep_config import Resources, SweepConfig
from cifar_tune.execution.cluster.cards import Gpu
from cifar_tune.execution.cluster.cluster import connected
from cifar_tune.execution.cluster.devices import Machine, this_machine
from cifar_tune.execution.cluster.nodes import Node
from cifar_tune.execution.driver import run_trials
from cifar_tune.execution.interruption import Interruption
from cifar_tune.execution.messages import Assignment, EpochReport
from cifar_tune.execution.placement.memory_record import MemoryRecord
from cifar_tune.execution.placement.oom_fallback import NONE
from cifar_tune.execution.placement.placer import Placer
from cifar_tune.execution.placement.resource_request import Needs
from cifar_tune.execution.trainable import TrialRunner
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.trial import TrialConfig

H100 = Gpu("NVIDIA H100 80GB HBM3", 80 * 10**9, "560.1", capability=(9, 0))
CARDS_OF_A_NODE = 8
REPEATED = 20
SHORT, LONG = 1, 9


def trials() -> list[TrialConfig]:
    """Returns trials of eight sizes."""
    base = {"dataset": {"name": "digits"}, "optimizer": {"name": "sgd", "lr": 0.1}, "epochs": LONG}
    return [
        TrialConfig.model_validate({**base, "model": {"name": "resnet18", "width": width}, "batch_size": 64})
        for width in (64, 96, 128, 160, 192, 256, 320, 384)
    ]


def placement(cards: int) -> dict[str, float]:
    """Returns milliseconds of CPU for a cluster of so many H100s, as full as it gets."""
    nodes = [
        Node(str(number), str(number), Machine(64, 10**12, (H100,) * min(CARDS_OF_A_NODE, cards - number)))
        for number in range(0, cards, CARDS_OF_A_NODE)
    ]
    placer = Placer(Resources(), lambda: nodes, Needs(Path(), MemoryRecord()), trials=100 * cards)
    kinds = trials()
    held = 0
    while placer.place(str(held), [(kinds[held % len(kinds)], NONE)]) is not None:
        held += 1

    def exchange() -> None:
        nonlocal held
        placer.release(str(held - 1))
        placer.place(str(held - 1), [(kinds[(held - 1) % len(kinds)], NONE)])

    return {
        "trials_at_once": held,
        "exchange_ms": milliseconds(exchange),
        "no_room_ms": milliseconds(lambda: placer.open_to_more([])),
    }


def milliseconds(call: Callable[[], object]) -> float:
    """Returns the median CPU time of a call."""
    taken = []
    for _ in range(REPEATED):
        began = time.process_time()
        call()
        taken.append((time.process_time() - began) * 1000)
    return statistics.median(taken)


class Empty(TrialRunner):
    """Trains nothing; each step gives the next report."""

    def prepare_process(self, assignment: Assignment) -> None:
        """Imports no torch."""

    def reports(self, assignment: Assignment) -> Iterator[EpochReport]:
        for epoch in range(1, LONG + 1):
            yield EpochReport(EpochMetrics(epoch, 1.0, 0.5, 1.0, 0.5, 0.1, 0.4, 1.0, 1))


def ray_seconds(count: int, epochs: int) -> dict[str, float]:
    """Returns the CPU seconds of a sweep of empty trials, by process."""
    sweep = SweepConfig.model_validate(
        {
            "name": "empty",
            "trial": {
                "dataset": {"name": "digits"},
                "model": {"name": "mininet", "width": 4},
                "optimizer": {"name": "sgd", "lr": 0.1},
                "epochs": epochs,
            },
            "search": {"optimizer.lr": {"float": [0.01, 1.0], "log": True}},
            "sampler": {"name": "random"},
            "scheduler": {"name": "none"},
            "trials_per_study": count,
        }
    )
    machine = replace(this_machine(), cores=8, gpus=())
    with tempfile.TemporaryDirectory() as name, connected(machine, address=None, log=Path(name, "ray.log")):
        before = cpu_seconds()
        with ResultsStore.create(Path(name, "results"), sweep_name="empty") as store, Interruption() as interruption:
            run_trials(
                Search(sweep, store),
                store,
                asked=sweep.resources,
                root=Path(name),
                machine=machine,
                address=None,
                interruption=interruption,
                refresh=lambda _: None,
                runner=Empty,
            )
        after = cpu_seconds()
        return {name: after[name] - before[name] for name in after}


def cpu_seconds() -> dict[str, float]:
    """Returns the CPU seconds so far of this process and of Ray's two."""
    spent = {"driver": time.process_time()}
    for process in psutil.Process().children(recursive=True):
        if process.name() in ("gcs_server", "raylet"):
            times = process.cpu_times()
            spent[process.name()] = times.user + times.system
    return spent


def ray_costs(count: int) -> dict[str, float]:
    """Returns milliseconds of CPU for a trial and for a report."""
    ray_seconds(CARDS_OF_A_NODE, SHORT)  # imports, and what is made once
    short, long = ray_seconds(count, SHORT), ray_seconds(count, LONG)
    costs = {}
    for name in short:
        report = (long[name] - short[name]) / (count * (LONG - SHORT))
        costs[f"{name}_report_ms"] = report * 1000
        costs[f"{name}_trial_ms"] = (short[name] / count - SHORT * report) * 1000
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, nargs="*", default=[8, 100, 1000])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {"python": platform.python_version(), "placement": {}, "ray": {}}
    for cards in options.cards:
        found["placement"][cards] = placement(cards)
        print(cards, "cards:", {name: round(value, 2) for name, value in found["placement"][cards].items()}, flush=True)
    if options.trials:
        found["ray"] = {"trials": options.trials, **ray_costs(options.trials)}
        print("Ray:", {name: round(value, 2) for name, value in found["ray"].items()})
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
