"""Cells that learn from each other, and get their trials in turn."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scipy import stats

from cifar_tune.config.samplers import AnySampler
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.constraints import limits_of
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.search.studies.observations import Observation, TrialHistory
from cifar_tune.search.studies.sharing import normal_scores, shown_together
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 2
SMOOTHING = [0.0, 0.05, 0.1, 0.15]
EPOCH = EpochMetrics(1, 1.0, 0.5, 0.5, 0.5, 0.1, 1.0, 100.0, 10)
SAMPLERS = [member.model_fields["name"].default for member in get_args(get_args(AnySampler)[0])]


def sweep_of(**changes: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "name": "digits",
        "trial": {
            "dataset": {"name": "digits"},
            "model": {"name": "resnet18", "width": 4},
            "optimizer": {"name": "sgd", "lr": 0.9, "weight_decay": 1e-6},
            "epochs": EPOCHS,
        },
        "grid": {"loss.label_smoothing": SMOOTHING},
        "search": {
            "optimizer.lr": {"float": [0.0001, 1.0], "log": True},
            "optimizer.momentum": {"float": [0.0, 0.99]},
            "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
        },
        "scheduler": {"name": "none"},
        "share_studies": True,
        "trials_per_study": 8,
    }
    return SweepConfig.model_validate(values | changes)


def value(proposal: Proposal) -> float:
    """Best at one point, the same in all cells, which themselves lie far apart."""
    optimizer = proposal.trial.optimizer.model_dump()
    away = abs(math.log10(optimizer["lr"] / 0.03)) / 4 + abs(optimizer["momentum"] - 0.8)
    away += abs(math.log10(optimizer["weight_decay"] / 1e-4)) / 4
    return 0.5 - 0.1 * away + 3 * proposal.trial.loss.model_dump()["label_smoothing"]


def train(search: Search, proposal: Proposal) -> None:
    for epoch in range(1, EPOCHS + 1):
        search.report(proposal.trial_id, replace(EPOCH, epoch=epoch, validation_accuracy=value(proposal)))
    search.end(proposal.trial_id, "completed")


def run(search: Search) -> Iterator[Proposal]:
    while (proposal := search.propose()) is not None:
        train(search, proposal)
        yield proposal


@pytest.mark.slow
def test_cells_that_share_find_better_trials_than_cells_that_do_not(tmp_path: Path) -> None:
    means = {}
    for shares, seed in itertools.product((False, True), range(4)):
        with ResultsStore.create(tmp_path / f"{shares}{seed}", sweep_name="x") as store:
            found = list(run(Search(sweep_of(share_studies=shares, seed=seed), store)))
        late = [value(one) - 3 * one.trial.loss.model_dump()["label_smoothing"] for one in found[-8:]]
        means[shares] = means.get(shares, 0.0) + np.mean(late) / 4
    assert 0.5 - means[True] < 0.8 * (0.5 - means[False])


@pytest.mark.parametrize(
    "sampler", [pytest.param(one, marks=[pytest.mark.slow] if one == "gp" else []) for one in SAMPLERS]
)
def test_a_rebuilt_search_of_shared_studies_goes_on_as_it_would_have(tmp_path: Path, sampler: str) -> None:
    sweep = sweep_of(sampler={"name": sampler}, trials_per_study=3 if sampler == "gp" else 5)
    with ResultsStore.create(tmp_path / "whole", sweep_name="x") as store:
        expected = list(run(Search(sweep, store)))
    store = ResultsStore.create(tmp_path / "broken", sweep_name="x")
    search = Search(sweep, store)
    found = []
    while (proposal := search.propose()) is not None:
        if len(found) in (3, 7, 11, 14):
            store.close()
            store = ResultsStore.open(tmp_path / "broken")
            search = Search(sweep, store)
        train(search, proposal)
        found.append(proposal)
    store.close()
    assert found == expected
    assert {one.trial.loss.model_dump()["label_smoothing"] for one in found} == set(SMOOTHING)


def test_what_one_cell_refuses_for_a_constraint_is_not_shown_to_another() -> None:
    order = itertools.count()
    ours, theirs = memory_of(order, [1.0]), memory_of(order, [1.0])
    theirs.end(theirs.add(Observation("", {}, {}, {}, {"num_parameters": 0.5})), "infeasible")
    assert len(shown_together(ours, [theirs], most=64, completed_only=False)) == 2
    assert len(shown_together(theirs, [ours], most=64, completed_only=False)) == 3


@pytest.mark.parametrize("shares", [False, True])
def test_no_cell_is_left_behind_when_trials_of_one_take_ten_times_as_long(tmp_path: Path, shares: bool) -> None:
    """Four workers in simulated time: whenever the sweep is looked at, the cells have started equally many trials."""
    started: Counter[str] = Counter()
    busy: list[tuple[float, int, Proposal]] = []
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        search = Search(sweep_of(share_studies=shares), store)
        now = 0.0
        while True:
            while len(busy) < 4 and (proposal := search.propose()) is not None:
                started[proposal.study] += 1
                seconds = 10.0 if proposal.study.endswith("=0.1") else 1.0
                heapq.heappush(busy, (now + seconds, sum(started.values()), proposal))
            if sum(started.values()) >= len(SMOOTHING):
                assert max(started.values()) - min(started.values()) <= 1
                assert len(started) == len(SMOOTHING)
            if not busy:
                break
            now, _, proposal = heapq.heappop(busy)
            train(search, proposal)
    assert set(started.values()) == {8}


@pytest.mark.parametrize("shares", [False, True])
def test_an_exhausted_cell_leaves_its_workers_to_the_others(tmp_path: Path, shares: bool) -> None:
    """The wider net is just allowed with the baseline's kernel, and with no other."""
    changes: dict[str, Any] = {
        "grid": {"model.width": [4, 8]},
        "search": {"model.stem.kernel": {"choice": [5, 7]}},
        "constraints": {"num_parameters": {"max": 10**9}},
        "share_studies": shares,
    }
    free = sweep_of(**changes)
    most = limits_of(free, Path()).measured(free.trial_with({"model.width": 8}))["num_parameters"]
    sweep = sweep_of(**changes | {"constraints": {"num_parameters": {"max": most}}})
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        search = Search(sweep, store, limits_of(sweep, Path()))
        counts = Counter(one.study for one in run(search))
        assert counts == {"model.width=4": 8, "model.width=8": 1}
        assert list(search.exhausted_studies()) == ["model.width=8"]


def test_normal_scores_are_quantiles_at_mid_ranks() -> None:
    values = [0.3, 0.1, 0.3, 0.9]
    expected = stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values))
    assert normal_scores(values) == pytest.approx(expected.tolist())
    assert normal_scores([5.0]) == [0.0]


def memory_of(order: Iterator[int], values: list[float]) -> TrialHistory:
    memory = TrialHistory(1, 64, order)
    for number, one in enumerate(values):
        place = memory.add(Observation(f"t{number}", {}, {}, {}))
        memory[place].curve.add(1, one)
        memory.end(place, "completed")
    return memory


def test_a_cell_is_shown_all_of_its_own_trials_and_the_latest_of_others() -> None:
    order = itertools.count()
    theirs = memory_of(order, [10.0, 30.0, 20.0])
    ours = memory_of(order, [1.0, 2.0])
    shown = shown_together(ours, [theirs], most=3, completed_only=False)
    assert [one.value for one in shown] == pytest.approx([0.0, *normal_scores([1.0, 2.0])])
    assert len(shown_together(ours, [theirs], most=2, completed_only=False)) == 2
    assert len(shown_together(ours, [theirs], most=5, completed_only=True)) == 5
