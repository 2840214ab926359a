"""Recorded learning curves on which a search can be replayed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.ranges import FloatDomain, IntDomain

FEWEST_RUNS = 2

MOST_STEPS = 100
"""Of a range of whole numbers that is searched as such. Beyond it a step is narrower than the narrowest kernel of a
Parzen estimator, a hundredth of the range, and the nearest run answers anyway: as a continuous one it takes half the
time."""


@dataclass(frozen=True)
class Run:
    """One recorded trial. epochs: it would have had, had it not diverged. values: by epoch, NaN where not validated.

    configuration: None where a value does not apply. seconds: by epoch, that in which it diverged included.
    """

    configuration: Mapping[str, Any]
    epochs: int
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    diverged: bool

    @property
    def final(self) -> float:
        """The last value, which counts; NaN of a run that diverged."""
        return math.nan if self.diverged else next(value for value in reversed(self.values) if not math.isnan(value))


@dataclass(frozen=True)
class Recording:
    """Runs, and the space that they came from. name: of the table."""

    name: str
    runs: Sequence[Run]
    search: Mapping[str, Domain]

    @cached_property
    def epochs(self) -> int:
        """Of the longest run."""
        return max(run.epochs for run in self.runs)

    @property
    def full_cost(self) -> float:
        """Median seconds of the runs that did not diverge."""
        return float(np.median([sum(run.seconds) for run in self.runs if not run.diverged]))

    @cached_property
    def _places(self) -> NDArray[np.float64]:
        return np.array([self._place(run.configuration) for run in self.runs])

    def nearest(self, configuration: Mapping[str, Any], free: NDArray[np.bool_]) -> int:
        """Returns which of the free runs is nearest: each range has length 1, and so has the way between two options.

        A parameter that a run does not have counts for nothing.
        """
        gaps = self._places - np.array(self._place(configuration))
        distances = np.where(np.isnan(gaps), 0.0, gaps**2).sum(axis=1)
        return int(np.where(free, distances, np.inf).argmin())

    def _place(self, configuration: Mapping[str, Any]) -> list[float]:
        place: list[float] = []
        for name, domain in self.search.items():
            value = configuration[name]
            if isinstance(domain, ChoiceDomain):
                place += [math.sqrt(0.5) * (value == option) for option in domain.choice]
            elif value is None:
                place.append(math.nan)
            else:
                scale = math.log if domain.log else float
                low, high = scale(domain.low), scale(domain.high)
                place.append((scale(value) - low) / (high - low))
        return place


def domain_of(column: Sequence[Any]) -> Domain | None:
    """Returns what a parameter's recorded values range over; None where they are all one, None apart."""
    values = [value for value in column if value is not None]
    kinds = {type(value) for value in values}
    if len(set(values)) < FEWEST_RUNS:
        return None
    if not kinds <= {int, float}:
        return ChoiceDomain(choice=tuple(sorted(set(values), key=str)))
    low, high = min(values), max(values)
    log = low > 0 and _unevenness([math.log(value) for value in values]) < _unevenness(values)
    if kinds == {int} and high - low <= MOST_STEPS:
        return IntDomain.model_validate({"int": (low, high), "log": log})
    return FloatDomain.model_validate({"float": (float(low), float(high)), "log": log})


def _unevenness(values: Sequence[float]) -> float:
    """Returns the largest gap between the values' distribution and an even one over their range, in [0, 1]."""
    spread = np.sort((np.array(values) - min(values)) / (max(values) - min(values)))
    ranks = np.arange(len(spread)) / len(spread)
    return float(max(np.abs(spread - ranks).max(), np.abs(spread - ranks - 1 / len(spread)).max()))
