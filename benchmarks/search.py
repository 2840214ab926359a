"""Regret of the search against simulated time on recorded learning curves, beside what Ray and Optuna do by default.

    python benchmarks/search.py CURVES [--json PATH] [--keep FOLDER] [--repetitions 30] [--workers 8] [--processes 2]
        [--without SEARCH]

CURVES is a folder of tables that `python -m cifar_tune.simulate` reads. On each file five searches are replayed:

    random           random search, nothing is stopped
    random_asha      random search with our ASHA that stops trials, `asha`
    tpe_asha         our default sampler with the same
    out_of_the_box   Ray's AsyncHyperBandScheduler and OptunaSearch with their defaults (their own classes, `max_t` the
                     epochs of the table): Optuna hears of a trial at its end; the best last value is returned
    ours             our default sampler and scheduler, `asha_promotion`

The budget is the time in which the workers would train 64 whole trials. Quoted are interquartile means over seeds with
95 % bootstrap intervals, and the share of the budget after which each reaches what random search has at its end.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import shlex
import sys
import warnings
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from provenance import provenance

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.objective import Objective
from cifar_tune.config.ranges import FloatDomain
from cifar_tune.config.samplers import Random, Tpe
from cifar_tune.config.schedulers import Asha, AshaPromotion, NoScheduler, default_grace, tenth
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.simulate.recording_tables import read_recording
from cifar_tune.search.simulate.recordings import Recording
from cifar_tune.search.simulate.regret import (
    INTERVAL,
    MOMENTS,
    RESAMPLES,
    Floats,
    budget_moments,
    interquartile_mean,
    regret_over,
)
from cifar_tune.search.simulate.regret import regrets as regrets_of
from cifar_tune.search.simulate.simulation import RecordedSweep, replay, replay_search
from cifar_tune.search.source import RecordedTrial
from cifar_tune.training.metrics import EpochMetrics

ARMS = ("random", "random_asha", "tpe_asha", "out_of_the_box", "ours")
SHARES = {"1/16": 1 / 16, "1/8": 1 / 8, "1/6": 1 / 6, "1/4": 1 / 4, "1/2": 1 / 2, "1": 1.0}
BUDGET_TRIALS = 64
METRIC = "accuracy"
STOP = Decision("stop", rung_cutoff=math.nan)
"""Ray does not say by which cutoff."""


class OutOfTheBox:
    """Ray Tune's ASHA with its OptunaSearch, both as they come, on recorded runs."""

    def __init__(self, recording: Recording, seed: int) -> None:
        from ray.tune.schedulers import AsyncHyperBandScheduler
        from ray.tune.search.optuna import OptunaSearch

        self._recording = recording
        self._free = np.ones(len(recording.runs), dtype=bool)
        space = {name: ray_domain(domain) for name, domain in recording.search.items()}
        self._search = OptunaSearch(OptunaSearch.convert_search_space(space), metric=METRIC, mode="max", seed=seed)
        self._scheduler = AsyncHyperBandScheduler(metric=METRIC, mode="max", max_t=recording.epochs)
        self._trials: dict[str, Any] = {}
        self._last: dict[str, dict[str, Any]] = {}

    def propose(self) -> Proposal[RecordedTrial] | None:
        if not self._free.any():
            return None
        trial_id = f"t{len(self._trials):04}"
        run = self._recording.nearest(self._search.suggest(trial_id), self._free)
        self._free[run] = False
        self._trials[trial_id] = SimpleNamespace(trial_id=trial_id)
        self._scheduler.on_trial_add(None, self._trials[trial_id])
        return Proposal(trial_id, "all", RecordedTrial(run=run, epochs=self._recording.epochs), baseline=False)

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        if metrics.validation_accuracy is None:
            return CONTINUE
        result = {METRIC: metrics.validation_accuracy, "training_iteration": metrics.epoch}
        self._last[trial_id] = result
        action = self._scheduler.on_trial_result(None, self._trials[trial_id], result)
        if action == self._scheduler.CONTINUE:
            self._search.on_trial_result(trial_id, result)
            return CONTINUE
        return STOP

    def end(self, trial_id: str, status: str, reason: str | None = None) -> None:
        """A diverged trial ends with its last value, or as failed where it has none."""
        result = self._last.get(trial_id)
        if result is not None:
            self._scheduler.on_trial_complete(None, self._trials[trial_id], result)
        self._search.on_trial_complete(trial_id, result, error=result is None)

    def recommend(self) -> str | None:
        return max(self._last, key=lambda one: self._last[one][METRIC], default=None)


def ray_domain(domain: Domain) -> Any:
    """Returns Ray Tune's form of a domain."""
    from ray import tune

    match domain:
        case ChoiceDomain():
            return tune.choice(list(domain.choice))
        case FloatDomain():
            return (tune.loguniform if domain.log else tune.uniform)(domain.low, domain.high)
        case _:
            return (tune.lograndint if domain.log else tune.randint)(domain.low, domain.high + 1)


@cache
def recording_at(path: Path) -> Recording:
    """Returns the recording, read once a process."""
    return read_recording(path)


def regrets(path: Path, arm: str, seed: int, workers: int) -> list[float]:
    """Returns one search's regret at each moment of the budget."""
    recording = recording_at(path)
    moments = budget_moments(recording, workers, BUDGET_TRIALS).tolist()
    if arm == "out_of_the_box":
        returned = replay_search(OutOfTheBox(recording, seed), recording, workers=workers, moments=moments)
    else:
        asha = Asha(grace_epochs=tenth(recording.epochs))
        grace = default_grace({"name": "asha_promotion"}, recording.epochs, len(recording.runs))
        sampler, scheduler = {
            "random": (Random(), NoScheduler()),
            "random_asha": (Random(), asha),
            "tpe_asha": (Tpe(), asha),
            "ours": (Tpe(), AshaPromotion(grace_epochs=grace)),
        }[arm]
        sweep = RecordedSweep(recording, seed, Objective(), sampler, scheduler)
        returned = replay(sweep, workers=workers, moments=moments)
    return regrets_of(recording, Objective(), returned)


def task(arguments: tuple[Path, str, int, int, Path | None]) -> list[float]:
    """Returns the regrets of one search, in a process of its own, or what was kept of it in the folder."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    path, arm, seed, workers, folder = arguments
    kept = None if folder is None else folder / f"{path.stem}-{arm}-{workers}-{seed}.json"
    if kept is not None and kept.exists():
        known: list[float] = json.loads(kept.read_text())
        return known
    found = regrets(path, arm, seed, workers)
    if kept is not None:
        kept.write_text(json.dumps(found))
    return found


def measure(path: Path, options: argparse.Namespace, pool: Executor) -> dict[str, Floats]:
    """Returns (repetitions, moments) regrets of each search on one file."""
    arms = options.searches
    seeds = range(options.repetitions)
    keys = [(path, arm, seed, options.workers, options.keep) for arm in arms for seed in seeds]
    rows = np.array([*pool.map(task, keys)])
    return dict(zip(arms, rows.reshape(len(arms), options.repetitions, -1), strict=True))


def summary(curves: Mapping[str, Floats]) -> dict[str, Any]:
    """Returns what is quoted of one file: regret at shares of the budget, and time to random search's end."""
    moments = np.arange(1, MOMENTS + 1) / MOMENTS
    target = float(interquartile_mean(curves["random"])[-1])
    found: dict[str, Any] = {"regret_of_random_at_the_end": target}
    for arm, rows in curves.items():
        regret = regret_over(rows, moments, workers=1)
        places = {name: regret.at(share) for name, share in SHARES.items()}
        found[arm] = {
            "regret": {
                name: [float(values[place]) for values in (regret.iqm, regret.low, regret.high)]
                for name, place in places.items()
            },
            "time_to_random": time_to(target, rows, moments),
        }
    if "out_of_the_box" in curves:
        found["ours_less_out_of_the_box"] = compared = {
            name: difference(curves["ours"][:, place], curves["out_of_the_box"][:, place])
            for name, place in places.items()
        }
        found["ours_better_at"] = [name for name, (_, _, high) in compared.items() if high < 0]
        found["ours_worse_at"] = [name for name, (_, low, _) in compared.items() if low > 0]
    return found


def difference(ours: Floats, other: Floats) -> list[float]:
    """Returns the difference of the interquartile means and its 95 % interval, the same seeds drawn of both."""
    pairs = np.column_stack([ours, other])
    generator = np.random.default_rng(0)
    drawn = [pairs[generator.integers(len(pairs), size=len(pairs))] for _ in range(RESAMPLES)]
    found, *others = (float(np.subtract(*interquartile_mean(one))) for one in [pairs, *drawn])
    return [found, *np.percentile(others, INTERVAL).tolist()]


def time_to(target: float, curves: Floats, moments: Floats) -> list[float | None]:
    """Returns the share of the budget after which the interquartile mean is at most `target`, and its interval.

    None where that is never.
    """
    generator = np.random.default_rng(0)
    drawn = [curves[generator.integers(len(curves), size=len(curves))] for _ in range(RESAMPLES)]
    share, *others = (first_at_most(target, interquartile_mean(one), moments) for one in [curves, *drawn])
    ends = np.percentile(others, INTERVAL, method="nearest").tolist()
    return [value if math.isfinite(value) else None for value in (share, *ends)]


def first_at_most(target: float, means: Floats, moments: Floats) -> float:
    """Returns the first moment at which the mean is at most `target`; infinite if never."""
    below = np.flatnonzero(means <= target)
    return float(moments[below[0]]) if below.size else math.inf


def text_of(name: str, found: Mapping[str, Any]) -> str:
    """Returns one file's table."""
    lines = [f"{name}", f"  {'share of budget':16}" + "".join(f"{share:>25}" for share in SHARES) + "   time to random"]
    for arm in (arm for arm in ARMS if arm in found):
        cells = "".join(f"{mean:9.4f} ({low:.4f}-{high:.4f})" for mean, low, high in found[arm]["regret"].values())
        times = ["never" if share is None else f"{share:.3f}" for share in found[arm]["time_to_random"]]
        lines.append(f"  {arm:16}{cells}   {times[0]} ({times[1]}-{times[2]})")
    if "out_of_the_box" in found:
        better, worse = (", ".join(found[f"ours_{word}_at"]) or "none" for word in ("better", "worse"))
        lines.append(f"  ours less out_of_the_box, interval without 0: better at {better}; worse at {worse}")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path, metavar="CURVES", help="a folder of recorded curves")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures there")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="holds each search's regrets: not redone")
    parser.add_argument("--repetitions", type=int, default=30)
    parser.add_argument("--workers", type=int, default=8, help="simulated ones")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="real ones")
    parser.add_argument("--without", choices=ARMS[1:4], action="append", default=[], help="leave one search out")
    options = parser.parse_args()
    options.searches = [arm for arm in ARMS if arm not in options.without]
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {}
    with ProcessPoolExecutor(options.processes) as pool:
        for path in sorted(options.curves.glob("*.parquet")):
            files[path.stem] = summary(measure(path, options, pool))
            print(text_of(path.stem, files[path.stem]), flush=True)
            if options.json:
                options.json.write_text(json.dumps(figures(files, options), indent=1) + "\n")
    mean = needed(files)
    print(f"ours needs {mean:.3f} of random search's budget in geometric mean (1/{1 / mean:.1f})")


def needed(files: Mapping[str, Any]) -> float:
    """Returns the geometric mean of the shares after which ours is where random search ends; never counts as 1."""
    return math.prod(found["ours"]["time_to_random"][0] or 1.0 for found in files.values()) ** (1 / len(files))


def figures(files: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Returns all that is kept."""
    return {
        **provenance(),
        "command": shlex.join(["python", "benchmarks/search.py", "CURVES", *sys.argv[2:]]),
        "versions": {name: version(name) for name in ("ray", "optuna", "numpy")},
        "n": options.repetitions,
        "workers": options.workers,
        "budget_trials": BUDGET_TRIALS,
        "geometric_mean_of_ours": needed(files),
        "files": files,
    }


if __name__ == "__main__":
    main()
