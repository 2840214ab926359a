"""Between search and workers: hands out trials, takes in what workers say, keeps the table right. No Ray here."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal

from cifar_tune.errors import ClusterError
from cifar_tune.results.columns import COMPLETED, DIVERGED, FAILED, INTERRUPTED, RUNNING, STOPPED
from cifar_tune.results.store import ResultsStore
from cifar_tune.tuning.devices import TrialResources
from cifar_tune.tuning.messages import Assignment, Ending, EpochReport, Message
from cifar_tune.tuning.proposal import Proposal
from cifar_tune.tuning.proposer import Proposer

CHECKPOINTS = "checkpoints"
"""Folder inside the results folder; holds one folder a trial."""

LOST_BEFORE_GIVING_UP = 3
"""Trials whose workers failed; each has been tried several times then, at seconds a time."""


@dataclass
class Attempt:
    """A trial that a worker has, or is about to get.

    attempts, seconds_before: what the table knows of it from earlier drivers. began: when its first worker here did.
    """

    proposal: Proposal
    attempts: int = 0
    seconds_before: float = 0.0
    began: float | None = None
    epoch: int = 0
    accuracy: float | None = None

    def seconds_in_all(self) -> float:
        """Returns the wall time since its first start, without the time when no driver was at work."""
        return self.seconds_before + (0.0 if self.began is None else time.monotonic() - self.began)


class Dispatcher:
    """Keeps the trials that are out.

    `key` is what the caller knows a trial by. A call about a trial that has ended changes nothing.
    """

    opens_test: ClassVar[bool] = False
    """Whether a trial goes on after its last epoch, to be scored on the test split."""

    def __init__(
        self,
        search: Proposer,
        store: ResultsStore,
        *,
        root: Path,
        device: str,
        resources: TrialResources,
        slots: Callable[[], int],
    ) -> None:
        self.live: dict[str, Attempt] = {}
        self._search = search
        self._store = store
        self._root = root
        self._device = device
        self._resources = resources
        self._slots = slots
        self._unfinished = deque(search.unfinished())
        self._epochs = 0
        self._lost = 0

    def assign(self, key: str) -> Assignment | Literal["wait", "exhausted"]:
        """Returns a trial to train: unfinished ones first, then proposals, and never more than run at once.

        A trial is proposed only when a worker is free for it, so that the sampler knows all that can be known.
        """
        if len(self.live) >= self._slots():
            return "wait"
        proposal = self._unfinished.popleft() if self._unfinished else self._search.propose()
        if proposal is None:
            return "exhausted" if self._search.exhausted else "wait"
        attempt = self.live[key] = self._attempt(proposal)
        return Assignment(
            trial_id=attempt.proposal.trial_id,
            trial_json=attempt.proposal.trial.model_dump_json(by_alias=True),
            root=str(self._root),
            checkpoints=str(self._store.folder.absolute() / CHECKPOINTS / attempt.proposal.trial_id),
            device=self._device,
            resources=self._resources,
            opens_test=self.opens_test,
        )

    def _attempt(self, proposal: Proposal) -> Attempt:
        row = self._store.trial(proposal.trial_id)
        return Attempt(proposal, attempts=row["attempts"] or 0, seconds_before=row["wall_seconds"] or 0.0)

    def started(self, key: str) -> None:
        """A worker begins the trial, for the first time or again."""
        attempt = self.live.get(key)
        if attempt is None:
            return
        trial_id = attempt.proposal.trial_id
        attempt.attempts += 1
        attempt.began = attempt.began or time.monotonic()
        self._store.update_trial(trial_id, status=RUNNING, status_reason=None, attempts=attempt.attempts)
        if attempt.attempts == 1:
            self._store.update_trial(trial_id, started_at=datetime.now(UTC), checkpoint=f"{CHECKPOINTS}/{trial_id}")

    def receive(self, key: str, message: Message) -> bool:
        """Records the message; returns whether the trial goes on."""
        attempt = self.live.get(key)
        if attempt is None:
            return False
        if isinstance(message, EpochReport):
            return self._record(key, attempt, message)
        if isinstance(message, Ending):
            self._end(key, message.status, message.reason, message.error)
        return False

    def _record(self, key: str, attempt: Attempt, report: EpochReport) -> bool:
        trial_id, metrics = attempt.proposal.trial_id, report.metrics
        if report.facts:
            self._store.update_trial(trial_id, **report.facts)
        infinite = [name for name, value in asdict(metrics).items() if value is not None and not math.isfinite(value)]
        if infinite:
            self._end(key, DIVERGED, f"{infinite[0]} was not finite in epoch {metrics.epoch}")
            return False
        decision = self._search.report(trial_id, metrics)
        self._epochs += 1
        attempt.epoch = metrics.epoch
        if metrics.validation_accuracy is not None:
            attempt.accuracy = metrics.validation_accuracy
        if decision.action == "stop":
            self._end(key, STOPPED, decision.reason)
        elif metrics.epoch >= attempt.proposal.trial.epochs and not self.opens_test:
            self._end(key, COMPLETED)
        return key in self.live

    def lost(self, key: str, error: str) -> None:
        """The trial's worker failed, more often than it is tried again.

        Raises:
            ClusterError: no worker can train: none has finished an epoch, and this is the third trial lost.
        """
        if key not in self.live:
            return
        self._end(key, FAILED, "no worker could finish it", error)
        self._lost += 1
        if self._lost >= LOST_BEFORE_GIVING_UP and not self._epochs:
            raise ClusterError(
                f"{self._lost} trials lost their workers before one finished an epoch. The last:\n{error}"
            )

    def _end(self, key: str, status: str, reason: str | None = None, error: str | None = None) -> None:
        attempt = self.live.pop(key)
        trial_id = attempt.proposal.trial_id
        self._search.end(trial_id, status, reason, error)
        seconds = attempt.seconds_in_all()
        self._store.update_trial(
            trial_id,
            ended_at=datetime.now(UTC),
            wall_seconds=seconds,
            gpu_seconds=seconds * self._resources.gpus,
        )

    def interrupt(self, reason: str) -> None:
        """Marks the trials that are out; `--resume` continues them from their checkpoints."""
        for attempt in self.live.values():
            seconds = attempt.seconds_in_all()
            self._store.update_trial(
                attempt.proposal.trial_id,
                status=INTERRUPTED,
                status_reason=reason,
                wall_seconds=seconds,
                gpu_seconds=seconds * self._resources.gpus,
            )
        self.live.clear()
