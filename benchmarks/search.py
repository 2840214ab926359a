"""Regret of the search against simulated time on recorded learning curves, beside what Ray and Optuna do by default.

    python benchmarks/search.py CURVES [--json PATH] [--repetitions 30] [--workers 8] [--processes 2]

CURVES is a folder of tables that `python -m cifar_tune.simulate` reads. On each file four searches are replayed:

    random           random search, nothing is stopped
    random_asha      random search with our ASHA
    out_of_the_box   Ray's AsyncHyperBandScheduler and OptunaSearch with their defaults (their own classes, `max_t` the
                     epochs of the table): Optuna hears of a trial at its end; the best last value is returned
    ours             our default sampler and scheduler

The budget is the time in which the workers would train 64 whole trials. Quoted are interquartile means over seeds with
95 % bootstrap intervals, and the share of the budget after which each reaches what random search has at its end.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from cifar_tune.config.domains import ChoiceDomain, Domain, FloatDomain
from cifar_tune.config.objective import Objective
from cifar_tune.config.samplers import Random, Tpe
from cifar_tune.config.schedulers import Asha, NoScheduler, default_grace
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.tuning.decision import CONTINUE, Decision
from cifar_tune.tuning.proposal import Proposal
from cifar_tune.tuning.recordings import Recording, read_recording
from cifar_tune.tuning.regret import Floats, Regret, bootstrap_interval, budget_moments, interquartile_mean, regret_over
from cifar_tune.tuning.regret import regrets as regrets_of
from cifar_tune.tuning.simulation import RecordedSweep, replay, replay_search
from cifar_tune.tuning.source import RecordedTrial

ARMS = ("random", "random_asha", "out_of_the_box", "ours")
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
        asha = Asha(grace_epochs=default_grace(recording.epochs))
        sampler, scheduler = {
            "random": (Random(), NoScheduler()),
            "random_asha": (Random(), asha),
            "ours": (Tpe(), asha),
        }[arm]
        sweep = RecordedSweep(recording, seed, Objective(), sampler, scheduler)
        returned = replay(sweep, workers=workers, moments=moments)
    return regrets_of(recording, Objective(), returned)


def time_to(target: float, curves: Floats, moments: Floats) -> dict[str, float | None]:
    """Returns the share of the budget after which the interquartile mean is at most `target`, and its interval."""
    generator = np.random.default_rng(0)
    drawn = [curves[generator.integers(len(curves), size=len(curves))] for _ in range(1000)]
    shares = [first_at_most(target, one, moments) for one in [curves, *drawn]]
    low, high = np.percentile(shares[1:], (2.5, 97.5), method="nearest")
    return {"share": finite(shares[0]), "low": finite(low), "high": finite(high)}


def first_at_most(target: float, curves: Floats, moments: Floats) -> float:
    below = np.flatnonzero(interquartile_mean(curves) <= target)
    return float(moments[below[0]] / moments[-1]) if below.size else math.inf


def finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
