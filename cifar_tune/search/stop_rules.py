"""When a sweep ends before all its trials are done, by what its trials have come to.

Each rule follows from the set of trials and what is known of each, not from the order in which they reported: a driver
that rebuilds the search from the ledger comes to the same end.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_tune.config.stop_rules import StopRules
from cifar_tune.results.columns import COMPLETED
from cifar_tune.search.source import Record

ENDED_BY = "ended_by"
"""Kind of the store's notes about the rule that ended the sweep."""

LEAST_COMPLETED = 4
"""Completed trials of a study before its tail is estimated: three excesses over a threshold."""

MOST_PEAKS = 5
"""Best values that the tail is estimated from; more reach down to where it is not a tail."""

LEAST_WINDOW = 20
"""Ended trials of a study that are looked at, the latest; half of them where that is more."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Met:
    """A rule that is met. rule: its key. limit: its value. told: the rule and what met it, in a sentence."""

    rule: str
    limit: float
    told: str


class StopMonitor:
    """Knows of each trial what the rules ask, and keeps the first rule that was met in the store."""

    def __init__(self, rules: StopRules, store: Record, *, studies: Sequence[str], planned: int, sign: int) -> None:
        """studies: their names. planned: trials of each. sign: 1 where a higher value is better, else -1."""
        self._rules = rules
        self._store = store
        self._studies = {name: place for place, name in enumerate(studies)}
        self._planned = planned
        self._sign = sign
        self._begun: set[str] = set()
        self._study, self._ended = array("q"), array("b")
        self._best, self._final = array("d"), array("d")
        self._met = self._kept()

    def _kept(self) -> Met | None:
        """The rule that has ended the sweep, unless its limit has been changed since."""
        for note in self._store.notes(ENDED_BY):
            if note["rule"] in TRIAL_RULES and getattr(self._rules, note["rule"]) == note["limit"]:
                return Met(**note)
        return None

    def started(self, study: str) -> None:
        """Takes in the next trial."""
        self._begun.add(study)
        self._study.append(self._studies[study])
        self._ended.append(0)
        self._best.append(-math.inf)
        self._final.append(math.nan)

    def trained(self, trial: int, value: float) -> None:
        """Takes in a trial's objective after an epoch. trial: 0 for the first that was started."""
        self._ended[trial] = 0
        self._final[trial] = self._sign * value
        self._best[trial] = max(self._best[trial], self._sign * value)

    def ended(self, trial: int, status: str) -> None:
        """Takes in the end of a trial; only completed ones have a final value."""
        self._ended[trial] = 1
        if status != COMPLETED:
            self._final[trial] = math.nan

    def met(self) -> Met | None:
        """Returns the rule that has ended the sweep, noted in the store; None while it goes on."""
        if self._met is None and (met := self._first_met()) is not None:
            self._met = met
            self._store.note(ENDED_BY, rule=met.rule, limit=met.limit, told=met.told)
        return self._met

    def _first_met(self) -> Met | None:
        rules, count = self._rules, len(self._study)
        if not count:
            return None
        if rules.trials is not None and count >= rules.trials:
            return Met("trials", rules.trials, f"stop.trials: {rules.trials} trials were started")
        best = max(self._best)
        if best == -math.inf:
            return None
        if rules.target is not None and best >= self._sign * rules.target:
            told = f"stop.target: {abs(best):.4g} reached the target of {rules.target:g}"
            return Met("target", rules.target, told)
        return self._no_improvement(best) or self._no_hope()

    def _no_improvement(self, best: float) -> Met | None:
        limit = self._rules.no_improvement_trials
        if limit is None or len(self._begun) < len(self._studies):
            return None
        reached = np.frombuffer(self._best) >= best - self._rules.min_delta
        after = int(np.frombuffer(self._ended, np.int8)[int(reached.argmax()) + 1 :].sum())
        if after < limit:
            return None
        return Met("no_improvement_trials", limit, f"stop.no_improvement_trials: {after} trials brought nothing better")

    def _no_hope(self) -> Met | None:
        limit = self._rules.probability_of_improvement
        if limit is None:
            return None
        study, final = np.frombuffer(self._study, np.int64), np.frombuffer(self._final)
        ended = np.frombuffer(self._ended, np.int8) == 1
        finals = [final[ended & (study == place)] for place in self._studies.values()]
        left = [self._planned - int((study == place).sum()) for place in self._studies.values()]
        chance = chance_of_improvement(finals, left, self._rules.min_delta)
        if chance is None or chance >= limit:
            return None
        what = f"the {sum(left)} trials left would bring something better with probability {chance:.2g}"
        return Met("probability_of_improvement", limit, f"stop.probability_of_improvement: {what}")


TRIAL_RULES = ("trials", "target", "no_improvement_trials", "probability_of_improvement")
"""The rules that follow from the trials; the others follow from a clock."""


def chance_of_improvement(finals: Sequence[Floats], left: Sequence[int], min_delta: float = 0.0) -> float | None:
    """Returns the probability that any of the trials left ends more than `min_delta` above the best final value.

    finals: of each study, one value an ended trial in the order in which they were proposed, higher is better, NaN of
    those that did not complete. left: trials of each study that are still to come. None where too little is known.

    Were all trials drawn alike, the best of m further ones would be above the best of n with probability m / (n + m),
    whatever they are drawn from (Source: Renyi 1962 on records). A sampler learns, so the later half of the trials is
    asked as well as all, and the higher probability counts: that errs on the side of going on. To end higher by some
    distance is as likely as for a share of the m to end higher at all; the share follows from an exponential tail
    (Source: Pickands 1975, doi:10.1214/aos/1176343003, shape 0), which errs on the same side where the objective has
    an upper bound.
    """
    known = [values[~np.isnan(values)] for values in finals]
    if not any(values.size for values in known):
        return None
    goal = max(float(values.max()) for values in known if values.size) + min_delta
    none_better = 1.0
    for values, trials in zip(finals, left, strict=True):
        if trials <= 0:
            continue
        latest = values[-max(LEAST_WINDOW, len(values) // 2) :]
        chances = [_chance(asked, trials, goal) for asked in (values, latest)]
        if None in chances:
            return None
        none_better *= 1 - max(chance for chance in chances if chance is not None)
    return 1 - none_better


def _chance(finals: Floats, trials: int, goal: float) -> float | None:
    """The probability that any of so many further trials ends above the goal."""
    completed = np.sort(finals[~np.isnan(finals)])[::-1]
    if completed.size < LEAST_COMPLETED:
        return None
    counted = trials * _share_beyond(completed, goal)
    return counted / (len(finals) + counted)


def _share_beyond(completed: Floats, goal: float) -> float:
    """The share that goes beyond the goal of what goes beyond the best. completed: descending."""
    peaks = min(MOST_PEAKS, completed.size - 1)
    excess = float((completed[:peaks] - completed[peaks]).mean())
    distance = goal - float(completed[0])
    if distance <= 0:
        return 1.0
    return math.exp(-distance / excess) if excess > 0 else 0.0
