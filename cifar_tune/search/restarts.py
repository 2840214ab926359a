"""A sweep that was begun anew with more epochs: its completed trials are trained again, from their first epoch.

Where the learning rate follows from the number of epochs, a trial of more epochs is another one all along: it gets a
row of its own, and no trial after the restart is compared with one before it. The sampler is shown those of before as
if they had been as long, each epoch at its share of the whole, for so their learning rate went.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cifar_tune.results.store import ResultsStore
from cifar_tune.search.extending import goes_on
from cifar_tune.search.proposal import ProposalRecord
from cifar_tune.search.source import Record
from cifar_tune.search.studies.observations import ENDED

RESTARTED = "restarted"
"""Kind of the store's notes about restarts."""

WAITS = "to be trained anew"
"""Begins the reason of a trial that is to be trained again, until it is."""


def begin_anew(store: ResultsStore, before: int, epochs: int) -> tuple[str, ...]:
    """Notes that the trials are trained again; returns which. To be called again where a kill came between.

    before, epochs: of a whole trial, so far and from now on.
    """
    rows = {trial_id: store.trial(trial_id) for trial_id in store.trial_ids()}
    waiting = [one for one, row in rows.items() if goes_on(row, epochs) or _waits(row)]
    note = {"started": len(rows), "before": before, "epochs": epochs, "trials": waiting}
    if note not in store.notes(RESTARTED):
        store.note(RESTARTED, **note)
    for trial_id in waiting:
        store.update_trial(trial_id, status_reason=f"{WAITS} with {epochs} epochs")
    return tuple(waiting)


def _waits(row: Mapping[str, Any]) -> bool:
    return str(row["status_reason"]).startswith(WAITS)


def unfinished(store: ResultsStore) -> list[str]:
    """Returns the trials that have not ended."""
    return [trial_id for trial_id in store.trial_ids() if store.trial(trial_id)["status"] not in ENDED]


class Budgets:
    """How many epochs a whole trial had when each trial was proposed."""

    def __init__(self, notes: Sequence[Mapping[str, Any]], epochs: int) -> None:
        """notes: of restarts. epochs: of a whole trial now; a restart with more was never begun."""
        self.notes = [note for note in notes if note["epochs"] <= epochs]
        self._epochs = epochs

    def of(self, started: int) -> int:
        """Returns the epochs of the trial that came after so many others."""
        return next((note["before"] for note in self.notes if started < note["started"]), self._epochs)


class Restarts:
    """The restarts of a sweep, and which trials wait to be trained again."""

    def __init__(self, store: Record, epochs: int) -> None:
        """epochs: of a whole trial now."""
        self._store = store
        self._budgets = Budgets([*store.notes(RESTARTED)], epochs)
        self._epochs = epochs
        notes = self._budgets.notes
        self.count = len(notes)
        self._began = notes[-1]["started"] if notes else 0
        self._waiting: dict[str, ProposalRecord | None] = dict.fromkeys(notes[-1]["trials"]) if notes else {}

    def __len__(self) -> int:
        return len(self._waiting)

    def past(self, started: int) -> bool:
        """Tells whether the trial that comes after so many others was proposed before the last restart."""
        return started < self._began

    def stretched(self, epoch: int, started: int) -> int:
        """Returns where that trial's epoch stands among the epochs of a whole trial now."""
        return math.ceil(epoch * self._epochs / self._budgets.of(started))

    def recall(self, trial_id: str, note: ProposalRecord) -> None:
        """Takes in how a trial of before was proposed."""
        if trial_id in self._waiting:
            self._waiting[trial_id] = note

    def next(self) -> ProposalRecord | None:
        """Returns the next trial that is another trained anew; None where none waits."""
        for trial_id, note in self._waiting.items():
            assert note is not None, "a trial that waits was proposed before"
            return replace(note, restart_of=trial_id)
        return None

    def begun(self, note: ProposalRecord, trial_id: str) -> None:
        """Takes in a trial that trains another anew, new or from the store."""
        if note.restart_of is None:
            return
        self._waiting.pop(note.restart_of, None)
        reason = f"trained anew as {trial_id}"
        if self._store.trial(note.restart_of)["status_reason"] != reason:
            self._store.update_trial(note.restart_of, status_reason=reason)
