"""Where the next trial is looked for: Optuna's samplers, seeded anew for each proposal."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import optuna

from cifar_tune.config.samplers import AnySampler, Random, Tpe

MODEL_TRIALS = 64
"""Shown to a sampler that models the trials it is shown; bounds what a proposal costs in a long sweep."""


@dataclass(frozen=True)
class Needs:
    """What a sampler is to be shown. most: trials. settled: only the values of trials that have ended."""

    most: int = MODEL_TRIALS
    settled: bool = False


def needs_of(config: AnySampler) -> Needs:
    """Returns what the sampler is to be shown."""
    match config:
        case Tpe():
            return Needs()
        case Random():
            return Needs(most=1)


def build_sampler(config: AnySampler, seed: int) -> optuna.samplers.BaseSampler:
    """Returns Optuna's sampler. `seed` determines every draw that it makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match config:
            case Tpe():
                return optuna.samplers.TPESampler(
                    n_startup_trials=config.startup_trials,
                    multivariate=True,
                    group=True,
                    constant_liar=True,
                    seed=seed,
                )
            case Random():
                return optuna.samplers.RandomSampler(seed=seed)
