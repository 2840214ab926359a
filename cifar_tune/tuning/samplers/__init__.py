"""Where the next trial is looked for: Optuna's samplers, seeded anew for each proposal."""

from __future__ import annotations

import warnings

import optuna

from cifar_tune.config.samplers import AnySampler, Random, Tpe


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
