"""How far a sweep has come, and the best of it so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cifar_tune.config.domains import ChoiceDomain
from cifar_tune.config.rendering import flatten
from cifar_tune.results.columns import COMPLETED, RUNNING
from cifar_tune.search.front import Front, FrontProgress
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.source import Record, Source
from cifar_tune.search.stop_rules import Met, StopMonitor


@dataclass(frozen=True)
class BestTrial:
    """The best validated epoch so far, of any trial. values: what the sweep varies, by dotted path."""

    trial_id: str
    value: float
    epoch: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class SearchProgress:
    """Where a sweep stands. planned: trials in all. counts: trials by status. epochs: reported by all trials.

    best: None before any value, and with several objectives. front: None then, and with one.
    """

    planned: int
    counts: Mapping[str, int]
    epochs: int
    best: BestTrial | None
    front: FrontProgress | None = None

    @property
    def usable(self) -> bool:
        """Whether any trial has been measured."""
        return self.best is not None or self.front is not None


class SweepProgress:
    """Counts a sweep's epochs and ends, and keeps its best trial."""

    def __init__(self, sweep: Source[Any], studies: Sequence[str], store: Record) -> None:
        """studies: their names."""
        per_study, sign = sweep.trials_per_study, sweep.objectives[0].sign
        self._planned = min(per_study * len(studies), sweep.stop.trials or per_study * len(studies))
        self._monitor = StopMonitor(sweep.stop, store, studies=studies, planned=per_study, sign=sign)
        self._sign = sweep.objectives[0].sign
        self._front = Front(sweep.objectives, self._varied_by) if len(sweep.objectives) > 1 else None
        self._varied = varied_paths(sweep)
        self._counts: Counter[str] = Counter()
        self._epochs = 0
        self._places: dict[str, int] = {}
        self._best: BestTrial | None = None

    def started(self, proposal: Proposal[Any]) -> None:
        """Takes in the next trial."""
        self._places[proposal.trial_id] = len(self._places)
        self._monitor.started(proposal.study)

    def trained(self, proposal: Proposal[Any], epoch: int, values: tuple[float, ...] | None) -> None:
        """Takes in an epoch: one value an objective; None where it was not validated."""
        self._epochs += 1
        if values is None:
            return
        self._monitor.trained(self._places[proposal.trial_id], values[0])
        if self._front is not None:
            self._front.trained(proposal, values)
        elif self._best is None or self._sign * values[0] > self._sign * self._best.value:
            self._best = BestTrial(proposal.trial_id, values[0], epoch, self._varied_by(proposal))

    def _varied_by(self, proposal: Proposal[Any]) -> Mapping[str, Any]:
        flat = flatten(proposal.trial)
        return {path: flat[path] for path in self._varied if flat.get(path) is not None}

    def ended(self, status: str, trial_id: str) -> None:
        """Takes in the end of a trial."""
        self._counts[status] += 1
        self._monitor.ended(self._places[trial_id], status)
        if self._front is not None:
            self._front.ended(trial_id, completed=status == COMPLETED)

    def resumed(self, status: str) -> None:
        """Takes in that a trial of this status trains again."""
        self._counts[status] -= 1
        self._counts = +self._counts

    def met(self) -> Met | None:
        """Returns the stop rule that has ended the sweep; None while it goes on."""
        return self._monitor.met()

    def progress(self, running: int) -> SearchProgress:
        """Returns where the sweep stands."""
        front = None if self._front is None else self._front.progress()
        planned = max(self._planned, len(self._places))
        return SearchProgress(planned, {RUNNING: running, **self._counts}, self._epochs, self._best, front)


def varied_paths(sweep: Source[Any]) -> tuple[str, ...]:
    """Returns the paths of what differs between the sweep's trials; a component counts by its name."""
    inside = [
        f"{path}.{inner}" if inner else path
        for path, domain in sweep.search.items()
        if isinstance(domain, ChoiceDomain)
        for option in domain.options.values()
        for inner in option.domains
    ]
    outside = [one for path in (*sweep.grid, *sweep.search) for one in (path, f"{path}.name")]
    return tuple(dict.fromkeys(outside + inside))
