"""The search alone: studies, rungs and rows, driven without Ray."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 9
TRIAL = {
    "dataset": {"name": "digits"},
    "model": {"name": "resnet18", "width": 8},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "batch_size": 64,
    "epochs": EPOCHS,
}


def sweep_of(**changes: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "name": "digits",
        "trial": TRIAL,
        "grid": {"loss.label_smoothing": [0.0, 0.1]},
        "search": {"optimizer.lr": {"float": [0.001, 1.0], "log": True}, "batch_size": {"int": [32, 128], "step": 32}},
        "scheduler": {"name": "asha", "grace_epochs": 1, "reduction_factor": 3},
        "trials_per_study": 8,
    }
    return SweepConfig.model_validate(values | changes)


def metrics(epoch: int, accuracy: float) -> EpochMetrics:
    return EpochMetrics(epoch, 1.0, 0.5, 1 - accuracy, accuracy, 0.1, 1.0, 100.0, 10)


def accuracy(proposal: Proposal, epoch: int) -> float:
    """Best at a learning rate of 0.05; rises with the epochs."""
    return math.exp(-abs(math.log(proposal.trial.optimizer.lr / 0.05)) / 3) * epoch / (epoch + 1)


def train(search: Search, proposal: Proposal) -> None:
    for epoch in range(1, EPOCHS + 1):
        decision = search.report(proposal.trial_id, metrics(epoch, accuracy(proposal, epoch)))
        if decision.action == "stop":
            search.end(proposal.trial_id, "stopped", decision.reason)
            return
    search.end(proposal.trial_id, "completed")


def proposals_of(search: Search) -> Iterator[Proposal]:
    while (proposal := search.propose()) is not None:
        yield proposal


def test_each_study_begins_with_the_baseline_and_gets_its_trials_in_turn(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = Search(sweep_of(), store)
        proposals = []
        for proposal in proposals_of(search):
            train(search, proposal)
            proposals.append(proposal)
    assert [one.baseline for one in proposals] == [True, True] + [False] * 14
    assert [one.trial.optimizer.lr for one in proposals[:2]] == [0.1, 0.1]
    assert {one.study for one in proposals[::2]} == {"loss.label_smoothing=0.0"}
    assert [one.trial_id for one in proposals] == [f"t{number:04}" for number in range(1, 17)]
    assert search.exhausted
    assert search.progress().planned == 16


@pytest.mark.parametrize("deaths", [(3,), (1, 2, 7, 12, 16)])
def test_a_search_that_dies_and_is_rebuilt_makes_the_same_proposals(tmp_path: Path, deaths: tuple[int, ...]) -> None:
    with ResultsStore.create(tmp_path / "whole", sweep_name="digits") as store:
        search = Search(sweep_of(), store)
        expected = []
        for proposal in proposals_of(search):
            train(search, proposal)
            expected.append(proposal)

    store = ResultsStore.create(tmp_path / "broken", sweep_name="digits")
    search = Search(sweep_of(), store)
    found = []
    while (proposal := search.propose()) is not None:
        if len(found) + 1 in deaths:
            decision = search.report(proposal.trial_id, metrics(1, accuracy(proposal, 1)))
            store.close()
            store = ResultsStore.open(tmp_path / "broken")
            search = Search(sweep_of(), store)
            assert search.unfinished() == (() if decision.action == "stop" else (proposal,))
        if proposal in search.unfinished():
            train(search, proposal)
        found.append(proposal)
    store.close()
    assert found == expected


def test_an_epoch_reported_again_gets_its_recorded_decision_and_no_second_row(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = Search(sweep_of(grid={}), store)
        first, second = search.propose(), search.propose()
        assert first is not None
        assert second is not None
        search.report(first.trial_id, metrics(1, 0.9))
        decision = search.report(second.trial_id, metrics(1, 0.1))
        assert decision.action == "stop"
        assert search.report(second.trial_id, metrics(1, 0.1)) == decision
        assert len(store.epochs(second.trial_id)) == 1


def test_a_diverged_or_failed_trial_leaves_the_study_able_to_go_on(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = Search(sweep_of(sampler={"name": "tpe", "n_startup_trials": 2}), store)
        for number, proposal in enumerate(proposals_of(search)):
            if number % 3 == 0:
                search.end(proposal.trial_id, "diverged", "training loss is not finite")
            elif number % 3 == 1:
                search.end(proposal.trial_id, "failed", "RuntimeError: no", "Traceback")
            else:
                train(search, proposal)
        counts = search.progress().counts
        assert counts["diverged"] == 6
        assert counts["failed"] == 5
        assert Search(sweep_of(), store).progress() == search.progress()


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "qmc", "nsga2"])
def test_the_same_configuration_again_gets_the_next_seed(tmp_path: Path, sampler: str) -> None:
    changes = {"search": {"loss.label_smoothing": {"choice": [0.0, 0.1]}}, "sampler": {"name": sampler}}
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = Search(sweep_of(grid={}, **changes), store)
        proposals = []
        for proposal in proposals_of(search):
            train(search, proposal)
            proposals.append(proposal)
    runs = [(one.trial.loss, one.trial.seed) for one in proposals]
    assert len(set(runs)) == 8
    for loss in {loss for loss, _ in runs}:
        seeds = [seed for other, seed in runs if other == loss]
        assert seeds == [*range(len(seeds))]


def test_without_anything_to_search_a_study_repeats_its_cell_with_other_seeds(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = Search(sweep_of(search={}, trials_per_study=3), store)
        seeds = [(one.study, one.trial.seed) for one in proposals_of(search)]
    assert seeds == [(f"loss.label_smoothing={value}", seed) for seed in range(3) for value in (0.0, 0.1)]


def test_values_that_make_no_trial_are_drawn_again(tmp_path: Path) -> None:
    changes = {
        "grid": {},
        "search": {"batch_size": {"choice": [64, 66]}, "accumulation": {"choice": [1, 2]}},
        "sampler": {"name": "random"},
    }
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        for proposal in proposals_of(Search(sweep_of(**changes), store)):
            assert proposal.trial.batch_size % proposal.trial.accumulation == 0


def test_the_space_of_a_component_is_searched_where_the_component_is_chosen(tmp_path: Path) -> None:
    optimizer = {
        "choice": [
            {"name": "sgd", "lr": {"float": [0.01, 1.0], "log": True}},
            {"name": "adamw", "lr": {"float": [1e-4, 1e-2], "log": True}},
        ]
    }
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = Search(sweep_of(grid={}, search={"optimizer": optimizer}, trials_per_study=24), store)
        chosen = []
        for proposal in proposals_of(search):
            train(search, proposal)
            chosen.append(proposal.trial.optimizer)
    ranges = {"sgd": (0.01, 1.0), "adamw": (1e-4, 1e-2)}
    assert {one.name for one in chosen} == {"sgd", "adamw"}
    assert all(ranges[one.name][0] <= one.lr <= ranges[one.name][1] for one in chosen)
