"""What to train next, when to stop it, and what is known so far. No clock, no Ray, and no draw without a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Generic

from cifar_tune.errors import ConfigError
from cifar_tune.results.columns import COMPLETED, INTERRUPTED, STOPPED
from cifar_tune.search.constraints import PEAK_MEMORY, Unlimited
from cifar_tune.search.extending import goes_on
from cifar_tune.search.generations import Generations
from cifar_tune.search.judge import Judge
from cifar_tune.search.pauses import Pauses
from cifar_tune.search.proposal import PROPOSED, Live, Proposal, ProposalRecord, make_row
from cifar_tune.search.restarts import Restarts
from cifar_tune.search.schedulers import build_scheduler
from cifar_tune.search.schedulers.decision import CONTINUE, Decision
from cifar_tune.search.source import Record, Source, TrialT
from cifar_tune.search.stop_rules import Met
from cifar_tune.search.studies.journal import Journal
from cifar_tune.search.studies.observations import ENDED, State
from cifar_tune.search.studies.points import Point
from cifar_tune.search.studies.studies import studies_of
from cifar_tune.search.sweep_progress import SearchProgress, SweepProgress
from cifar_tune.search.trial_budget import TrialBudget
from cifar_tune.search.warm_start import noted_trials, teach
from cifar_tune.training.metrics import EpochMetrics


class Search(Generic[TrialT]):
    """A sweep's studies, schedulers and trials. They follow from the store alone: one that has rows is continued."""

    def __init__(
        self,
        sweep: Source[TrialT],
        store: Record,
        limits: Unlimited[TrialT] | None = None,
        journal: Journal | None = None,
    ) -> None:
        """limits: what a trial may cost. journal: for Optuna's tools; nothing follows from it."""
        self._sweep = sweep
        self._store = store
        self._limits = limits or Unlimited()
        self._studies = studies_of(sweep, journal)
        signs = [one.sign for one in sweep.objectives]
        make = partial(build_scheduler, sweep.scheduler, epochs=sweep.trial.epochs, signs=signs, seed=sweep.seed)
        self._schedulers = [make() for _ in self._studies]
        self._places = {study.name: place for place, study in enumerate(self._studies)}
        self._budget = TrialBudget(len(self._studies), sweep.trials_per_study)
        self._live: dict[str, Live[TrialT]] = {}
        self._pauses: Pauses[TrialT] = Pauses(self._schedulers, store)
        self._generations = Generations(sweep, self._schedulers, self._pauses, store)
        self._restarts = Restarts(store, sweep.trial.epochs)
        self._repeats: Counter[str] = Counter()
        self._progress = SweepProgress(sweep, [study.name for study in self._studies], store)
        self._judge = Judge(sweep, self._studies, self._schedulers, self._progress, self._limits, store)
        self.audit = self._judge.audit
        known = set(store.trial_ids())
        for earlier in noted_trials(store):
            teach(self._studies[self._places[earlier.study]], earlier, self._limits)
        for note in store.notes(PROPOSED):
            self._restore(known, ProposalRecord.read(note))

    def unfinished(self) -> tuple[Proposal[TrialT], ...]:
        """Returns the trials that were proposed and have not ended."""
        return tuple(live.proposal for live in self._live.values())

    @property
    def exhausted(self) -> bool:
        """Whether every trial of every study has been proposed, and none that is paused may go on any more."""
        if self.ended_by is not None:
            return True
        waiting = self._pauses and (self._live or self._pauses.next(()) or self._spared())
        return not self._budget.open() and not waiting and not self._restarts

    @property
    def ended_by(self) -> Met | None:
        """The stop rule that has ended the sweep; the trials under way are still to be finished."""
        return self._progress.met()

    def propose(self) -> Proposal[TrialT] | None:
        """Returns the next trial; None where all have been proposed, or the next must wait for those that train.

        That is one that replaces another, else one that trains another anew, else a paused one that goes on, else a new
        one, of the study that has started the fewest; when none is left, a paused one that is audited. It is noted in
        the store before it is returned: a killed driver proposes nothing twice.
        """
        if self.ended_by is not None:
            return None
        studies = self._budget.open()
        if (note := self._generations.next(studies, self._budget.next_id) or self._restarts.next()) is not None:
            return self._follow(note)
        while (paused := self._pauses.next(studies)) is None:
            if not studies:
                spared = self._spared()
                return self._go_on(spared, audited=True) if spared else None
            place = min(studies, key=self._budget.started.__getitem__)
            proposal = self._baseline(place) if self._budget.started[place] == 0 else None
            proposal = proposal or self._sampled(place)
            if proposal is not None:
                return proposal
            studies = self._budget.open()
        return self._go_on(paused)

    def exhausted_studies(self) -> dict[str, str]:
        """Returns the studies that ended early since they found nothing to train, with why the last was refused."""
        return {self._studies[place].name: reason for place, reason in self._budget.exhausted_studies()}

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        """Records an epoch with its decision; an epoch that is known already gets the decision that it got then."""
        live = self._live[trial_id]
        if metrics.epoch <= live.epoch:
            known = {row["epoch"]: row for row in self._store.epochs(trial_id)}
            decided = metrics.epoch in known and metrics.epoch > live.paused_at
            return self._pauses.recorded(live, known[metrics.epoch]) if decided else CONTINUE
        return self._judge.decide(live, metrics)

    def end(
        self, trial_id: str, status: str, reason: str | None = None, error: str | None = None, **times: Any
    ) -> None:
        """Records how a trial ended, and tells its study. An interrupted one stays unfinished.

        times: when it ended and what it took, by column. One event in the ledger has all of it: a kill loses no part.
        """
        self._store.update_trial(trial_id, status=status, status_reason=reason, error=error, **times)
        if status != INTERRUPTED:
            self._settle(trial_id, status)

    def close(self) -> None:
        """Says that the sweep is over: what is paused is not to be waited for."""
        for live in self._pauses:
            self._studies[live.study].give_up(live.number)

    def progress(self) -> SearchProgress:
        """Returns where the sweep stands."""
        return self._progress.progress(running=len(self._live))

    def recommend(self) -> str | None:
        """Returns the trial that is expected to have the best value after its last epoch; None before any value."""
        found = [best for study in self._studies if (best := study.expected_best()) is not None]
        return max(found)[1] if found else None

    def _baseline(self, place: int) -> Proposal[TrialT] | None:
        """Starts the sweep file's own trial; the sampler learns from it where its space holds it."""
        study = self._studies[place]
        answers = self._sweep.baseline_point(study.cell)
        if answers is None:
            return None
        point = Point(answers, {}) if study.covers(answers) else None
        return self._propose(place, point, {}, baseline=True)

    def _sampled(self, place: int) -> Proposal[TrialT] | None:
        """Starts what the sampler proposes; None if nothing of that can be trained."""
        study = self._studies[place]
        while not self._budget.gives_up(place):
            point = study.ask()
            if proposal := self._propose(place, point, study.values(point), baseline=False):
                return proposal
        return None

    def _propose(
        self, place: int, point: Point | None, values: Mapping[str, Any], *, baseline: bool
    ) -> Proposal[TrialT] | None:
        """Notes a trial and makes its row. A configuration that was proposed before gets the next seed.

        None where the values make no trial, or one that breaks a constraint: then it is noted as refused.
        """
        study = self._studies[place]
        seed = self._sweep.trial.seed + self._repeats[study.key(point)]
        measured: Mapping[str, float] = {}
        try:
            trial = self._sweep.trial_with({**study.cell, **values}, seed)
            measured = self._limits.measured(trial)
            refused = self._limits.broken(measured)
        except ConfigError as error:
            refused = str(error)
        note = ProposalRecord(study.name, point, values, seed, baseline, measured)
        if refused is not None:
            note = replace(note, seed=None, refused=refused)
        self._store.note(PROPOSED, **note.payload())
        if refused is not None:
            self._refuse(place, note)
            return None
        live = self._start(place, note, trial)
        make_row(self._store, live.proposal, self._restarts.count)
        return live.proposal

    def _follow(self, note: ProposalRecord) -> Proposal[TrialT]:
        """Starts a trial that follows from another; the sampler has not been asked."""
        trial_id = self._budget.next_id
        self._store.note(PROPOSED, **note.payload())
        self._restore(set(), note)
        return self._live[trial_id].proposal

    def _start(self, place: int, note: ProposalRecord, trial: TrialT) -> Live[TrialT]:
        study, trial_id = self._studies[place], self._count(place, note)
        number = study.add(trial_id, note.point, self._limits.constraint_violations(note.measured))
        proposal = Proposal(trial_id, study.name, trial, note.baseline, note.parent, note.restart_of)
        live = Live(proposal, place, number, measured=note.measured)
        self._live[trial_id] = live
        if (replaced := self._generations.born(live)) is not None:
            self._studies[replaced.study].give_up(replaced.number)
        self._restarts.begun(note, trial_id)
        self._schedulers[place].start(trial_id)
        self._progress.started(live.proposal)
        return live

    def _spared(self) -> Live[TrialT] | None:
        """Returns the next paused trial that runs on although it would never go on; None while one might."""
        training = {live.study for trial_id, live in self._live.items() if trial_id not in self.audit.audited}
        return next((one for one in self._pauses.over(training) if self.audit.chosen(one.proposal.trial_id)), None)

    def _count(self, place: int, note: ProposalRecord) -> str:
        """Returns the name of the next trial, which is counted."""
        if note.restart_of is None:
            self._repeats[self._studies[place].key(note.point)] += 1
        return self._budget.start(place, beyond=note.parent is not None or note.restart_of is not None)

    def _go_on(self, live: Live[TrialT], *, audited: bool = False) -> Proposal[TrialT]:
        """Starts a paused trial again. audited: to its end, without its scheduler."""
        self._pauses.release(live, audited=audited)
        trial_id = live.proposal.trial_id
        self._live[trial_id] = live
        if audited:
            self.audit.audited.add(trial_id)
            self._store.update_trial(trial_id, audited=True)
        self._progress.resumed(STOPPED)
        self._studies[live.study].resume(live.number)
        return live.proposal

    def _refuse(self, place: int, note: ProposalRecord) -> None:
        study = self._studies[place]
        self._budget.refuse(place, note.refused)
        number = study.add("", note.point, self._limits.constraint_violations(note.measured))
        study.end(number, "infeasible" if note.measured else "failed")

    def _restore(self, known: set[str], note: ProposalRecord) -> None:
        """Does again what a proposal did, and all that was reported of it since."""
        place = self._places[note.study]
        if note.seed is None:
            self._refuse(place, note)
            return
        trial = self._sweep.trial_with({**self._studies[place].cell, **note.values}, note.seed)
        if self._restarts.past(self._budget.total):
            self._recall(place, note, trial)
            return
        live = self._start(place, note, trial)
        trial_id = live.proposal.trial_id
        if trial_id not in known:
            make_row(self._store, live.proposal, self._restarts.count)
            return
        rows = self._store.epochs(trial_id)
        for row in rows:
            self._judge.take_in(live, row)
            self.audit.saw(trial_id, note.study, row)
            if row["epoch"] == self._pauses.spared_after(trial_id):
                self.audit.audited.add(trial_id)
        live.paused_at = self._pauses.last_of(trial_id)
        known_row = self._store.trial(trial_id)
        if trial_id in self.audit.audited and not known_row["audited"]:
            self._store.update_trial(trial_id, audited=True)
        status = known_row["status"]
        if status in ENDED and not goes_on(known_row, trial.epochs):
            self._settle(trial_id, status)
        elif rows and rows[-1]["decision"] == "stop" and live.epoch > live.paused_at:
            self.end(trial_id, STOPPED, self._pauses.recorded(live, rows[-1]).reason)
        elif live.epoch >= trial.epochs:
            self.end(trial_id, COMPLETED)

    def _recall(self, place: int, note: ProposalRecord, trial: TrialT) -> None:
        """Takes in a trial from before a restart, which has ended: no trial of now is compared with it."""
        study, started, trial_id = self._studies[place], self._budget.total, self._count(place, note)
        proposal = Proposal(trial_id, study.name, trial, note.baseline, note.parent, note.restart_of)
        row = self._store.trial(trial_id)
        rows = self._judge.recall(proposal, row["status"])
        measured = {**note.measured, PEAK_MEMORY: float(row[PEAK_MEMORY] or 0)}
        state: State = "infeasible" if self._limits.broken(measured) else ENDED[row["status"]]
        curve = [(epoch, self._restarts.stretched(epoch, started), values) for epoch, values in rows]
        study.recall(trial_id, note.point, curve, state, self._limits.constraint_violations(measured))
        self._restarts.recall(trial_id, note)

    def _settle(self, trial_id: str, status: str) -> None:
        live = self._live.pop(trial_id)
        paused = self._pauses.end(live, stopped=status == STOPPED and not live.limit)
        self._progress.ended(status, trial_id)
        self.audit.ended(trial_id, status)
        self._studies[live.study].end(live.number, "infeasible" if live.limit else ENDED[status], paused=paused)
