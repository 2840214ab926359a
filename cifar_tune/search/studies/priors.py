"""Proposals drawn from the user's priors in the place of the sampler's, ever less often as evidence comes.

piBO multiplies the acquisition function by the prior to the power of beta / n after n trials (Hvarfner et al. 2022,
arXiv:2204.11051, equation 6). Samplers without an acquisition function get the same from a mixture: a proposal follows
the prior with a probability that falls as beta / n.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.ranges import FloatDomain, IntDomain

FADING_TRIALS = 10
"""beta: up to so many ended trials a prior counts in full. As many as TPE and GP draw at random before they model."""

SPREAD = 0.125
"""Standard deviation of a prior, as a share of the range. Source: Mallik et al. 2023 (arXiv:2306.12370, high
confidence)."""


class PriorSampler:
    """Decides for one proposal which of its parameters follow their priors, and draws these."""

    def __init__(self, seed: int, num_finished: int) -> None:
        """evidence: trials that have ended with a value."""
        self._generator = np.random.default_rng(seed)
        self._threshold = self._generator.random()
        self._fading = min(1.0, FADING_TRIALS / max(num_finished, 1))
        self.followed = False
        """Whether a parameter followed its prior."""

    def answer(self, domain: Domain) -> Any:
        """Returns a value, or the label of an option, by the domain's prior; None where the sampler is to be asked."""
        if domain.prior is None or self._threshold >= domain.prior.strength * self._fading:
            return None
        self.followed = True
        return domain.preferred if isinstance(domain, ChoiceDomain) else self._near_mean(domain)

    def _near_mean(self, domain: FloatDomain | IntDomain) -> float | int:
        """Draws from a normal distribution around the mean, cut off at the ends of the range."""
        assert domain.prior is not None
        low, high, mean = (_scaled(value, domain.log) for value in (domain.low, domain.high, domain.prior.mean))
        drawn = math.inf
        while not low <= drawn <= high:
            drawn = self._generator.normal(mean, SPREAD * (high - low))
        return on_lattice(math.exp(drawn) if domain.log else drawn, domain)


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value


def on_lattice(value: float, domain: FloatDomain | IntDomain) -> float | int:
    """Returns the value of the domain that is nearest."""
    steps = value if domain.step is None else domain.low + round((value - domain.low) / domain.step) * domain.step
    within = min(max(steps, domain.low), domain.high)
    return int(within) if isinstance(domain, IntDomain) else within
