"""One study a grid cell: Optuna proposes, seeded by sweep, study and proposal, from the evidence there is.

A proposal follows from the observations alone: a study rebuilt from the store goes on as if nothing had happened.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from cifar_tune.config.domains import Domain
from cifar_tune.config.objective import Objective
from cifar_tune.config.proposals import draw, inside
from cifar_tune.config.rendering import render
from cifar_tune.config.samplers import AnySampler
from cifar_tune.search.samplers import attributes_of_given, build_sampler, needs_of
from cifar_tune.search.source import Source
from cifar_tune.search.studies.forecast import Curve
from cifar_tune.search.studies.journal import Journal
from cifar_tune.search.studies.observations import Observation, State, TrialHistory
from cifar_tune.search.studies.pareto_observations import ParetoTrialHistory
from cifar_tune.search.studies.points import Distributions, Point, suggest
from cifar_tune.search.studies.priors import PriorSampler
from cifar_tune.search.studies.sharing import shown_together

BELIEF = 1
"""Tells the seed of a proposal's priors from that of its sampler."""

WHOLE_SWEEP = "all"
"""Name of the only study where there is no grid."""

NO_VIOLATIONS: Mapping[str, float] = {}
"""Where there are no constraints."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_name(cell: Mapping[str, Any]) -> str:
    """Returns the name of a grid cell, such as `model.activation=relu,sam=null`."""
    return ",".join(f"{path}={render(value)}" for path, value in cell.items()) or WHOLE_SWEEP


class Study:
    """A cell's proposals and what is known of them."""

    def __init__(
        self,
        cell: Mapping[str, Any],
        *,
        search: Mapping[str, Domain],
        sampler: AnySampler,
        seed: int,
        epochs: int,
        objectives: Sequence[Objective] = (Objective(),),
        order: Iterator[int] | None = None,
        journal: Journal | None = None,
    ) -> None:
        """seed: of the sweep. epochs: of a whole trial. order: counts the proposals of all studies that share.

        journal: for Optuna's tools.
        """
        self.cell = cell
        self.name = study_name(cell)
        self._search = search
        self._sampler = sampler
        self._needs = needs_of(sampler, search)
        self._entropy = (seed, zlib.crc32(self.name.encode()))
        self._objectives = objectives
        self._memory = (
            TrialHistory(epochs, self._needs.most, order)
            if len(objectives) == 1
            else ParetoTrialHistory(epochs, self._needs.most, objectives, order)
        )
        self._cells: Sequence[TrialHistory] = (self._memory,)
        self._given: list[int] = []
        self._journal = journal
        if journal is not None:
            journal.add_study(self.name, objectives)
        self._distributions = Distributions(search)

    @property
    def memory(self) -> TrialHistory:
        """What is known of its trials."""
        return self._memory

    def learn_from(self, memories: Sequence[TrialHistory]) -> None:
        """Lets the sampler see the trials of all cells. memories: its own among them."""
        self._cells = memories

    def ask(self) -> Point:
        """Returns the sampler's next proposal."""
        given = self._memory.frozen(self._given) if self._needs.given else ()
        sampler = build_sampler(self._sampler, self._seed(len(self._memory)), self._seed(), given)
        storage = InMemoryStorage()
        directions = [StudyDirection.MAXIMIZE] * len(self._objectives)
        study = optuna.create_study(storage=storage, directions=directions, sampler=sampler)
        study.add_trials(self._shown())
        point = self._point(study)
        if self._needs.sequence_counter and self._to_step(study, storage):
            point = self._point(study)
        return point

    def _shown(self) -> list[FrozenTrial]:
        needs = self._needs
        if len(self._cells) == 1 or needs.most == 1:
            return self._memory.shown(completed_only=needs.completed_only)
        return shown_together(self._memory, self._cells, most=needs.most, completed_only=needs.completed_only)

    def _seed(self, *place: int) -> int:
        return int(np.random.SeedSequence((*self._entropy, *place)).generate_state(1)[0])

    def _point(self, study: optuna.Study) -> Point:
        """Returns what the sampler proposes, or what the user believes."""
        num_finished = sum(memory.num_finished for memory in self._cells)
        belief = PriorSampler(self._seed(len(self._memory), BELIEF), num_finished)
        trial = study.ask()
        answers: dict[str, Any] = {}

        def answer(name: str, domain: Domain) -> Any:
            believed = belief.answer(domain)
            answers[name] = suggest(trial, name, domain) if believed is None else believed
            return answers[name]

        draw(self._search, answer)
        kept = self._needs.completed_only and not (belief.followed and self._needs.exact)
        return Point(answers, dict(study.get_trials(deepcopy=False)[-1].system_attrs) if kept else {})

    def _to_step(self, study: optuna.Study, storage: InMemoryStorage) -> bool:
        """Puts the sampler's own count to where it stood; tells whether it counts yet.

        A fresh Optuna study begins its sequence anew; the first proposal shows by what name the count is kept.
        """
        (identity,) = (one._study_id for one in storage.get_all_studies())
        counts = storage.get_study_system_attrs(identity)
        for name in counts:
            storage.set_study_system_attr(identity, name, len(self._memory) - 1)
        return bool(counts)

    def key(self, point: Point | None) -> str:
        """Returns what a configuration is known by: cell and answers; the baseline outside the space has none."""
        return f"{self.name}|{json.dumps(None if point is None else point.answers, sort_keys=True)}"

    def covers(self, answers: Mapping[str, Any]) -> bool:
        """Tells whether these answers are all that a proposal asks for, each inside its range."""
        return inside(self._search, answers)

    def values(self, point: Point) -> dict[str, Any]:
        """Returns the proposal, by path into the trial."""
        return draw(self._search, lambda name, _: point.answers[name])

    def add(
        self, trial_id: str, point: Point | None, constraint_violations: Mapping[str, float] = NO_VIOLATIONS
    ) -> int:
        """Takes in a trial, new or of old; returns its number in the study.

        point: None outside the search space. excesses: by constraint, by what share of its limit it is broken.
        """
        point = point if point is not None and self.covers(point.answers) else None
        answers = None if point is None else point.answers
        distributions = {} if point is None else self._distributions.of(point.answers)
        attributes = {} if point is None else point.attributes
        if self._journal is not None and trial_id:
            self._journal.begin(self.name, trial_id, answers or {}, distributions, constraint_violations)
        return self._memory.add(
            Observation(trial_id, answers, distributions, attributes, constraint_violations, curves=self._curves())
        )

    def learn(
        self,
        answers: Mapping[str, Any],
        curve: Sequence[tuple[int, Sequence[float]]],
        state: State,
        constraint_violations: Mapping[str, float] = NO_VIOLATIONS,
    ) -> None:
        """Takes in a trial of another sweep that has ended; it is never this study's best. curve: (epoch, values)."""
        number = self.add("", Point(answers, attributes_of_given(self._sampler)), constraint_violations)
        for epoch, values in curve:
            self.report(number, epoch, *values)
        self._given.append(number)
        self.end(number, state)

    def recall(
        self,
        trial_id: str,
        point: Point | None,
        rows: Sequence[tuple[int, int, Sequence[float]]],
        state: State,
        constraint_violations: Mapping[str, float],
    ) -> None:
        """Takes in a trial from before a restart: the sampler learns from it, and it is never this study's best.

        rows: of each epoch its number, where that stands among as many epochs as trials have now, and the values.
        """
        if self._journal is not None:
            answers = {} if point is None or not self.covers(point.answers) else point.answers
            self._journal.begin(self.name, trial_id, answers, self._distributions.of(answers), constraint_violations)
            for epoch, _, values in rows:
                self._journal.report(trial_id, epoch, *values)
            self._journal.end(trial_id, state, constraint_violations)
        if point is not None:
            self.learn(point.answers, [(place, values) for _, place, values in rows], state, constraint_violations)

    def _curves(self) -> tuple[Curve, ...]:
        return tuple(Curve() for _ in self._objectives)

    def report(self, number: int, epoch: int, *values: float) -> None:
        """Takes in what a trial came to after an epoch: one value an objective, finite."""
        self._memory.report(
            number, epoch, *(one.sign * value for one, value in zip(self._objectives, values, strict=True))
        )
        trial_id = self._memory[number].trial_id
        if self._journal is not None and trial_id:
            self._journal.report(trial_id, epoch, *values)

    def measure(self, number: int, constraint_violations: Mapping[str, float]) -> None:
        """Takes in what training told of constraints."""
        if constraint_violations:
            self._memory[number].constraint_violations = constraint_violations

    def expected_best(self) -> tuple[float, str] | None:
        """Returns the highest expected final value, in the sense of higher being better, and whose it is."""
        return self._memory.expected_best()

    def end(self, number: int, state: State, *, paused: bool = False) -> None:
        """Says that a trial trains no longer. paused: Optuna, which knows no pauses, is to think that it does."""
        self._memory.end(number, state)
        if not paused:
            self._tell_end(number)

    def give_up(self, number: int) -> None:
        """Says that a paused trial will not go on."""
        self._tell_end(number)

    def _tell_end(self, number: int) -> None:
        one = self._memory[number]
        if self._journal is not None and one.trial_id and one.state != "running":
            self._journal.end(one.trial_id, one.state, one.constraint_violations)

    def resume(self, number: int) -> None:
        """Says that a stopped trial trains again."""
        self._memory.resume(number)
        trial_id = self._memory[number].trial_id
        if self._journal is not None and trial_id:
            self._journal.resume(trial_id)


def studies_of(sweep: Source[Any], journal: Journal | None) -> list[Study]:
    """Returns one study a cell of the grid."""
    order = itertools.count()
    studies = [
        Study(
            cell,
            search=sweep.search,
            sampler=sweep.sampler,
            seed=sweep.seed,
            epochs=sweep.trial.epochs,
            objectives=sweep.objectives,
            order=order,
            journal=journal,
        )
        for cell in sweep.cells()
    ]
    if sweep.share_studies:
        memories = [study.memory for study in studies]
        for study in studies:
            study.learn_from(memories)
    return studies
