"""What to train next, when to stop it, and what is known so far. No clock, no Ray, and no draw without a seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic

from cifar_tune.config.rendering import flatten
from cifar_tune.errors import ConfigError
from cifar_tune.results.columns import COMPLETED, DIVERGED, FAILED, INTERRUPTED, RUNNING, STOPPED
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.tuning.decision import CONTINUE, Decision
from cifar_tune.tuning.evidence import State
from cifar_tune.tuning.proposal import Proposal
from cifar_tune.tuning.schedulers import Scheduler, build_scheduler
from cifar_tune.tuning.source import Record, Source, TrialT
from cifar_tune.tuning.standing import SearchProgress, Standing
from cifar_tune.tuning.studies import Point, Study

RUNG_COLUMNS = ("rung", "rung_size", "rung_rank", "rung_cutoff", "bracket")
"""Of a decision, in its order."""

PROPOSED = "proposed"
"""Kind of the store's notes about proposals."""

MOST_REFUSED = 100
"""Proposals in a row that make no trial before a study is taken to be exhausted."""

ENDED: Mapping[str, State] = {
    COMPLETED: "completed",
    STOPPED: "stopped",
    DIVERGED: "diverged",
    FAILED: "failed",
}
"""Statuses that a trial keeps. An interrupted one goes on with the next driver."""


@dataclass
class _Live(Generic[TrialT]):
    """A trial that has not ended. number: in its study. epoch: the last one reported."""

    proposal: Proposal[TrialT]
    study: int
    number: int
    epoch: int = 0


class Search(Generic[TrialT]):
    """A sweep's studies, schedulers and trials. They follow from the store alone: one that has rows is continued."""

    def __init__(self, sweep: Source[TrialT], store: Record) -> None:
        self._sweep = sweep
        self._store = store
        self._sign = 1 if sweep.objective.mode == "max" else -1
        self._studies = [self._new_study(cell) for cell in sweep.cells()]
        self._schedulers = [self._new_scheduler() for _ in self._studies]
        self._places = {study.name: place for place, study in enumerate(self._studies)}
        self._started = [0] * len(self._studies)
        self._barren: set[int] = set()
        self._live: dict[str, _Live[TrialT]] = {}
        self._repeats: Counter[str] = Counter()
        self._standing = Standing(sweep)
        known = set(store.trial_ids())
        for note in store.notes(PROPOSED):
            self._restore(known, **note)

    def unfinished(self) -> tuple[Proposal[TrialT], ...]:
        """Returns the trials that were proposed and have not ended."""
        return tuple(live.proposal for live in self._live.values())

    @property
    def exhausted(self) -> bool:
        """Whether every trial of every study has been proposed."""
        return not self._open_studies()

    def propose(self) -> Proposal[TrialT] | None:
        """Returns the next trial, of the study that has started the fewest; None where all have been proposed.

        It is noted in the store before it is returned, so that a killed driver proposes nothing twice.
        """
        while studies := self._open_studies():
            place = min(studies, key=self._started.__getitem__)
            proposal = self._baseline(place) if self._started[place] == 0 else None
            proposal = proposal or self._sampled(place)
            if proposal is not None:
                return proposal
            self._barren.add(place)
        return None

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        """Records an epoch with its decision; an epoch that is known already gets the decision that it got then."""
        live = self._live[trial_id]
        if metrics.epoch <= live.epoch:
            known = {row["epoch"]: row for row in self._store.epochs(trial_id)}
            return _recorded(known[metrics.epoch]) if metrics.epoch in known else CONTINUE
        row = asdict(metrics)
        decision = self._judge(live, row)
        rung = asdict(decision)
        self._store.add_epoch(trial_id, decision=rung.pop("action"), **row, **rung)
        return decision

    def end(self, trial_id: str, status: str, reason: str | None = None, error: str | None = None) -> None:
        """Records how a trial ended, and tells its study. An interrupted one stays unfinished."""
        self._store.update_trial(trial_id, status=status, status_reason=reason, error=error)
        if status != INTERRUPTED:
            self._settle(trial_id, status)

    def progress(self) -> SearchProgress:
        """Returns where the sweep stands."""
        return self._standing.progress(running=len(self._live))

    def recommend(self) -> str | None:
        """Returns the trial that is expected to have the best value after its last epoch; None before any value."""
        found = [best for study in self._studies if (best := study.expected_best()) is not None]
        return max(found)[1] if found else None

    def _new_study(self, cell: Mapping[str, Any]) -> Study:
        sweep = self._sweep
        return Study(
            cell,
            search=sweep.search,
            sampler=sweep.sampler,
            seed=sweep.seed,
            epochs=sweep.trial.epochs,
            sign=self._sign,
        )

    def _new_scheduler(self) -> Scheduler:
        sweep = self._sweep
        return build_scheduler(sweep.scheduler, epochs=sweep.trial.epochs, sign=self._sign, seed=sweep.seed)

    def _open_studies(self) -> list[int]:
        """The studies that have trials left to propose."""
        most = self._sweep.trials_per_study
        return [place for place, count in enumerate(self._started) if count < most and place not in self._barren]

    def _baseline(self, place: int) -> Proposal[TrialT] | None:
        """Starts the sweep file's own trial; the sampler learns from it where its space holds it."""
        study = self._studies[place]
        answers = self._sweep.baseline_point(study.cell)
        if answers is None:
            return None
        point = Point(answers, {}) if study.covers(answers) else None
        return self._propose(place, point, {}, baseline=True)

    def _sampled(self, place: int) -> Proposal[TrialT] | None:
        """Starts what the sampler proposes; None if nothing of that makes a trial."""
        study = self._studies[place]
        for _ in range(MOST_REFUSED):
            point = study.ask()
            values = study.values(point)
            try:
                return self._propose(place, point, values, baseline=False)
            except ConfigError:
                self._store.note(PROPOSED, study=study.name, **_noted(point), values=values, seed=None, baseline=False)
                self._refuse(place, point)
        return None

    def _propose(
        self, place: int, point: Point | None, values: Mapping[str, Any], *, baseline: bool
    ) -> Proposal[TrialT]:
        """Notes a trial and makes its row. A configuration that was proposed before gets the next seed.

        Raises:
            ConfigError: the values make no trial.
        """
        study = self._studies[place]
        seed = self._sweep.trial.seed + self._repeats[_key(study, point)]
        trial = self._sweep.trial_with({**study.cell, **values}, seed)
        self._store.note(PROPOSED, study=study.name, **_noted(point), values=values, seed=seed, baseline=baseline)
        live = self._start(place, point, trial, baseline=baseline)
        self._make_row(live.proposal)
        return live.proposal

    def _start(self, place: int, point: Point | None, trial: TrialT, *, baseline: bool) -> _Live[TrialT]:
        study = self._studies[place]
        self._started[place] += 1
        self._repeats[_key(study, point)] += 1
        trial_id = f"t{sum(self._started):04}"
        number = study.add(trial_id, point)
        live = _Live(Proposal(trial_id, study.name, trial, baseline), place, number)
        self._live[trial_id] = live
        return live

    def _refuse(self, place: int, point: Point) -> None:
        study = self._studies[place]
        study.end(study.add("", point), "failed")

    def _make_row(self, proposal: Proposal[TrialT]) -> None:
        self._store.update_trial(
            proposal.trial_id,
            configuration=flatten(proposal.trial),
            study=proposal.study,
            seed=proposal.trial.seed,
            baseline=proposal.baseline,
            status=RUNNING,
        )

    def _restore(
        self,
        known: set[str],
        study: str,
        answers: Mapping[str, Any] | None,
        attributes: Mapping[str, Any] | None,
        values: Mapping[str, Any],
        seed: int | None,
        baseline: bool,
    ) -> None:
        """Does again what a proposal did, and all that was reported of it since."""
        place = self._places[study]
        point = None if answers is None else Point(answers, attributes or {})
        if seed is None:
            assert point is not None
            self._refuse(place, point)
            return
        trial = self._sweep.trial_with({**self._studies[place].cell, **values}, seed)
        live = self._start(place, point, trial, baseline=baseline)
        trial_id = live.proposal.trial_id
        if trial_id not in known:
            self._make_row(live.proposal)
            return
        rows = self._store.epochs(trial_id)
        for row in rows:
            self._judge(live, row)
        status = self._store.trial(trial_id)["status"]
        if status in ENDED:
            self._settle(trial_id, status)
        elif rows and rows[-1]["decision"] == "stop":
            self.end(trial_id, STOPPED, _recorded(rows[-1]).reason)
        elif live.epoch >= trial.epochs:
            self.end(trial_id, COMPLETED)

    def _judge(self, live: _Live[TrialT], row: Mapping[str, Any]) -> Decision:
        """Takes in an epoch, new or from the store, and decides."""
        live.epoch = row["epoch"]
        value = row[self._sweep.objective.metric]
        self._standing.trained(live.proposal, live.epoch, value)
        if value is None:
            return CONTINUE
        self._studies[live.study].report(live.number, live.epoch, value)
        return self._schedulers[live.study].report(live.proposal.trial_id, live.epoch, value)

    def _settle(self, trial_id: str, status: str) -> None:
        live = self._live.pop(trial_id)
        self._standing.ended(status)
        self._studies[live.study].end(live.number, ENDED[status])


def _key(study: Study, point: Point | None) -> str:
    """Returns what a configuration is known by: cell and answers; the baseline outside the space has none."""
    return f"{study.name}|{json.dumps(None if point is None else point.answers, sort_keys=True)}"


def _noted(point: Point | None) -> dict[str, Any]:
    if point is None:
        return {"answers": None, "attributes": None}
    return {"answers": dict(point.answers), "attributes": dict(point.attributes) or None}


def _recorded(row: Mapping[str, Any]) -> Decision:
    return Decision(row["decision"], *(row[name] for name in RUNG_COLUMNS))
