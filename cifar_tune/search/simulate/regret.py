"""How far from the best recorded run a search is, against simulated time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_tune.config.objective import Objective
from cifar_tune.config.samplers import AnySampler
from cifar_tune.config.schedulers import AnyScheduler
from cifar_tune.search.simulate.recordings import Recording
from cifar_tune.search.simulate.simulation import RecordedSweep, replay

MOMENTS = 192
"""Points of a regret curve: twelve in each sixteenth of the budget."""

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)
"""Of the bootstrap distribution, in percent."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Regret:
    """A regret curve over repetitions: interquartile mean and its 95 % interval at each moment, in seconds."""

    repetitions: int
    workers: int
    budget_seconds: float
    seconds: Floats
    iqm: Floats
    low: Floats
    high: Floats

    def at(self, share: float) -> int:
        """Returns the last moment within this share of the budget."""
        return int(np.searchsorted(self.seconds, share * self.budget_seconds * (1 + 1e-9), side="right")) - 1

    def reached(self, regret: float) -> float:
        """Returns the share of the budget after which the interquartile mean is at most `regret`; infinite if never."""
        below = np.flatnonzero(self.iqm <= regret)
        return float(self.seconds[below[0]] / self.budget_seconds) if below.size else math.inf


def budget_moments(recording: Recording, workers: int, budget_trials: float) -> Floats:
    """Returns the moments of a regret curve, in seconds.

    The last is the budget: the time in which the workers would train `budget_trials` whole trials of median cost.
    """
    budget = budget_trials * recording.full_cost / workers
    moments: Floats = budget * np.arange(1, MOMENTS + 1) / MOMENTS
    return moments


def measure_regret(
    recording: Recording,
    objective: Objective,
    sampler: AnySampler,
    scheduler: AnyScheduler,
    *,
    workers: int,
    repetitions: int,
    budget_trials: float,
    seed: int = 0,
) -> Regret:
    """Replays a search `repetitions` times, with seeds from `seed` on; for the budget see `budget_moments`."""
    moments = budget_moments(recording, workers, budget_trials)
    curves = []
    for repetition in range(repetitions):
        sweep = RecordedSweep(recording, seed + repetition, objective, sampler, scheduler)
        curves.append(regrets(recording, objective, replay(sweep, workers=workers, moments=moments.tolist())))
    return regret_over(np.array(curves), moments, workers=workers, seed=seed)


def regret_over(curves: Floats, moments: Floats, *, workers: int, seed: int = 0) -> Regret:
    """Returns the regret curve of (repetitions, moments) regrets. seed: of the bootstrap."""
    low, high = bootstrap_interval(curves, seed)
    return Regret(len(curves), workers, float(moments[-1]), moments, interquartile_mean(curves), low, high)


def regrets(recording: Recording, objective: Objective, returned: Sequence[int | None]) -> list[float]:
    """Returns the best recorded final value minus that of each returned run.

    Nothing returned, or a run that diverged later on, counts as the worst final value of all.
    """
    sign = 1 if objective.mode == "max" else -1
    finals = [sign * run.final for run in recording.runs]
    whole = [final for final in finals if not math.isnan(final)]
    best, worst = max(whole), min(whole)
    values = [worst if run is None or math.isnan(finals[run]) else finals[run] for run in returned]
    return [best - value for value in values]


def interquartile_mean(table: Floats) -> Floats:
    """Returns the mean of the middle half of the rows, column by column. Source: arXiv:2108.13264, section 4.3."""
    ordered = np.sort(table, axis=0)
    cut = len(ordered) // 4
    middle: Floats = ordered[cut : len(ordered) - cut].mean(axis=0)
    return middle


def bootstrap_interval(table: Floats, seed: int) -> tuple[Floats, Floats]:
    """Returns both ends of the 95 % percentile interval of the interquartile mean, rows drawn with replacement."""
    generator = np.random.default_rng(seed)
    means = np.array(
        [interquartile_mean(table[generator.integers(len(table), size=len(table))]) for _ in range(RESAMPLES)]
    )
    low, high = np.percentile(means, INTERVAL, axis=0)
    return low, high
