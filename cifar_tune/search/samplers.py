"""Where the next trial is looked for: Optuna's samplers, seeded anew for each proposal."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.samplers import AnySampler, CmaEs, Gp, Nsga2, Qmc, Random, Tpe

MODEL_TRIALS = 64
"""Shown to a sampler that models the trials it is shown: on recorded curves, four times as many bring nothing."""

GENERATIONS = 4
"""Shown to a sampler that breeds: the one that grows, its parents, and room for stragglers."""


@dataclass(frozen=True)
class Needs:
    """What a sampler is to be shown. most: trials. settled: only the values of trials that have ended.

    stepping: it counts its proposals itself, in an attribute of the Optuna study. given: trials of other sweeps beside
    the study, all numbers. exact: it learns only from what was trained just as it proposed it.
    """

    most: int = MODEL_TRIALS
    completed_only: bool = False
    sequence_counter: bool = False
    given: bool = False
    exact: bool = False


def needs_of(config: AnySampler, search: Mapping[str, Domain]) -> Needs:
    """Returns what the sampler is to be shown in a search space."""
    match config:
        case Tpe() | Gp():
            return Needs()
        case CmaEs():
            population = config.popsize or 4 + 3 * len(search)
            numbers = not any(isinstance(domain, ChoiceDomain) for domain in search.values())
            free = config.sigma0 is None and not config.use_separable_cma
            most = max(MODEL_TRIALS, GENERATIONS * population)
            given = len(search) > 1 and numbers and free
            return Needs(most, completed_only=True, given=given, exact=config.with_margin)
        case Nsga2():
            return Needs(most=GENERATIONS * config.population_size, completed_only=True)
        case Qmc():
            return Needs(most=1, sequence_counter=True)
        case Random():
            return Needs(most=1)


def attributes_of_given(config: AnySampler) -> Mapping[str, Any]:
    """Returns by what a sampler that breeds finds trials of other sweeps: they are of its first generation."""
    return {optuna.samplers.NSGAIISampler._get_generation_key(): 0} if isinstance(config, Nsga2) else {}


def build_sampler(
    config: AnySampler, seed: int, study_seed: int, given: Sequence[FrozenTrial] = ()
) -> optuna.samplers.BaseSampler:
    """Returns Optuna's sampler. The seeds determine every draw: `seed` of one proposal, `study_seed` of a sequence.

    given: trials of other sweeps, by which CMA-ES begins. Source: Nomura et al. 2021 (arXiv:2012.06932).
    """
    options = {key: value for key, value in config if key != "name" and value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)
        match config:
            case Tpe():
                return optuna.samplers.TPESampler(seed=seed, **options)
            case Random():
                return optuna.samplers.RandomSampler(seed=seed)
            case Gp():
                return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False, **options)
            case CmaEs():
                options |= {"source_trials": list(given)} if given else {}
                return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False, **options)
            case Qmc():
                return optuna.samplers.QMCSampler(
                    seed=study_seed,
                    independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                    warn_independent_sampling=False,
                    **options,
                )
            case Nsga2():
                return optuna.samplers.NSGAIISampler(seed=seed, **{**options, **_breeding(config)})


def _breeding(config: Nsga2) -> Mapping[str, Any]:
    """Returns Optuna's form of what a file names."""
    from optuna.samplers import nsgaii

    kinds = (
        nsgaii.BLXAlphaCrossover,
        nsgaii.SPXCrossover,
        nsgaii.SBXCrossover,
        nsgaii.VSBXCrossover,
        nsgaii.UNDXCrossover,
    )
    crossovers = {kind.__name__.removesuffix("Crossover").lower(): kind for kind in kinds}
    found = crossovers.get(config.crossover)
    crossover = nsgaii.UniformCrossover(config.swapping_prob) if found is None else found()
    mutation = {} if config.mutation is None else {"mutation": nsgaii.PolynomialMutation()}
    return {"crossover": crossover, **mutation}
