"""Driver time and memory of a search of 10,000 trials of 27 epochs, through the real bookkeeping.

    python benchmarks/search_scale.py [--trials 10000] [--memory]

Simulated workers report curves that a formula gives; the store writes its ledger and tables as in a real
sweep. Printed:
milliseconds a report by hundreds of trials, their ratio, kilobytes a trial, and seconds to continue the sweep.
"""

from __future__ import annotations

import argparse
import gc
import math
import tempfile
import time
import tracemalloc
from pathlib import Path

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.results.store import ResultsStore
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.tuning.journal import JOURNAL_NAME, Journal
from cifar_tune.tuning.proposal import Proposal
from cifar_tune.tuning.search import Search

EPOCHS = 27
WORKERS = 16


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
    away = abs(math.log(proposal.trial.optimizer.lr / 0.05)) + 1e-3 * (hash(proposal.trial_id) % 100)
    accuracy = math.exp(-away / 3) * epoch / (epoch + 1)
    return EpochMetrics(epoch, 1.0, accuracy, 1 - accuracy, accuracy, 0.1, 1.0, 1000.0, 2**30)


def run(search: Search) -> list[tuple[int, float]]:
    """Trains everything; returns reports and driver seconds of each hundred trials that ended."""
    live: list[tuple[Proposal, int]] = []
    hundreds: list[tuple[int, float]] = []
    ended = reports = 0
    began = time.perf_counter()
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
        if ended % 100 == 0:
            now = time.perf_counter()
            hundreds.append((reports, now - began))
            reports, began = 0, now


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--memory", action="store_true", help="count bytes a trial instead (slow, times mean nothing)")
    options = parser.parse_args()
    sweep = sweep_of(options.trials)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scale")
        store = ResultsStore.create(path, sweep_name="scale")
        search = Search(sweep, store, journal=Journal(path / JOURNAL_NAME))
        if options.memory:
            gc.collect()
            tracemalloc.start()
        hundreds = run(search)
        if options.memory:
            gc.collect()
            print(f"{tracemalloc.get_traced_memory()[0] / options.trials / 1e3:.1f} kB a trial")
            tracemalloc.stop()
        store.close()
        first, last = ([1e3 * s / n for n, s in part] for part in (hundreds[1:6], hundreds[-5:]))
        early, late = sorted(first)[2], sorted(last)[2]
        print(f"{sum(n for n, _ in hundreds):,} reports in {sum(s for _, s in hundreds):.0f} s")
        print(f"{early:.2f} ms a report (trials 100 to 600), {late:.2f} ms (the last 500): ratio {late / early:.2f}")
        began = time.perf_counter()
        store = ResultsStore.open(path)
        found = Search(sweep, store, journal=Journal(path / JOURNAL_NAME)).progress()
        print(f"continued in {time.perf_counter() - began:.1f} s: {sum(found.counts.values()):,} trials")
        store.close()


if __name__ == "__main__":
    main()
