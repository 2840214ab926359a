"""The Pareto front of a sweep as it goes on: the completed trials that no other dominates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cifar_tune.config.objective import Objective
from cifar_tune.pareto import Floats, dominated_by, dominating
from cifar_tune.search.proposal import Proposal


@dataclass(frozen=True)
class Extreme:
    """The trial of the front that is best in one metric. varied: what the sweep varies, by dotted path."""

    metric: str
    value: float
    trial_id: str
    varied: Mapping[str, Any]


@dataclass(frozen=True)
class FrontProgress:
    """size: completed trials that no other dominates. extremes: one an objective, none while there is no trial."""

    size: int
    extremes: tuple[Extreme, ...]


@dataclass(frozen=True)
class _Member:
    trial_id: str
    values: tuple[float, ...]
    varied: Mapping[str, Any]


@dataclass
class Front:
    """Keeps the non-dominated completed trials of a sweep. varied_by: what the sweep varies, of a proposal."""

    objectives: Sequence[Objective]
    varied_by: Callable[[Proposal[Any]], Mapping[str, Any]]
    _latest: dict[str, tuple[Proposal[Any], tuple[float, ...]]] = field(default_factory=dict)
    _members: list[_Member] = field(default_factory=list)
    _measured: bool = False

    def trained(self, proposal: Proposal[Any], values: tuple[float, ...]) -> None:
        """Takes in what a trial came to after an epoch."""
        self._measured = True
        self._latest[proposal.trial_id] = (proposal, values)

    def ended(self, trial_id: str, *, completed: bool) -> None:
        """Takes in the end of a trial; only a completed one can be on the front."""
        proposal, values = self._latest.pop(trial_id, (None, ()))
        if proposal is None or not completed:
            return
        member = _Member(trial_id, values, self.varied_by(proposal))
        point = self._point(member)
        points = np.array([self._point(one) for one in self._members]).reshape(-1, len(point))
        if not dominating(points, point).any():
            beaten = dominated_by(points, point)
            self._members = [one for one, lost in zip(self._members, beaten, strict=True) if not lost] + [member]

    def progress(self) -> FrontProgress | None:
        """Returns the front so far; None before any trial has been measured."""
        if not self._measured:
            return None
        return FrontProgress(len(self._members), tuple(self._extremes()) if self._members else ())

    def _extremes(self) -> list[Extreme]:
        found = []
        members = sorted(self._members, key=lambda member: member.trial_id)
        for place, one in enumerate(self.objectives):
            best = max(members, key=lambda member: one.sign * member.values[place])
            found.append(Extreme(one.metric, best.values[place], best.trial_id, best.varied))
        return found

    def _point(self, member: _Member) -> Floats:
        return np.array([one.sign * value for one, value in zip(self.objectives, member.values, strict=True)])
