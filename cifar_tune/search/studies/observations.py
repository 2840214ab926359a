"""What a sampler is shown of the past: every trial by what it may be expected to end at.

Optuna ranks any completed trial above every stopped one, and holds those that still train to be bad. Early in a sweep,
and under early stopping all through it, the trials that train are the good ones: so here a trial counts from its first
value on, by its expected final value. What really became of each trial stands in the results table.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from cifar_tune.results.columns import COMPLETED, DIVERGED, FAILED, STOPPED
from cifar_tune.search.studies.forecast import Curve, expected_finals

State = Literal["running", "completed", "stopped", "diverged", "failed", "infeasible"]

ENDED: Mapping[str, State] = {
    COMPLETED: "completed",
    STOPPED: "stopped",
    DIVERGED: "diverged",
    FAILED: "failed",
}
"""Statuses that a trial keeps. An interrupted one goes on with the next driver."""

BEST_SHARE = 0.25
"""Of what a sampler is shown, kept for the best trials of all time; the rest are the latest."""

WRECKED = ("diverged", "failed", "infeasible")
"""What has no final value."""

CONSTRAINT = "constraints:"
"""Before a constraint's name, in the attributes where Optuna's samplers look for it; above 0 is broken."""

UNNUMBERED = -1
"""Until Optuna takes the trial in."""

NEVER = datetime(2000, 1, 1)
"""Optuna demands a date; there is no clock here."""


@dataclass(slots=True)
class Observation:
    """A trial and what is known of it; its name is empty where it is not a trial of this sweep.

    answers: None outside the search space. attributes: what the sampler wants to find again. excesses: by constraint,
    by what share of its limit it is broken. curves: an objective each. order: among the proposals of all studies that
    share what they know.
    """

    trial_id: str
    answers: Mapping[str, Any] | None
    distributions: Mapping[str, BaseDistribution]
    attributes: Mapping[str, Any]
    constraint_violations: Mapping[str, float] = field(default_factory=dict)
    state: State = "running"
    curves: tuple[Curve, ...] = field(default_factory=lambda: (Curve(),))
    order: int = 0

    @property
    def curve(self) -> Curve:
        """Of the first objective; where there are others, theirs have the same epochs."""
        return self.curves[0]


class TrialHistory:
    """A study's observations, of which a sampler is shown no more than `most` that have ended.

    A model of all pairs of trials would slow down as they become many, and old weak ones teach it nothing.
    """

    def __init__(self, epochs: int, most: int, order: Iterator[int] | None = None) -> None:
        """epochs: of a whole trial. order: counts the proposals of all memories that share it."""
        self._epochs = epochs
        self._order = order or itertools.count()
        self._most = most
        self._kept = max(1, round(most * BEST_SHARE))
        self._all: list[Observation] = []
        self._running: dict[int, None] = {}
        self._best: list[tuple[int, float, int]] = []
        self.num_finished = 0
        """Trials that have ended with a value."""

    def __len__(self) -> int:
        return len(self._all)

    @property
    def latest(self) -> int:
        """The place of its last proposal in the order of all; -1 before the first."""
        return self._all[-1].order if self._all else -1

    def __getitem__(self, place: int) -> Observation:
        return self._all[place]

    def add(self, observation: Observation) -> int:
        """Takes in a proposal; returns its place."""
        place = len(self._all)
        observation.order = next(self._order)
        self._all.append(observation)
        self._running[place] = None
        return place

    def report(self, place: int, epoch: int, *values: float) -> None:
        """Takes in the next epoch of a trial: what it came to, one value an objective; higher is better."""
        for curve, value in zip(self._all[place].curves, values, strict=True):
            curve.add(epoch, value)

    def end(self, place: int, state: State) -> None:
        """Says that a trial trains no longer. Those that came furthest are remembered longest, of these the best."""
        observation = self._all[place]
        observation.state = state
        del self._running[place]
        if observation.curve.values and state in ("completed", "stopped"):
            self.num_finished += 1
            self._rank(place)

    def resume(self, place: int) -> None:
        """Says that a stopped trial of one objective trains again."""
        curve = self._all[place].curve
        self._all[place].state = "running"
        self._running[place] = None
        if curve.values:
            self.num_finished -= 1
            del self._best[bisect_left(self._best, (curve.epochs[-1], curve.values[-1], -place))]

    def _rank(self, place: int) -> None:
        """Puts a trial among the best, worst first: epochs, merit among those of as many epochs, place."""
        curve = self._all[place].curve
        insort(self._best, (curve.epochs[-1], curve.values[-1], -place))

    def _remembered(self) -> list[int]:
        """The places of those that train, the best and the latest, in order."""
        best = {-place for _, _, place in self._best[-self._kept :]}
        latest = range(max(0, len(self._all) - self._most + len(best)), len(self._all))
        return sorted(best | set(latest) | set(self._running))

    def expected_best(self) -> tuple[float, str] | None:
        """Returns the highest expected final value and whose it is; None before the first value of this sweep."""
        judged = [
            one
            for one in map(self._all.__getitem__, self._remembered())
            if one.curve.values and one.state not in WRECKED
        ]
        if not judged:
            return None
        finals = expected_finals([one.curve for one in judged], self._epochs)
        own = [place for place, one in enumerate(judged) if one.trial_id]
        if not own:
            return None
        best = max(own, key=finals.__getitem__)
        return float(finals[best]), judged[best].trial_id

    def frozen(self, places: Sequence[int]) -> list[FrozenTrial]:
        """Returns those of these trials that have a value, for a sampler that is given trials beside its study."""
        chosen = [one for one in map(self._all.__getitem__, places) if one.curve.values and one.state not in WRECKED]
        finals = expected_finals([one.curve for one in chosen], self._epochs) if chosen else ()
        return [
            _frozen(one, one.answers, (float(final),))
            for one, final in zip(chosen, finals, strict=True)
            if one.answers is not None
        ]

    def shown(self, *, completed_only: bool) -> list[FrozenTrial]:
        """Returns the past as a sampler is to see it, in order; every value is one to be maximised."""
        return [trial for _, trial in self.ordered(completed_only=completed_only)]

    def ordered(self, *, completed_only: bool, refused: bool = True) -> list[tuple[int, FrozenTrial]]:
        """Returns the past as a sampler is to see it, with each trial's place in the order of all proposals.

        A diverged trial counts as the worst, and so does one that breaks a constraint, which is shown too; a failed one
        counts not at all, one without a value as running.
        settled: those that still train count as running too. refused: those that break a constraint are shown.
        """
        chosen = [self._all[place] for place in self._remembered()]
        finals = self._finals(chosen, completed_only)
        hidden = ("failed",) if refused else ("failed", "infeasible")
        return [
            (one.order, _frozen(one, one.answers, final))
            for one, final in zip(chosen, finals, strict=True)
            if one.state not in hidden and one.answers is not None
        ]

    def _finals(self, chosen: Sequence[Observation], completed_only: bool) -> list[tuple[float, ...] | None]:
        """Returns what each trial is expected to end at, one value an objective; None where nothing is known."""
        return [None if value is None else (value,) for value in _expected(chosen, self._epochs, completed_only)]


class _Past(FrozenTrial):
    """A trial that nobody changes any more: Optuna may keep it as it is."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Past:
        """Returns a shallow copy; Optuna numbers it anew."""
        return copy(self)


def _expected(observations: Sequence[Observation], epochs: int, completed_only: bool) -> list[float | None]:
    """Returns each trial's expected final value, None where nothing is known."""
    hidden = (*WRECKED, "running") if completed_only else WRECKED
    judged = [one.curve for one in observations if one.curve.values and one.state not in hidden]
    if not judged:
        return [None] * len(observations)
    finals = iter(expected_finals(judged, epochs).tolist())
    values = [next(finals) if one.curve.values and one.state not in hidden else None for one in observations]
    worst = min(value for value in values if value is not None)
    return [worst if one.state in WRECKED else value for one, value in zip(observations, values, strict=True)]


def _frozen(observation: Observation, answers: Mapping[str, Any], values: Sequence[float] | None) -> FrozenTrial:
    return _Past(
        number=UNNUMBERED,
        trial_id=UNNUMBERED,
        state=TrialState.RUNNING if values is None else TrialState.COMPLETE,
        value=None,
        values=values,
        datetime_start=NEVER,
        datetime_complete=None if values is None else NEVER,
        params=dict(answers),
        distributions=dict(observation.distributions),
        user_attrs={},
        system_attrs={
            **observation.attributes,
            **{f"{CONSTRAINT}{name}": excess for name, excess in observation.constraint_violations.items()},
        },
        intermediate_values={},
    )
