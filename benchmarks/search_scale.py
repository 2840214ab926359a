"""Driver time and memory of a search of 10,000 trials of 27 epochs, through the real bookkeeping.

    python benchmarks/search_scale.py [--trials 10000] [--memory] [--json PATH]

Simulated workers report curves that a formula gives; the store writes its ledger and tables as in a real sweep.
Printed: milliseconds of CPU a report, medians of the five first and the five last hundreds of trials (after the first
hundred, where there are more), their ratio, and seconds of CPU to continue the sweep; or kilobytes a trial.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

from provenance import provenance

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.layout import JOURNAL_NAME
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.search.studies.journal import Journal
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 27
WORKERS = 16
HUNDRED = 100


def sweep_of(trials: int) -> SweepConfig:
    """Returns a sweep of four parameters."""
    return SweepConfig.model_validate(
        {
            "name": "scale",
            "trial": {
                "dataset": {"name": "digits"},
                "model": {"name": "mininet", "width": 8},
                "optimizer": {"name": "sgd", "lr": 0.1},
                "epochs": EPOCHS,
            },
            "search": {
                "optimizer.lr": {"float": [0.001, 1.0], "log": True},
                "optimizer.momentum": {"float": [0.0, 0.99]},
                "loss.label_smoothing": {"float": [0.0, 0.3]},
                "batch_size": {"int": [32, 512], "step": 32},
            },
            "scheduler": {"name": "asha", "grace_epochs": 1, "reduction_factor": 3},
            "trials_per_study": trials,
        }
    )


def metrics(proposal: Proposal, epoch: int) -> EpochMetrics:
    """Returns a curve that depends on the configuration, different for each trial."""
    away = abs(math.log(proposal.trial.optimizer.lr / 0.05)) + 1e-3 * (int(proposal.trial_id[1:]) % 100)
    accuracy = math.exp(-away / 3) * epoch / (epoch + 1)
    return EpochMetrics(epoch, 1.0, accuracy, 1 - accuracy, accuracy, 0.1, 1.0, 1000.0, 2**30)


def run(search: Search) -> list[tuple[int, float]]:
    """Trains everything; returns reports and driver seconds of each hundred trials that ended."""
    live: list[tuple[Proposal, int]] = []
    hundreds: list[tuple[int, float]] = []
    ended = reports = 0
    began = time.process_time()
    while True:
        while len(live) < WORKERS and (proposal := search.propose()) is not None:
            live.append((proposal, 1))
        if not live:
            return hundreds
        proposal, epoch = live.pop(0)
        decision = search.report(proposal.trial_id, metrics(proposal, epoch))
        reports += 1
        if decision.action == "continue" and epoch < EPOCHS:
            live.append((proposal, epoch + 1))
            continue
        search.end(proposal.trial_id, "stopped" if decision.action == "stop" else "completed", decision.reason)
        ended += 1
        if ended % HUNDRED == 0:
            now = time.process_time()
            hundreds.append((reports, now - began))
            reports, began = 0, now


def measure(trials: int, *, memory: bool) -> dict[str, float]:
    """Returns the figures of one sweep: its bytes a trial, or its times."""
    sweep = sweep_of(trials)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scale")
        store = ResultsStore.create(path, sweep_name="scale")
        search = Search(sweep, store, journal=Journal(path / JOURNAL_NAME))
        if memory:
            gc.collect()
            tracemalloc.start()
            run(search)
            gc.collect()
            taken = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            store.close()
            return {"kilobytes_a_trial": taken / trials / 1e3}
        hundreds = run(search)
        store.close()
        costs = [1e3 * seconds / reports for reports, seconds in hundreds]
        costs = costs[1:] or costs
        early, late = statistics.median(costs[:5]), statistics.median(costs[-5:])
        began = time.process_time()
        store = ResultsStore.open(path)
        found = Search(sweep, store, journal=Journal(path / JOURNAL_NAME)).progress()
        resumed = time.process_time() - began
        assert sum(found.counts.values()) == trials
        store.close()
    return {
        "reports": sum(reports for reports, _ in hundreds),
        "ms_a_report_first": early,
        "ms_a_report_last": late,
        "ratio": late / early,
        "resume_seconds": resumed,
    }


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000, help="at least 100 (default: 10000)")
    parser.add_argument("--memory", action="store_true", help="count bytes a trial instead (slow, times mean nothing)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures there")
    options = parser.parse_args()
    if options.trials < HUNDRED:
        parser.error(f"--trials must be at least {HUNDRED}, got {options.trials}")
    found = measure(options.trials, memory=options.memory)
    for name, value in found.items():
        print(f"{name:20}{value:,.2f}")
    if options.json:
        figures = {
            **provenance(),
            "trials": options.trials,
            "n": 1,
            **found,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
