"""What each epoch of a trial means: to its study, to its scheduler, to constraints, to the sweep's standing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Generic

from cifar_tune.config.objective import learnt_of
from cifar_tune.config.schedulers import MedianStopping
from cifar_tune.search.audit import Audit, audited_share
from cifar_tune.search.constraints import PEAK_MEMORY, Unlimited
from cifar_tune.search.measures import Measures
from cifar_tune.search.proposal import Live, Proposal
from cifar_tune.search.schedulers import Scheduler
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.source import Record, Source, TrialT
from cifar_tune.search.studies.studies import Study
from cifar_tune.search.sweep_progress import SweepProgress
from cifar_tune.training.metrics import EpochMetrics


class Judge(Generic[TrialT]):
    """Takes in epochs, new ones or from the store, and decides whether their trials go on."""

    def __init__(
        self,
        sweep: Source[TrialT],
        studies: Sequence[Study],
        schedulers: Sequence[Scheduler],
        status_line: SweepProgress,
        limits: Unlimited[TrialT],
        store: Record,
    ) -> None:
        """schedulers: of the studies, in their order."""
        by_best = isinstance(sweep.scheduler, MedianStopping)
        share = audited_share(sweep.scheduler)
        self.audit = Audit(sweep.seed, share, learnt_of(sweep.objectives), by_best=by_best)
        self._measures = Measures(sweep.objectives, store)
        self._studies = studies
        self._schedulers = schedulers
        self._progress = status_line
        self._limits = limits
        self._store = store

    def decide(self, live: Live[TrialT], metrics: EpochMetrics) -> Decision:
        """Takes in a new epoch, and writes it down with the decision that counts, which it returns.

        The ledger has the epoch before the study writes to Optuna's journal, which follows the ledger.
        """
        trial_id, row = live.proposal.trial_id, asdict(metrics)
        values = self._values(live, row)
        decision = self.audit.overruled(trial_id, self._decision(live, row, values))
        rung = asdict(decision)
        del rung["limit"], rung["paused"]
        row |= {"decision": rung.pop("action"), **rung}
        self._store.add_epoch(trial_id, **row)
        self._learn(live, values)
        if self.audit.saw(trial_id, live.proposal.study, row):
            self._store.update_trial(trial_id, audited=True)
        return decision

    def take_in(self, live: Live[TrialT], row: Mapping[str, Any]) -> Decision:
        """Takes in an epoch of the store; returns what the scheduler says to it, or the limit that the trial breaks."""
        values = self._values(live, row)
        decision = self._decision(live, row, values)
        self._learn(live, values)
        return decision

    def _values(self, live: Live[TrialT], row: Mapping[str, Any]) -> tuple[float, ...] | None:
        """Measures an epoch; returns its objectives, None where it has none or the trial breaks a limit."""
        live.epoch = row["epoch"]
        self._measure(live, row)
        values = self._measures.after(live.proposal.trial_id, row)
        values = None if live.limit else values
        self._progress.trained(live.proposal, live.epoch, values)
        return values

    def _decision(self, live: Live[TrialT], row: Mapping[str, Any], values: tuple[float, ...] | None) -> Decision:
        """Decides. Of the store's rows, those without a rung were compared with none, and are not now."""
        if values is None:
            return Decision("stop", limit=live.limit) if live.limit else CONTINUE
        if live.proposal.trial_id in self.audit.audited:
            return CONTINUE
        scheduler = self._schedulers[live.study]
        if "rung" in row and row["rung"] is None:
            scheduler.record_without_deciding(live.proposal.trial_id, live.epoch, *values)
            return CONTINUE
        return scheduler.report(live.proposal.trial_id, live.epoch, *values)

    def _learn(self, live: Live[TrialT], values: tuple[float, ...] | None) -> None:
        """Tells the study."""
        if values is not None:
            self._studies[live.study].report(live.number, live.epoch, *values)

    def recall(self, proposal: Proposal[TrialT], status: str) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Takes in a trial that no trial of now is compared with; yields its validated epochs, each with its values."""
        self._progress.started(proposal)
        for row in self._store.epochs(proposal.trial_id):
            values = self._measures.after(proposal.trial_id, row)
            self._progress.trained(proposal, row["epoch"], values)
            if values is not None:
                yield row["epoch"], values
        self._progress.ended(status, proposal.trial_id)

    def _measure(self, live: Live[TrialT], row: Mapping[str, Any]) -> None:
        """Takes in what an epoch tells of constraints."""
        peak = row[PEAK_MEMORY]
        if live.limit is None and peak is not None:
            measured = {**live.measured, PEAK_MEMORY: float(peak)}
            live.limit = self._limits.broken(measured)
            self._studies[live.study].measure(live.number, self._limits.constraint_violations(measured))
