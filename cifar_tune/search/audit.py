"""A share of the trials that would be stopped run on to the end, to show what early stopping costs.

Who is audited follows from the sweep's seed and the trial's name alone. A paused trial runs on when it is clear that it
would never have gone on: when no more trials come, and none that may go on is left. The rungs that an audited trial
would not have reached never hear of it: the other trials are judged as if it had been stopped. The sampler learns from
all its values.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from cifar_tune.config.objective import Objective
from cifar_tune.config.schedulers import AnyScheduler, Stopping
from cifar_tune.results.columns import COMPLETED, DIVERGED
from cifar_tune.search.schedulers.decision import Decision


def audited_share(scheduler: AnyScheduler) -> float:
    """Returns the fraction of the trials to be stopped that run on; 0 of a scheduler that stops none."""
    return scheduler.audit_fraction if isinstance(scheduler, Stopping) else 0.0


@dataclass(slots=True)
class _Arrival:
    """A trial at its first rung. out: the rung that stopped it, or would have. final: NaN if not known."""

    study: str
    rung: int
    value: float
    last: float
    out: int | None = None
    final: float = math.nan


class Arrivals(NamedTuple):
    """The trials that reached the earliest rung, each with the objective there and at its end; higher is better.

    final: NaN where it is not known, -inf of diverged trials. out: whether a rung stopped it, or would have. stopped:
    whether that was this rung.
    """

    rung: int
    study: list[str]
    value: list[float]
    final: list[float]
    out: list[bool]
    stopped: list[bool]


class Audit:
    """Who runs on although a rung would stop it, and what the rungs and the ends of all trials were."""

    def __init__(self, seed: int, fraction: float, objective: Objective, *, by_best: bool = False) -> None:
        """fraction: of the trials that would be stopped. objective: what the rungs go by.

        by_best: they go by a trial's best value so far, not by its last.
        """
        self.audited: set[str] = set()
        self.finals = 0
        self._seed = seed
        self._fraction = fraction
        self._metric = objective.metric
        self._sign = objective.sign
        self._arrivals: dict[str, _Arrival] = {}
        self._bests: dict[str, float] | None = {} if by_best else None

    def chosen(self, trial_id: str) -> bool:
        """Tells whether the trial runs on if it is to be stopped."""
        drawn = hashlib.sha256(f"{self._seed}/{trial_id}".encode()).digest()
        return int.from_bytes(drawn[:8]) < self._fraction * 2**64

    def overruled(self, trial_id: str, decision: Decision) -> Decision:
        """Returns the decision that counts: an audited trial goes on where a rung would stop it, not beyond a limit."""
        final = decision.action == "stop" and decision.limit is None and not decision.paused
        if final and self.chosen(trial_id):
            return replace(decision, action="continue")
        return decision

    def saw(self, trial_id: str, study: str, row: Mapping[str, Any]) -> bool:
        """Takes in an epoch with the decision that counted; returns whether it made the trial an audited one.

        That follows from the row: it goes on with a value that is worse than the cutoff.
        """
        value = row[self._metric]
        if value is None:
            return False
        value *= self._sign
        judged = self._judged(trial_id, value)
        if row["rung"] is not None and trial_id not in self._arrivals:
            self._arrivals[trial_id] = _Arrival(study, row["rung"], value, value)
        arrival = self._arrivals.get(trial_id)
        if arrival is None:
            return False
        arrival.last = value
        if trial_id not in self.audited:
            arrival.out = None  # a paused trial that goes on was not stopped
        worse = row["rung_cutoff"] is not None and judged < self._sign * row["rung_cutoff"]
        spared = worse and row["decision"] == "continue" and self.chosen(trial_id) and trial_id not in self.audited
        if spared or row["decision"] == "stop":
            arrival.out = row["rung"] or row["epoch"]
        if spared:
            self.audited.add(trial_id)
        return spared

    def _judged(self, trial_id: str, value: float) -> float:
        if self._bests is None:
            return value
        self._bests[trial_id] = max(value, self._bests.get(trial_id, value))
        return self._bests[trial_id]

    def ended(self, trial_id: str, status: str) -> None:
        """Takes in the end of a trial; a diverged one has the worst final value of all."""
        arrival = self._arrivals.get(trial_id)
        if arrival is not None and status in (COMPLETED, DIVERGED):
            arrival.final = arrival.last if status == COMPLETED else -math.inf
            self.finals += 1

    def arrivals(self) -> Arrivals | None:
        """Returns what is known of the earliest rung; None before any trial has reached one."""
        if not self._arrivals:
            return None
        rung = min(arrival.rung for arrival in self._arrivals.values())
        there = [arrival for arrival in self._arrivals.values() if arrival.rung == rung]
        return Arrivals(
            rung,
            [one.study for one in there],
            [one.value for one in there],
            [one.final for one in there],
            [one.out is not None for one in there],
            [one.out == rung for one in there],
        )
