"""One Optuna study a grid cell: it proposes by name, is told what came of it, and can be rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from cifar_tune.config.domains import ChoiceDomain, Domain, FloatDomain, IntDomain
from cifar_tune.config.proposals import draw
from cifar_tune.config.rendering import render
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.tuning.samplers import build_sampler

WHOLE_SWEEP = "all"
"""Name of the only study where there is no grid."""

Outcome = Literal["complete", "pruned", "fail"]
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "fail": TrialState.FAIL}

optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_name(cell: Mapping[str, Any]) -> str:
    """Returns the name of a grid cell, such as `model.activation=relu,sam=null`."""
    return ",".join(f"{path}={render(value)}" for path, value in cell.items()) or WHOLE_SWEEP


def distribution(domain: Domain) -> BaseDistribution:
    """Returns Optuna's form of a domain; a choice's options are known to Optuna by their labels."""
    match domain:
        case FloatDomain():
            return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
        case IntDomain():
            return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
        case ChoiceDomain():
            return CategoricalDistribution(tuple(domain.options))


@dataclass(frozen=True)
class Point:
    """What Optuna proposed. number: of its trial. answers: by Optuna's name. values: by path into the trial."""

    number: int
    answers: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass
class Study:
    """A cell's proposals and outcomes. Each proposal has its own seed, so that a rebuilt study goes on alike."""

    sweep: SweepConfig
    index: int
    cell: Mapping[str, Any]
    _study: optuna.Study = field(init=False)

    def __post_init__(self) -> None:
        direction = StudyDirection.MAXIMIZE if self.sweep.objective.mode == "max" else StudyDirection.MINIMIZE
        self._study = optuna.create_study(direction=direction)

    @property
    def name(self) -> str:
        """Returns the cell in words."""
        return study_name(self.cell)

    @property
    def size(self) -> int:
        """Returns the number of proposals so far; Optuna numbers the next one so."""
        return len(self._study.get_trials(deepcopy=False))

    def ask(self, fixed: Mapping[str, Any] | None = None) -> Point:
        """Returns the sampler's next proposal, or the one that `fixed` answers make."""
        seed = np.random.SeedSequence((self.sweep.seed, self.index, self.size)).generate_state(1)[0]
        self._study.sampler = build_sampler(self.sweep.sampler, int(seed))
        if fixed is not None:
            self._study.enqueue_trial(dict(fixed))
        trial = self._study.ask()
        answers: dict[str, Any] = {}

        def suggest(name: str, domain: Domain) -> Any:
            answers[name] = _suggest(trial, name, domain)
            return answers[name]

        return Point(trial.number, answers, draw(self.sweep.search, suggest))

    def covers(self, answers: Mapping[str, Any]) -> bool:
        """Tells whether these answers are all that a proposal asks for."""
        try:
            draw(self.sweep.search, lambda name, _: answers[name])
        except KeyError:
            return False
        return bool(answers)

    def restore(self, answers: Mapping[str, Any], outcome: Outcome | None, values: Mapping[int, float]) -> None:
        """Adds a proposal that was made before, with its outcome; None while it is still being trained."""
        distributions: dict[str, BaseDistribution] = {}

        def suggest(name: str, domain: Domain) -> Any:
            distributions[name] = distribution(domain)
            return answers[name]

        draw(self.sweep.search, suggest)
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING if outcome is None else _STATES[outcome],
                value=list(values.values())[-1] if outcome == "complete" else None,
                params=dict(answers),
                distributions=distributions,
                intermediate_values=dict(values),
            )
        )

    def tell(self, number: int, outcome: Outcome, values: Mapping[int, float]) -> None:
        """Reports what became of a proposal. values: epoch -> objective, finite.

        complete: the last value is its result. pruned: compared at its epoch; without a value, the worst.
        """
        storage_id = self._study.get_trials(deepcopy=False)[number]._trial_id
        trial = optuna.trial.Trial(self._study, storage_id)
        for epoch, value in values.items():
            trial.report(value, epoch)
        result = list(values.values())[-1] if outcome == "complete" else None
        self._study.tell(number, result, _STATES[outcome])


def _suggest(trial: optuna.trial.Trial, name: str, domain: Domain) -> Any:
    match domain:
        case FloatDomain():
            return trial.suggest_float(name, domain.low, domain.high, log=domain.log, step=domain.step)
        case IntDomain():
            return trial.suggest_int(name, domain.low, domain.high, log=domain.log, step=domain.step)
        case ChoiceDomain():
            return trial.suggest_categorical(name, tuple(domain.options))
