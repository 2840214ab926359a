"""A search replayed on recorded runs, in simulated time, by the studies and schedulers of a real sweep."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cifar_tune.config.domains import Domain
from cifar_tune.config.objective import Objective
from cifar_tune.config.proposals import draw
from cifar_tune.config.samplers import AnySampler
from cifar_tune.config.schedulers import AnyScheduler
from cifar_tune.config.stop_rules import StopRules
from cifar_tune.results.columns import COMPLETED, DIVERGED, STOPPED
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.schedulers.decision import Decision
from cifar_tune.search.search import Search
from cifar_tune.search.simulate.recordings import Recording, Run
from cifar_tune.search.source import RecordedTrial
from cifar_tune.training.metrics import EpochMetrics


@dataclass
class RecordedSweep:
    """A sweep over recorded runs: each proposal is answered by the nearest run that was not used before.

    baseline: answers that are proposed first; None where the sampler proposes all.
    """

    recording: Recording
    seed: int
    objective: Objective
    sampler: AnySampler
    scheduler: AnyScheduler
    grid: Mapping[str, Any] = field(default_factory=dict)
    share_studies: bool = False
    stop: StopRules = field(default_factory=StopRules)
    baseline: Mapping[str, Any] | None = None
    _free: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self._free = np.ones(len(self.recording.runs), dtype=bool)

    @property
    def objectives(self) -> Sequence[Objective]:
        """The one objective."""
        return (self.objective,)

    @property
    def search(self) -> Mapping[str, Domain]:
        """The recorded parameters."""
        return self.recording.search

    @property
    def trial(self) -> RecordedTrial:
        """How long trials are."""
        return RecordedTrial(run=0, epochs=self.recording.epochs)

    @property
    def trials_per_study(self) -> int:
        """As many as there are runs."""
        return len(self.recording.runs)

    def cells(self) -> Sequence[Mapping[str, Any]]:
        """Returns the one study."""
        return ({},)

    def trial_with(self, values: Mapping[str, Any], seed: int | None = None) -> RecordedTrial:
        """Returns the nearest run that was not used before, of no values that to the baseline; it is used now."""
        if not values and self.baseline is not None:
            baseline = self.baseline
            values = draw(self.search, lambda name, _: baseline[name])
        run = self.recording.nearest(values, self._free)
        self._free[run] = False
        return RecordedTrial(run=run, epochs=self.recording.epochs)

    def baseline_point(self, cell: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Returns the baseline."""
        return self.baseline


class NoRecord:
    """A record that keeps nothing, for a search that is never continued."""

    def update_trial(
        self, trial_id: str, *, configuration: Mapping[str, object] | None = None, **values: object
    ) -> None:
        """Keeps nothing."""

    def add_epoch(self, trial_id: str, epoch: int, **values: object) -> bool:
        """Keeps nothing."""
        return True

    def note(self, kind: str, **payload: object) -> None:
        """Keeps nothing."""

    def notes(self, kind: str) -> Iterator[dict[str, Any]]:
        """Returns nothing."""
        return iter(())

    def trial(self, trial_id: str) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def trial_ids(self) -> list[str]:
        """Returns nothing."""
        return []

    def epochs(self, trial_id: str) -> list[dict[str, Any]]:
        """Returns nothing."""
        return []


class Searching(Protocol):
    """What proposes recorded trials and judges them."""

    def propose(self) -> Proposal[RecordedTrial] | None:
        """Returns the next trial; None where there is none."""

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        """Takes in an epoch, and decides whether the trial goes on."""

    def end(self, trial_id: str, status: str, reason: str | None = None) -> None:
        """Takes in how a trial ended."""

    def recommend(self) -> str | None:
        """Returns the trial held to be the best; None before any value."""


@dataclass
class _Worker:
    """A trial in training, or paused. epoch: the one that is being trained, or comes next."""

    proposal: Proposal[RecordedTrial]
    run: Run
    epoch: int = 1


def replay(sweep: RecordedSweep, *, workers: int, moments: Sequence[float]) -> list[int | None]:
    """Returns which run the sweep's search would return at each moment, in simulated seconds; None before any value.

    moments: ascending. A worker takes the next trial where its own ends, at once, unless the scheduler has it wait.
    """
    return replay_search(Search(sweep, NoRecord()), sweep.recording, workers=workers, moments=moments)


def replay_search(
    search: Searching, recording: Recording, *, workers: int, moments: Sequence[float]
) -> list[int | None]:
    """Returns the same of any search over the recorded runs."""
    busy: list[tuple[float, int, _Worker]] = []
    begun: dict[str, _Worker] = {}
    returned: list[int | None] = []
    order = 0

    def train(now: float, worker: _Worker) -> None:
        nonlocal order
        order += 1
        heapq.heappush(busy, (now + worker.run.seconds[worker.epoch - 1], order, worker))

    def begin(now: float) -> None:
        while len(busy) < workers and (proposal := search.propose()) is not None:
            run = recording.runs[proposal.trial.run]
            train(now, begun.setdefault(proposal.trial_id, _Worker(proposal, run)))

    begin(0.0)
    best: int | None = None
    for moment in moments:
        changed = False
        while busy and busy[0][0] <= moment:
            now, _, worker = heapq.heappop(busy)
            changed = True
            if _finish_epoch(search, worker):
                train(now, worker)
            begin(now)
        if changed:
            trial_id = search.recommend()
            best = None if trial_id is None else begun[trial_id].proposal.trial.run
        returned.append(best)
    return returned


def _finish_epoch(search: Searching, worker: _Worker) -> bool:
    """Reports what the worker's trial has just done; returns whether it trains on.

    A run that was shorter than others counts by its share: where others are half-way, so is it.
    """
    trial_id, run = worker.proposal.trial_id, worker.run
    if worker.epoch > len(run.values):
        search.end(trial_id, DIVERGED, "diverged when it was recorded")
        return False
    position = math.ceil(worker.epoch * worker.proposal.trial.epochs / run.epochs)
    decision = search.report(trial_id, _metrics(position, run.values[worker.epoch - 1]))
    worker.epoch += 1
    if decision.action == "stop":
        search.end(trial_id, STOPPED, decision.reason)
        return False
    if worker.epoch > len(run.values) and not run.diverged:
        search.end(trial_id, COMPLETED)
        return False
    return True


def _metrics(epoch: int, value: float) -> EpochMetrics:
    known = None if math.isnan(value) else value
    return EpochMetrics(epoch, 0.0, 0.0, known, known, 0.0, 0.0, 0.0, 0)
