"""Trials that take the place of others: each begins from the checkpoint of one that did better."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic

from cifar_tune.search.pauses import Pauses
from cifar_tune.search.proposal import Live, Parent, ProposalRecord
from cifar_tune.search.schedulers import Replacement, Scheduler
from cifar_tune.search.source import Record, Source, TrialT
from cifar_tune.search.studies.exploration import explored
from cifar_tune.training.trial import TrialConfig


class Generations(Generic[TrialT]):
    """The replacements of all studies."""

    def __init__(
        self, sweep: Source[TrialT], schedulers: Sequence[Scheduler], pauses: Pauses[TrialT], store: Record
    ) -> None:
        """schedulers: of the studies, in their order."""
        self._sweep = sweep
        self._schedulers = schedulers
        self._pauses = pauses
        self._store = store

    def next(self, still_open: Collection[int], trial_id: str) -> ProposalRecord | None:
        """Returns the next trial that takes another's place; None while there is none.

        trial_id: its name, which seeds its draws. The sampler is not asked, and not told: it explores elsewhere.
        """
        for study, scheduler in enumerate(self._schedulers):
            found = scheduler.replaceable(closed=study not in still_open)
            if found is not None:
                return self._note(found, trial_id)
        return None

    def born(self, live: Live[TrialT]) -> Live[TrialT] | None:
        """Takes in a trial, new or from the store; returns the one whose place it takes, if it was paused until now."""
        parent, trial_id = live.proposal.parent, live.proposal.trial_id
        if parent is None:
            return None
        live.epoch = parent.epoch
        self._schedulers[live.study].replace(parent.replaces, trial_id)
        reason = f"{parent.reason}; replaced by {trial_id}, which goes on from a copy of {parent.trial_id}"
        if self._store.trial(parent.replaces)["status_reason"] != reason:
            self._store.update_trial(parent.replaces, status_reason=reason)
        return self._pauses.drop(parent.replaces)

    def _note(self, found: Replacement, trial_id: str) -> ProposalRecord:
        winner = self._pauses[found.winner]
        trial = winner.proposal.trial
        assert isinstance(trial, TrialConfig), "recorded runs are not replayed by a scheduler that replaces trials"
        return ProposalRecord(
            study=winner.proposal.study,
            point=None,
            values=explored(self._sweep.search, trial, f"{self._sweep.seed}/{trial_id}"),
            seed=trial.seed,
            measured=winner.measured,
            parent=Parent(found.winner, winner.epoch, found.loser, found.reason),
        )
