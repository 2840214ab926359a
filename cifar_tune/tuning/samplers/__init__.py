"""Where the next trial is looked for: Optuna's samplers, seeded anew for each proposal."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import optuna

from cifar_tune.config.samplers import AnySampler, CmaEs, Gp, Nsga2, Qmc, Random, Tpe

MODEL_TRIALS = 64
"""Shown to a sampler that models the trials it is shown: on recorded curves, four times as many bring nothing."""

GENERATIONS = 4
"""Shown to a sampler that breeds: the one that grows, its parents, and room for stragglers."""


@dataclass(frozen=True)
class Needs:
    """What a sampler is to be shown. most: trials. settled: only the values of trials that have ended.

    stepping: it counts its proposals itself, in an attribute of the Optuna study.
    """

    most: int = MODEL_TRIALS
    settled: bool = False
    stepping: bool = False


def needs_of(config: AnySampler, parameters: int) -> Needs:
    """Returns what the sampler is to be shown, in a space of so many parameters."""
    match config:
        case Tpe() | Gp():
            return Needs()
        case CmaEs():
            population = config.popsize or 4 + 3 * parameters
            return Needs(most=max(MODEL_TRIALS, GENERATIONS * population), settled=True)
        case Nsga2():
            return Needs(most=GENERATIONS * config.population_size, settled=True)
        case Qmc():
            return Needs(most=1, stepping=True)
        case Random():
            return Needs(most=1)


def build_sampler(config: AnySampler, seed: int, study_seed: int) -> optuna.samplers.BaseSampler:
    """Returns Optuna's sampler. The seeds determine every draw: `seed` of one proposal, `study_seed` of a sequence."""
    options = {key: value for key, value in config if key not in ("name", "startup_trials")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match config:
            case Tpe():
                return optuna.samplers.TPESampler(n_startup_trials=config.startup_trials, seed=seed, **options)
            case Random():
                return optuna.samplers.RandomSampler(seed=seed)
            case Gp():
                return optuna.samplers.GPSampler(
                    n_startup_trials=config.startup_trials, seed=seed, warn_independent_sampling=False, **options
                )
            case CmaEs():
                return optuna.samplers.CmaEsSampler(
                    n_startup_trials=config.startup_trials, seed=seed, warn_independent_sampling=False, **options
                )
            case Qmc():
                return optuna.samplers.QMCSampler(
                    seed=study_seed,
                    independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                    warn_independent_sampling=False,
                    **options,
                )
            case Nsga2():
                return optuna.samplers.NSGAIISampler(seed=seed, **options)
