"""A configuration near that of a trial that does well."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.proposals import answers, draw
from cifar_tune.config.ranges import FloatDomain, IntDomain
from cifar_tune.training.trial import TrialConfig

FACTORS = (0.8, 1.2)
"""Source: Jaderberg et al. 2017 (arXiv:1711.09846, section 4.1), `perturb`."""

RESAMPLED = 0.25
"""Probability that a choice is drawn anew. Source: that of `resample` in Ray's PopulationBasedTraining, its default."""


def explored(search: Mapping[str, Domain], trial: TrialConfig, seed: str) -> dict[str, Any]:
    """Returns values near those of a trial, by path: ranges times a factor, choices now and then another option.

    A value that lies outside its range, or inside an option that the trial did not have, is drawn from the range.
    """
    known, chance = answers(search, trial), random.Random(seed)

    def suggest(name: str, domain: Domain) -> Any:
        return perturbed(domain, known[name], chance) if name in known else fresh(domain, chance)

    return draw(search, suggest)


def perturbed(domain: Domain, value: Any, chance: random.Random) -> Any:
    """Returns a neighbour of a value, inside the domain; on a lattice at least a step away, if the range has one.

    Zero has no neighbour by a factor: it is drawn anew.
    """
    if isinstance(domain, ChoiceDomain):
        return fresh(domain, chance) if chance.random() < RESAMPLED else value
    factor = chance.choice(FACTORS)
    if value == 0:
        return fresh(domain, chance)
    moved = value * factor
    if domain.step is not None:
        steps = round((moved - value) / domain.step) or math.copysign(1, moved - value)
        moved = value + int(steps) * domain.step
    return _inside(domain, moved)


def fresh(domain: Domain, chance: random.Random) -> Any:
    """Returns a draw from a domain, even in the logarithm where that is asked."""
    if isinstance(domain, ChoiceDomain):
        return chance.choice(list(domain.options))
    if domain.log:
        return _inside(domain, math.exp(chance.uniform(math.log(domain.low), math.log(domain.high))))
    return _inside(domain, chance.uniform(domain.low, domain.high))


def _inside(domain: FloatDomain | IntDomain, value: float) -> float | int:
    """Returns the nearest value that the domain holds."""
    clipped = min(max(value, domain.low), domain.high)
    if domain.step is not None:
        clipped = domain.low + round((clipped - domain.low) / domain.step) * domain.step
        clipped = min(clipped, domain.high)
    return clipped
