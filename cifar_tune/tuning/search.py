"""What to train next, when to stop it, and what is known so far. No clock, no Ray, and no draw without a seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cifar_tune.config.domains import ChoiceDomain
from cifar_tune.config.rendering import flatten
from cifar_tune.config.schedulers import Asha
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError
from cifar_tune.results.columns import COMPLETED, DIVERGED, FAILED, INTERRUPTED, RUNNING, STOPPED
from cifar_tune.results.store import ResultsStore
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.trial import TrialConfig
from cifar_tune.tuning.decision import CONTINUE, Decision
from cifar_tune.tuning.proposal import Proposal
from cifar_tune.tuning.schedulers.asha import AshaRungs
from cifar_tune.tuning.studies import Outcome, Point, Study

PROPOSED = "proposed"
"""Kind of the store's notes about proposals."""

MOST_REFUSED = 100
"""Proposals in a row that make no trial before a study is taken to be exhausted."""

OUTCOMES: Mapping[str, Outcome] = {COMPLETED: "complete", STOPPED: "pruned", DIVERGED: "pruned", FAILED: "fail"}
"""What Optuna is told of a trial that ended. Diverged ones are pruned without a value, which TPE ranks last."""


@dataclass(frozen=True)
class BestTrial:
    """The best validated epoch so far, of any trial. values: what the sweep varies, by dotted path."""

    trial_id: str
    value: float
    epoch: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class SearchProgress:
    """Where a sweep stands. planned: trials in all. counts: trials by status. epochs: reported by all trials."""

    planned: int
    counts: Mapping[str, int]
    epochs: int
    best: BestTrial | None


@dataclass
class _Live:
    """A trial that has not ended. study: index of its study. number: of Optuna's trial, None where Optuna made none."""

    proposal: Proposal
    study: int
    number: int | None
    values: dict[int, float] = field(default_factory=dict)


class Search:
    """A sweep's studies, rungs and trials. They follow from the store alone: a store that has rows is continued."""

    def __init__(self, sweep: SweepConfig, store: ResultsStore) -> None:
        self._sweep = sweep
        self._store = store
        self._varied_paths = varied_paths(sweep)
        self._sign = 1 if sweep.objective.mode == "max" else -1
        self._studies = [Study(sweep, index, cell) for index, cell in enumerate(sweep.cells())]
        self._rungs = [self._new_rungs() for _ in self._studies]
        self._started = [0] * len(self._studies)
        self._barren: set[int] = set()
        self._live: dict[str, _Live] = {}
        self._repeats: Counter[TrialConfig] = Counter()
        self._counts: Counter[str] = Counter()
        self._epochs = 0
        self._best: BestTrial | None = None
        for note in store.notes(PROPOSED):
            self._restore(**note)

    def unfinished(self) -> tuple[Proposal, ...]:
        """Returns the trials that were proposed and have not ended."""
        return tuple(live.proposal for live in self._live.values())

    @property
    def exhausted(self) -> bool:
        """Whether every trial of every study has been proposed."""
        return not self._open_studies()

    def propose(self) -> Proposal | None:
        """Returns the next trial, of the study that has started the fewest; None where all have been proposed.

        It is noted in the store before it is returned, so that a killed driver proposes nothing twice.
        """
        while studies := self._open_studies():
            index = min(studies, key=self._started.__getitem__)
            live = self._baseline(index) if self._started[index] == 0 else self._sampled(index)
            if live is not None:
                return live.proposal
            self._barren.add(index)
        return None

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        """Records an epoch with its decision; an epoch that is known already gets the decision that it got then."""
        live = self._live[trial_id]
        if known := next((row for row in self._store.epochs(trial_id) if row["epoch"] == metrics.epoch), None):
            return _recorded(known)
        row = asdict(metrics)
        decision = self._judge(live, row)
        rung = asdict(decision)
        self._store.add_epoch(trial_id, decision=rung.pop("action"), **row, **rung)
        return decision

    def end(self, trial_id: str, status: str, reason: str | None = None, error: str | None = None) -> None:
        """Records how a trial ended, and tells its study. An interrupted one stays unfinished."""
        self._store.update_trial(trial_id, status=status, status_reason=reason, error=error)
        if status != INTERRUPTED:
            live = self._live.pop(trial_id)
            self._counts[status] += 1
            if live.number is not None:
                self._studies[live.study].tell(live.number, *_outcome(status, live.values))

    def progress(self) -> SearchProgress:
        """Returns where the sweep stands."""
        planned = self._sweep.trials_per_study * len(self._studies)
        return SearchProgress(planned, {RUNNING: len(self._live), **self._counts}, self._epochs, self._best)

    def _new_rungs(self) -> AshaRungs | None:
        scheduler = self._sweep.scheduler
        return AshaRungs(scheduler, self._sweep.trial.epochs, self._sign) if isinstance(scheduler, Asha) else None

    def _open_studies(self) -> list[int]:
        """The studies that have trials left to propose."""
        most = self._sweep.trials_per_study
        return [index for index, count in enumerate(self._started) if count < most and index not in self._barren]

    def _baseline(self, index: int) -> _Live:
        study = self._studies[index]
        answers = self._sweep.baseline_point(study.cell)
        point = study.ask(answers) if study.covers(answers) else None
        return self._propose(index, point, self._sweep.trial_with(study.cell), baseline=True)

    def _sampled(self, index: int) -> _Live | None:
        """Starts what the sampler proposes; None if nothing of that makes a trial."""
        study = self._studies[index]
        for _ in range(MOST_REFUSED):
            point = study.ask()
            try:
                trial = self._sweep.trial_with({**study.cell, **point.values})
            except ConfigError:
                self._store.note(PROPOSED, study=index, answers=dict(point.answers), trial=None, baseline=False)
                study.tell(point.number, "fail", {})
            else:
                return self._propose(index, point, trial, baseline=False)
        return None

    def _propose(self, index: int, point: Point | None, trial: TrialConfig, *, baseline: bool) -> _Live:
        """Notes a trial and makes its row. A configuration that was proposed before gets the next seed."""
        trial = trial.model_copy(update={"seed": trial.seed + self._repeats[trial]})
        self._store.note(
            PROPOSED,
            study=index,
            answers=None if point is None else dict(point.answers),
            trial=trial.model_dump(mode="json", by_alias=True),
            baseline=baseline,
        )
        live = self._start(index, None if point is None else point.number, trial, baseline=baseline)
        self._make_row(live.proposal)
        return live

    def _start(self, index: int, number: int | None, trial: TrialConfig, *, baseline: bool) -> _Live:
        self._started[index] += 1
        self._repeats[trial.model_copy(update={"seed": self._sweep.trial.seed})] += 1
        trial_id = f"t{sum(self._started):04}"
        live = _Live(Proposal(trial_id, self._studies[index].name, trial, baseline), index, number)
        self._live[trial_id] = live
        return live

    def _make_row(self, proposal: Proposal) -> None:
        """A new trial waits for its first worker: it is interrupted until one has begun it."""
        self._store.update_trial(
            proposal.trial_id,
            configuration=flatten(proposal.trial),
            study=proposal.study,
            seed=proposal.trial.seed,
            baseline=proposal.baseline,
            status=RUNNING,
        )

    def _restore(self, study: int, answers: Mapping[str, Any] | None, trial: Any, baseline: bool) -> None:
        """Does again what a proposal did, and all that was reported of it since."""
        if trial is None:
            self._studies[study].restore(answers or {}, "fail", {})
            return
        config = TrialConfig.model_validate_json(json.dumps(trial))
        number = None if answers is None else self._studies[study].size
        live = self._start(study, number, config, baseline=baseline)
        trial_id = live.proposal.trial_id
        if trial_id not in self._store.trial_ids():
            self._make_row(live.proposal)
        for row in self._store.epochs(trial_id):
            self._judge(live, row)
        status = self._store.trial(trial_id)["status"]
        ended = status in OUTCOMES
        if ended:
            del self._live[trial_id]
            self._counts[status] += 1
        if answers is not None:
            outcome = _outcome(status, live.values) if ended else (None, {})
            self._studies[study].restore(answers, *outcome)

    def _judge(self, live: _Live, row: Mapping[str, Any]) -> Decision:
        """Takes in an epoch, new or from the store, and decides."""
        self._epochs += 1
        value = row[self._sweep.objective.metric]
        if value is None:
            return CONTINUE
        live.values[row["epoch"]] = value
        if self._best is None or self._sign * value > self._sign * self._best.value:
            self._best = BestTrial(live.proposal.trial_id, value, row["epoch"], self._varied(live.proposal.trial))
        rungs = self._rungs[live.study]
        return CONTINUE if rungs is None else rungs.report(live.proposal.trial_id, row["epoch"], value)

    def _varied(self, trial: TrialConfig) -> Mapping[str, Any]:
        flat = flatten(trial)
        return {path: flat[path] for path in self._varied_paths if flat.get(path) is not None}


def varied_paths(sweep: SweepConfig) -> tuple[str, ...]:
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


def _outcome(status: str, values: Mapping[int, float]) -> tuple[Outcome, Mapping[int, float]]:
    """Returns what Optuna is told of a trial.

    Diverged: pruned without a value, which TPE ranks below all others. Completed without a value: failed.
    """
    if status == DIVERGED:
        return "pruned", {}
    if status == COMPLETED and not values:
        return "fail", {}
    return OUTCOMES[status], values


def _recorded(row: Mapping[str, Any]) -> Decision:
    return Decision(row["decision"], *(row[name] for name in ("rung", "rung_size", "rung_rank", "rung_cutoff")))
