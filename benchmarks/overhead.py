"""Wall time a trial costs beyond its training: sweeps of trials that train nothing, beside plain Ray Tune.

    python benchmarks/overhead.py [--json PATH] [--trials 100] [--repetitions 3]

Both sample with Optuna's TPE over the same two parameters, run on one Ray, reuse their workers between trials, and get
three results from each. Ours writes its ledger and both tables as always. Plain Ray Tune is at its leanest: a class
trainable, no loggers, no checkpoints, no progress; its other settings are its own. The two take turns, so that a busy
machine slows them alike; quoted are medians, and the ratio of each pair.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from provenance import provenance

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.cluster.cluster import SWITCHES, connected
from cifar_tune.execution.cluster.devices import this_machine
from cifar_tune.execution.cluster.nodes import this_node
from cifar_tune.execution.placement.memory_record import MemoryRecord
from cifar_tune.execution.placement.placer import Placer
from cifar_tune.execution.placement.resource_request import Needs
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics

REPORTS = 3

OURS_ALONE = ("TUNE_GLOBAL_CHECKPOINT_S", "TUNE_MAX_PENDING_TRIALS_PG")
"""Switches that plain Ray Tune does without; it reads them when a sweep begins."""


def sweep(trials: int) -> SweepConfig:
    """Returns a sweep of so many trials of `REPORTS` epochs; no scheduler, so that none is stopped."""
    return SweepConfig.model_validate(
        {
            "name": "overhead",
            "trial": {
                "dataset": {"name": "digits"},
                "model": {"name": "resnet18", "width": 8},
                "optimizer": {"name": "sgd", "lr": 0.1},
                "epochs": REPORTS,
            },
            "search": {
                "optimizer.lr": {"float": [0.001, 1.0], "log": True},
                "optimizer.weight_decay": {"float": [1e-6, 0.01], "log": True},
            },
            "scheduler": {"name": "none"},
            "trials_per_study": trials,
        }
    )


def ours(trials: int, folder: Path) -> float:
    """Returns the seconds that a sweep takes here, once Ray runs."""
    from cifar_tune.execution.dispatcher import Dispatcher
    from cifar_tune.execution.interruption import Interruption
    from cifar_tune.execution.messages import Assignment, EpochReport
    from cifar_tune.execution.ray_adapters import fit
    from cifar_tune.execution.trainable import TrialRunner

    class Idle(TrialRunner):
        def prepare_process(self, assignment: Assignment) -> None:
            """Imports no torch, as the other does not."""

        def reports(self, assignment: Assignment) -> Iterator[EpochReport]:
            for epoch in range(1, REPORTS + 1):
                yield EpochReport(EpochMetrics(epoch, 1.0, 0.5, 1.0, 0.5, 0.1, 0.01, 1.0, 1))

    machine, config = this_machine(), sweep(trials)
    started = time.perf_counter()
    with ResultsStore.create(folder / "results", sweep_name=config.name) as store:
        search = Search(config, store)
        nodes = (this_node(machine),)
        placer = Placer(config.resources, lambda: nodes, Needs(folder, MemoryRecord()), trials=trials)
        dispatcher = Dispatcher(search, store, root=folder, placer=placer)
        fit(dispatcher, Interruption(), storage=folder / "ray", refresh=lambda: None, runner=Idle)
        assert len(store.trial_ids()) == trials
        assert search.progress().counts["completed"] == trials
    return time.perf_counter() - started


def plain(trials: int, folder: Path) -> float:
    """Returns the seconds that Ray Tune takes with OptunaSearch, a class trainable and worker reuse."""
    import optuna
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    class Idle(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.epoch = 0

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.epoch = 0
            return True

        def step(self) -> dict[str, Any]:
            self.epoch += 1
            return {"accuracy": 0.5, "done": self.epoch == REPORTS}

    for switch in OURS_ALONE:
        os.environ.pop(switch)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {"lr": tune.loguniform(0.001, 1.0), "weight_decay": tune.loguniform(1e-6, 0.01)}
    started = time.perf_counter()
    results = tune.Tuner(
        Idle,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            search_alg=OptunaSearch(),
            num_samples=trials,
            max_concurrent_trials=os.cpu_count(),  # more would wait with a fresh worker each
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(folder / "plain"),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    ).fit()
    seconds = time.perf_counter() - started
    os.environ.update({switch: SWITCHES[switch] for switch in OURS_ALONE})
    assert len(results) == trials
    assert not results.errors
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures there")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    with (
        tempfile.TemporaryDirectory() as scratch,
        connected(this_machine(), address=None, log=Path(scratch, "ray.log")),
    ):
        for repetition in range(-1, options.repetitions):
            for name, sweep_once in (("ours", ours), ("plain", plain)):
                taken = sweep_once(options.trials, Path(scratch, f"{name}{repetition}"))
                if repetition >= 0:
                    seconds[name].append(taken)
    ratios = [one / other for one, other in zip(seconds["ours"], seconds["plain"], strict=True)]
    report(options, seconds, ratios)


def report(options: argparse.Namespace, seconds: Mapping[str, list[float]], ratios: list[float]) -> None:
    """Prints the table and writes the figures."""
    a_trial = {name: statistics.median(values) / options.trials for name, values in seconds.items()}
    print(f"{'':24}seconds a trial (median of {options.repetitions}, {options.trials} trials, {REPORTS} reports each)")
    for name, value in a_trial.items():
        print(f"{name:24}{value:.4f}")
    print(f"{'ratio, pair by pair':24}{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if options.json:
        figures = {
            **provenance(),
            "trials": options.trials,
            "n": options.repetitions,
            "seconds": dict(seconds),
            "seconds_a_trial": a_trial,
            "ratios": ratios,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
