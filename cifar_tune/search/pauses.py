"""Trials that wait for their scheduler to let them go on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Generic

from cifar_tune.results.columns import RUNNING
from cifar_tune.search.proposal import Live
from cifar_tune.search.schedulers import Scheduler
from cifar_tune.search.schedulers.decision import Decision, recorded
from cifar_tune.search.source import Record, TrialT

PROMOTED = "promoted"
"""Kind of the store's notes about paused trials that go on."""


class Pauses(Generic[TrialT]):
    """The paused trials of all studies."""

    def __init__(self, schedulers: Sequence[Scheduler], store: Record) -> None:
        """schedulers: of the studies, in their order."""
        self._schedulers = schedulers
        self._store = store
        self._paused: dict[str, Live[TrialT]] = {}
        self._promoted: dict[str, int] = {}
        self._spared: set[str] = set()
        for note in store.notes(PROMOTED):
            self._promoted[note["trial_id"]] = note["epoch"]
            self._spared |= {note["trial_id"]} if note.get("audited") else set()

    def __len__(self) -> int:
        return len(self._paused)

    def __getitem__(self, trial_id: str) -> Live[TrialT]:
        return self._paused[trial_id]

    def __iter__(self) -> Iterator[Live[TrialT]]:
        return iter(self._paused.values())

    def drop(self, trial_id: str) -> Live[TrialT] | None:
        """Takes in that a trial goes on no more; returns it if it was paused."""
        return self._paused.pop(trial_id, None)

    def last_of(self, trial_id: str) -> int:
        """Returns the epoch of the last pause that a trial went on from, 0 where there is none."""
        epoch: int = self._promoted.get(trial_id, 0)
        return epoch

    def spared_after(self, trial_id: str) -> int | None:
        """Returns the epoch of the pause that a trial went on from to be audited, None where there is none."""
        return self._promoted[trial_id] if trial_id in self._spared else None

    def recorded(self, live: Live[TrialT], row: Mapping[str, Any]) -> Decision:
        """Returns the decision that an epoch got."""
        return recorded(row, live.limit, pauses=self._schedulers[live.study].pauses)

    def end(self, live: Live[TrialT], *, stopped: bool) -> bool:
        """Takes in that a trial trains no longer; returns whether it is paused. stopped: by its scheduler."""
        scheduler = self._schedulers[live.study]
        scheduler.end(live.proposal.trial_id, stopped=stopped)
        paused = stopped and scheduler.pauses
        if paused:
            self._paused[live.proposal.trial_id] = live
        return paused

    def next(self, still_open: Collection[int]) -> Live[TrialT] | None:
        """Returns the paused trial that is to go on next. still_open: the studies to which new trials will come."""
        if not self._paused:
            return None
        for study, scheduler in enumerate(self._schedulers):
            trial_id = scheduler.promotable(closed=study not in still_open)
            if trial_id is not None:
                return self._paused[trial_id]
        return None

    def over(self, training: Collection[int]) -> Iterator[Live[TrialT]]:
        """Yields the paused trials that will never go on, where no new trials come and none is promoted; in order.

        training: the studies in which a trial may still come to a rung.
        """
        yield from (live for _, live in sorted(self._paused.items()) if live.study not in training)

    def release(self, live: Live[TrialT], *, audited: bool = False) -> None:
        """Lets a paused trial go on; a driver that is killed before the note has let nobody know.

        audited: although its scheduler would not.
        """
        trial_id = live.proposal.trial_id
        live.paused_at = live.epoch
        self._store.update_trial(trial_id, status=RUNNING, status_reason=None, ended_at=None)
        self._store.note(PROMOTED, trial_id=trial_id, epoch=live.epoch, **({"audited": True} if audited else {}))
        self._schedulers[live.study].start(trial_id)
        del self._paused[trial_id]
