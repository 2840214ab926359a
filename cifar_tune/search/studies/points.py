"""Places in the search space, and the space as Optuna knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.proposals import draw
from cifar_tune.config.ranges import FloatDomain, IntDomain


@dataclass(frozen=True)
class Point:
    """A place in the search space. answers: by Optuna's name. attributes: what the sampler wants to find again."""

    answers: Mapping[str, Any]
    attributes: Mapping[str, Any]


def distribution(domain: Domain) -> BaseDistribution:
    """Returns Optuna's form of a domain; a choice's options are known to Optuna by their labels."""
    match domain:
        case FloatDomain():
            return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
        case IntDomain():
            return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
        case ChoiceDomain():
            return CategoricalDistribution(tuple(domain.options))


def suggest(trial: Trial, name: str, domain: Domain) -> Any:
    """Returns what the sampler of Optuna's trial answers for a domain."""
    match domain:
        case FloatDomain():
            return trial.suggest_float(name, domain.low, domain.high, log=domain.log, step=domain.step)
        case IntDomain():
            return trial.suggest_int(name, domain.low, domain.high, log=domain.log, step=domain.step)
        case ChoiceDomain():
            return trial.suggest_categorical(name, tuple(domain.options))


class Distributions:
    """Optuna's form of the domains behind answers; the same names always mean the same domains."""

    def __init__(self, search: Mapping[str, Domain]) -> None:
        self._search = search
        self._made: dict[str, BaseDistribution] = {}
        self._by_names: dict[tuple[str, ...], Mapping[str, BaseDistribution]] = {}

    def of(self, answers: Mapping[str, Any]) -> Mapping[str, BaseDistribution]:
        """Returns the distributions by the names of the answers."""
        names = tuple(answers)
        if names not in self._by_names:
            found: dict[str, BaseDistribution] = {}

            def note(name: str, domain: Domain) -> Any:
                found[name] = self._made.setdefault(name, distribution(domain))
                return answers[name]

            draw(self._search, note)
            self._by_names[names] = found
        return self._by_names[names]
