"""Between search and workers: hands out trials, takes in what workers say, keeps the table right. No Ray here."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal

from cifar_tune.execution.messages import Assignment, Ending, EpochReport, Message
from cifar_tune.execution.placement.attempt import Attempt
from cifar_tune.execution.placement.oom_fallback import MemoryFallback, next_fallback
from cifar_tune.execution.placement.placer import Placer
from cifar_tune.execution.retention import Retention
from cifar_tune.execution.surroundings import FAULT, NODE_LOST, FaultsInARow, NodeWatch
from cifar_tune.execution.trial_environments import TrialEnvironments
from cifar_tune.layout import CHECKPOINTS
from cifar_tune.results.columns import COMPLETED, DIVERGED, FAILED, INTERRUPTED, RUNNING, STOPPED
from cifar_tune.results.placements import LEFT, PLACED
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.proposer import Proposer
from cifar_tune.storage.folders import place_of
from cifar_tune.training.clone_checkpoint import clone_checkpoint
from cifar_tune.training.trial import TrialConfig

WORKER_DEATHS = 2
"""A trial whose worker dies is tried again so many times, from its last checkpoint. One that raises is not tried again:
the same code on the same data would raise again."""

OUT_OF_MEMORY = "out_of_memory"
"""Kind of the store's notes about trials whose memory was not enough, and what was then tried."""

BEGIN_SECONDS = 120.0
"""Within which a worker begins the trial that was given a place; on a busy machine that takes up to a minute."""


class Dispatcher:
    """Keeps the trials that are out.

    `key` is what the caller knows a trial by; one that is tried again gets another. A call about a trial that has ended
    changes nothing.
    """

    opens_test: ClassVar[bool] = False
    """Whether a trial goes on after its last epoch, to be scored on the test split."""

    retention: Retention | None = None
    """Deletes what trials that have ended no longer need; None: they keep all."""

    def __init__(
        self, search: Proposer, store: ResultsStore, *, root: Path, placer: Placer, patience_seconds: float = 600.0
    ) -> None:
        """patience_seconds: for which faults of the surroundings are waited out (`resources.retry_minutes`)."""
        self.live: dict[str, Attempt] = {}
        self._search = search
        self._store = store
        self._root = root
        self._checkpoints = place_of(store.folder) / CHECKPOINTS
        self._placer = placer
        self.environments = TrialEnvironments(store)
        self._notes = {note["trial_id"]: note for note in store.notes(OUT_OF_MEMORY)}
        self._waiting = deque(map(self._attempt, search.unfinished()))
        self._epochs = 0
        self._faults = FaultsInARow(patience_seconds)
        self._nodes = NodeWatch(placer.hosts())

    def assign(self, key: str) -> Assignment | Literal["wait", "exhausted"]:
        """Returns a trial to train: those that wait first, then new ones, and never more than have room.

        A trial is proposed once a worker is free, so that the sampler knows all there is. In a pause all of them wait.
        """
        if self._faults.told(now := time.monotonic()) is not None:
            return "wait"
        due = [attempt for attempt in self._waiting if attempt.retry_at <= now]
        chosen = self._placer.place(key, _requests(due)) if due else None
        if chosen is None and self._placer.open_to_more(_requests(due)):
            proposal = self._search.propose()
            if proposal is not None:
                self._store.secure()  # before any checkpoint knows of it
                due.append(self._attempt(proposal))
                self._waiting.append(due[-1])
                chosen = self._placer.place(key, _requests(due))
        if chosen is None:
            over = self._search.exhausted and not self._waiting and not self.live
            return "exhausted" if over else "wait"
        self.live[key] = attempt = due[chosen]
        del self._waiting[next(index for index, one in enumerate(self._waiting) if one is attempt)]
        attempt.held = now
        attempt.seen = self._epochs if attempt.seen is None else attempt.seen
        if self.retention is not None:
            self.retention.before(attempt.proposal.trial_id)
        placed = self._placer[key]
        return Assignment(
            trial_id=attempt.proposal.trial_id,
            trial_json=placed.trial.model_dump_json(by_alias=True),
            root=str(self._root),
            checkpoints=str(self._checkpoints / attempt.proposal.trial_id),
            device=placed.device,
            resources=placed.resources.computing_as(self.environments.wanted(attempt.proposal)),
            opens_test=self.opens_test,
            begins_after=0 if (parent := attempt.proposal.parent) is None else parent.epoch,
        )

    def _attempt(self, proposal: Proposal) -> Attempt:
        """A trial that begins from another's checkpoint gets it here, before the other is proposed to go on.

        Of the cards that were too small nothing is remembered, for the next driver may have others.
        """
        if (parent := proposal.parent) is not None:
            clone_checkpoint(self._checkpoints / proposal.trial_id, self._checkpoints / parent.trial_id, parent.epoch)
        return Attempt.of(proposal, self._store.trial(proposal.trial_id), self._notes.get(proposal.trial_id))

    def started(self, key: str) -> None:
        """A worker begins the trial, for the first time or again."""
        attempt = self.live.get(key)
        if attempt is None:
            return
        trial_id = attempt.proposal.trial_id
        attempt.at_work, attempt.attempts = True, attempt.attempts + 1
        self._placer.begun(key)
        attempt.began = attempt.began or time.monotonic()
        self._store.update_trial(trial_id, status=RUNNING, status_reason=None, attempts=attempt.attempts)
        entry = self._placer[key].entry()
        self._store.note(PLACED, trial_id=trial_id, attempt=attempt.attempts, at=time.time(), **entry)
        if attempt.attempts == 1:
            self._store.update_trial(trial_id, started_at=datetime.now(UTC), checkpoint=f"{CHECKPOINTS}/{trial_id}")

    def receive(self, key: str, message: Message) -> bool:
        """Records the message; returns whether the trial goes on."""
        attempt = self.live.get(key)
        if attempt is None:
            return False
        if isinstance(message, EpochReport):
            return self._record(key, attempt, message)
        if isinstance(message, Ending) and message.status == "out_of_memory":
            self._relieve(key, attempt, message)
        elif isinstance(message, Ending) and message.status == "surroundings":
            self._fault(key, attempt, message.reason or "")
        elif isinstance(message, Ending):
            self._end(key, message.status, message.reason, message.error)
        return False

    def _record(self, key: str, attempt: Attempt, report: EpochReport) -> bool:
        trial_id, metrics = attempt.proposal.trial_id, report.metrics
        if report.facts:
            self.environments.record(attempt.proposal, report.facts)
        infinite = [name for name, value in asdict(metrics).items() if value is not None and not math.isfinite(value)]
        if infinite:
            self._end(key, DIVERGED, f"{infinite[0]} was not finite in epoch {metrics.epoch}")
            return False
        if metrics.epoch > (self._store.trial(trial_id)["epochs_trained"] or 0):
            self._epochs += 1
            self._faults.forget()
            self._placer.measured(key, metrics.peak_memory_bytes, metrics.images_per_second)
        decision = self._search.report(trial_id, metrics)
        attempt.epoch = metrics.epoch
        if metrics.validation_accuracy is not None:
            attempt.accuracy = metrics.validation_accuracy
        if decision.action == "stop":
            self._end(key, STOPPED, decision.reason)
        elif metrics.epoch >= attempt.proposal.trial.epochs and not self.opens_test:
            self._end(key, COMPLETED)
        return key in self.live

    def _relieve(self, key: str, attempt: Attempt, ending: Ending) -> None:
        """Lets the trial wait for what may give it the memory that it lacked, or ends it where nothing is left."""
        placed = self._placer[key]
        tried = next_fallback(attempt.relief, placed.trial, self._placer.ran_out(key), placed.resources.processes)
        if tried is None:
            self._end(key, FAILED, self._placer.does_not_fit(key), ending.error)
            return
        attempt.relief, step = tried
        attempt.steps = (*attempt.steps, step)
        trial_id = attempt.proposal.trial_id
        self._notes[trial_id] = note = attempt.memory_note()
        self._store.note(OUT_OF_MEMORY, **note)
        self._store.update_trial(trial_id, memory_steps="; ".join(attempt.steps))
        self._wait_again(key, f"ran out of memory; next: {step}")

    def _fault(self, key: str, attempt: Attempt, reason: str) -> None:
        """Lets the trial wait, as if it had not been handed out: what it met says nothing about it.

        Raises:
            SurroundingsError: this has gone on for too long.
        """
        now, trial_id = time.monotonic(), attempt.proposal.trial_id
        attempt.set_back(now)
        self._store.note(FAULT, trial_id=trial_id, at=time.time(), reason=reason)
        self._store.update_trial(trial_id, faults=attempt.faults)
        self._wait_again(key, reason)
        self._faults.add(reason, now=now)

    def trouble(self) -> str | None:
        """Returns which fault of the surroundings is waited out, None while there is none."""
        return self._faults.told(time.monotonic())

    def _wait_again(self, key: str, reason: str) -> None:
        """Takes the trial from its worker; it is the first to start again."""
        attempt = self._leave(key, reason)
        self._store.update_trial(attempt.proposal.trial_id, status_reason=reason)
        self._waiting.appendleft(attempt)

    def _leave(self, key: str, reason: str) -> Attempt:
        attempt = self.live.pop(key)
        attempt.at_work = False
        attempt.gpu_seconds += (time.monotonic() - attempt.held) * self._placer[key].resources.gpus
        self._placer.release(key)
        self._store.note(LEFT, trial_id=attempt.proposal.trial_id, at=time.time(), reason=reason)
        return attempt

    def lost(self, key: str, error: str, *, node_was_full: bool = False) -> None:
        """The trial's worker failed; it is tried again, unless it failed too often by what the trial may have caused.

        A node that is gone or full, a worker that dies before it has the trial, and a death where no trial has finished
        an epoch since the one before, while others still may, are faults of the surroundings.

        Raises:
            SurroundingsError: no worker has been able to train for too long.
        """
        attempt = self.live.get(key)
        if attempt is None:
            return
        node_id, others = self._placer[key].node_id, self._waiting or len(self.live) > 1 or not self._search.exhausted
        self._nodes.died(node_id, attempt.proposal.trial_id, attempt.epoch, now=time.monotonic())
        unproven = others and attempt.seen == self._epochs
        attempt.seen = self._epochs
        if node_was_full or node_id not in self._placer.hosts() or not attempt.at_work or unproven:
            self._fault(key, attempt, error)
            return
        attempt.deaths += 1
        if attempt.deaths <= WORKER_DEATHS:
            self._wait_again(key, "its worker died; it waits for another")
        else:
            self._end(key, FAILED, "no worker could finish it", error)

    def lost_nodes(self) -> list[str]:
        """Returns a line for each node that has left since this was last asked, and records it in the ledger."""
        out = [(self._placer[key].node_id, one.proposal.trial_id, one.epoch) for key, one in self.live.items()]
        lost = self._nodes.gone(there := self._placer.hosts(), out)
        for node in lost:
            self._store.note(NODE_LOST, node=node.host, at=time.time(), epochs=dict(node.epochs))
            # Ray often tells of a worker's death before it tells that the node is gone. That death was not the trial's.
            elsewhere = [one for key, one in self.live.items() if self._placer[key].node_id in there]
            for attempt in (*self._waiting, *elsewhere):
                if attempt.proposal.trial_id in node.epochs:
                    attempt.deaths = max(0, attempt.deaths - 1)
        return [str(node) for node in lost]

    @property
    def at_work(self) -> bool:
        """Whether any worker has begun the trial that it was given."""
        return any(attempt.at_work for attempt in self.live.values())

    def wanted(self) -> str:
        """Returns what the first trial that is not at work waits for, and what there is, in words."""
        placed = next((key for key, attempt in self.live.items() if not attempt.at_work), None)
        waits = self.live[placed] if placed is not None else next(iter(self._waiting), None)
        trial = "the next trial" if waits is None else waits.proposal.trial_id
        return f"{trial} waits for {self._placer.wanted(placed)}; there is {self._placer.there()}"

    def stranded(self) -> set[str]:
        """Returns the trials whose node is gone, or is held by others while another has room."""
        now = time.monotonic()
        late = {key for key, one in self.live.items() if not one.at_work and now - one.held >= BEGIN_SECONDS}
        gone = self._placer.stranded()
        return gone | {key for key in late - gone if self._placer.elsewhere(key, self.live[key].relief)}

    def withdraw(self, key: str) -> None:
        """Lets a trial that no worker has begun wait for another place."""
        if key in self._placer.stranded():
            self._wait_again(key, "its node is gone; it waits for another")
        else:
            self._placer.avoid(key)
            self._wait_again(key, "others hold its node; it waits for another")

    def _end(self, key: str, status: str, reason: str | None = None, error: str | None = None) -> None:
        attempt = self._leave(key, status)
        trial_id = attempt.proposal.trial_id
        now, began = datetime.now(UTC), self._store.trial(trial_id)["started_at"]
        ended_at = now if began is None else max(now, began)  # the clock may have been put back
        self._search.end(trial_id, status, reason, error, ended_at=ended_at, **attempt.times())
        if self.retention is not None:
            self.retention.ended(trial_id)

    def interrupt(self, reason: str) -> None:
        """Marks the trials that are out; `--resume` continues them from their checkpoints."""
        for attempt in [*(self._leave(key, INTERRUPTED) for key in list(self.live)), *self._waiting]:
            trial_id = attempt.proposal.trial_id
            self._store.update_trial(trial_id, status=INTERRUPTED, status_reason=reason, **attempt.times())
        self._waiting.clear()


def _requests(attempts: Sequence[Attempt]) -> list[tuple[TrialConfig, MemoryFallback]]:
    return [(attempt.proposal.trial, attempt.relief) for attempt in attempts]
