"""What a sweep learns from earlier ones, and what it cannot."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError
from cifar_tune.layout import SWEEP_NAME
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.constraints import Unlimited, limits_of
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.search.warm_start import Donor, note_warm_start, read_warm_start
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 3
TRIAL = {
    "dataset": {"name": "digits"},
    "model": {"name": "resnet18", "width": 4},
    "optimizer": {"name": "sgd", "lr": 0.9},
    "batch_size": 64,
    "epochs": EPOCHS,
}
EPOCH = EpochMetrics(1, 1.0, 0.5, 0.5, 0.5, 0.1, 1.0, 100.0, 10)


def sweep_of(**changes: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "name": "digits",
        "trial": TRIAL,
        "search": {"optimizer.lr": {"float": [0.001, 1.0], "log": True}},
        "scheduler": {"name": "none"},
        "trials_per_study": 12,
    }
    return SweepConfig.model_validate(values | changes)


def value(proposal: Proposal) -> float:
    """Best at a learning rate of 0.03."""
    return math.exp(-abs(math.log(proposal.trial.optimizer.lr / 0.03)))


def train(search: Search, proposal: Proposal) -> None:
    for epoch in range(1, proposal.trial.epochs + 1):
        accuracy = value(proposal) * epoch / proposal.trial.epochs
        search.report(proposal.trial_id, replace(EPOCH, epoch=epoch, validation_accuracy=accuracy))
    search.end(proposal.trial_id, "completed")


def run(search: Search) -> Iterator[Proposal]:
    while (proposal := search.propose()) is not None:
        train(search, proposal)
        yield proposal


def earlier(folder: Path, **changes: Any) -> Path:
    """A finished sweep in a results folder."""
    sweep = sweep_of(**changes)
    with ResultsStore.create(folder, sweep_name="earlier") as store:
        (folder / SWEEP_NAME).write_text(sweep.to_yaml())
        list(run(Search(sweep, store)))
    return folder


def donor_of(folder: Path, **changes: Any) -> Donor:
    (donor,) = read_warm_start(sweep_of(warm_start=[str(folder)], **changes), Unlimited())
    return donor


def refusal_of(folder: Path, **changes: Any) -> str:
    with pytest.raises(ConfigError) as error:
        donor_of(folder, **changes)
    return str(error.value)


def test_a_warm_search_begins_where_the_earlier_one_found_good_trials(tmp_path: Path) -> None:
    folder = earlier(tmp_path / "earlier", trials_per_study=30)
    means = {}
    for name, others in (("cold", []), ("warm", [str(folder)])):
        sweep = sweep_of(warm_start=others, seed=1)
        with ResultsStore.create(tmp_path / name, sweep_name="x") as store:
            note_warm_start(sweep, store, Unlimited())
            means[name] = np.mean([value(one) for one in run(Search(sweep, store))][1:])
    assert means["warm"] > 1.5 * means["cold"]


def test_earlier_trials_are_no_rows_of_the_table_and_never_the_result(tmp_path: Path) -> None:
    sweep = sweep_of(warm_start=[str(earlier(tmp_path / "earlier"))])
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        (donor,) = note_warm_start(sweep, store, Unlimited())
        assert len(donor.taken) == 12
        search = Search(sweep, store)
        assert search.recommend() is None
        assert search.progress().best is None
        assert store.trial_ids() == []
        first = search.propose()
        assert first is not None
        assert (first.trial_id, first.baseline) == ("t0001", True)
        train(search, first)
        assert search.recommend() == "t0001"
        assert search.progress().counts["completed"] == 1


def test_the_whole_curve_is_taken_up_to_the_epochs_of_this_sweep(tmp_path: Path) -> None:
    folder = earlier(tmp_path / "earlier")
    first, *_ = donor_of(folder).taken
    assert (first.study, first.status, first.epochs) == ("all", "completed", [1, 2, 3])
    assert [*zip(*first.values, strict=True)] == [pytest.approx([0.03 / 0.9 * epoch / EPOCHS for epoch in (1, 2, 3)])]
    shorter = donor_of(folder, trial={**TRIAL, "epochs": 2})
    assert shorter.taken[0].epochs == [1, 2]
    assert list(shorter.lines())[-1] == "  differing: epochs was 3, is 2"


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_a_resumed_sweep_is_the_same_though_the_other_folder_is_gone(tmp_path: Path, sampler: str) -> None:
    folder = earlier(tmp_path / "earlier")
    search_space = {"optimizer.lr": {"float": [0.001, 1.0], "log": True}, "optimizer.momentum": {"float": [0.0, 0.95]}}
    sweep = sweep_of(warm_start=[str(folder)], sampler={"name": sampler}, search=search_space)
    with ResultsStore.create(tmp_path / "whole", sweep_name="x") as store:
        note_warm_start(sweep, store, Unlimited())
        expected = list(run(Search(sweep, store)))
    with ResultsStore.create(tmp_path / "broken", sweep_name="x") as store:
        note_warm_start(sweep, store, Unlimited())
        search = Search(sweep, store)
        found = [*islice(run(search), 5)]
    shutil.rmtree(folder)
    with ResultsStore.open(tmp_path / "broken") as store:
        assert note_warm_start(sweep, store, Unlimited()) == ()
        search = Search(sweep, store)
        for proposal in search.unfinished():
            train(search, proposal)
        rest = list(run(search))
    assert [*found, *rest] == expected


def test_each_trial_goes_to_the_cell_that_has_its_values(tmp_path: Path) -> None:
    folder = earlier(tmp_path / "earlier", grid={"model.width": [4, 8, 16]}, trials_per_study=2)
    donor = donor_of(folder, grid={"model.width": [8, 16, 32]})
    assert [one.study for one in donor.taken] == ["model.width=8", "model.width=16"] * 2
    assert list(donor.lines()) == [
        f"{folder}: 4 of 6 trials taken: 2 into study model.width=8, 2 into study model.width=16",
        "  not taken: 2, outside the grid (model.width)",
    ]


def test_keys_that_differ_are_named_with_their_values_and_trials_are_taken_all_the_same(tmp_path: Path) -> None:
    folder = earlier(
        tmp_path / "earlier",
        search={
            "optimizer.lr": {"float": [0.001, 1.0], "log": True},
            "batch_size": {"choice": [32, 64]},
            "model.width": {"choice": [4, 8]},
        },
    )
    lines = list(donor_of(folder).lines())
    assert lines[0] == f"{folder}: 12 of 12 trials taken: 12 into study all"
    assert "  differing: batch_size was 32, is 64" in lines
    assert "  differing: model.width was 8, is 4" in lines


def test_trials_outside_the_space_are_not_taken(tmp_path: Path) -> None:
    donor = donor_of(earlier(tmp_path / "earlier"), search={"optimizer.lr": {"float": [0.01, 0.1], "log": True}})
    assert all(0.01 <= one.answers["optimizer.lr"] <= 0.1 for one in donor.taken)
    assert donor.left == {"optimizer.lr outside the search space": 12 - len(donor.taken)}
    assert 0 < len(donor.taken) < 12


def test_a_trial_that_breaks_a_constraint_here_teaches_the_sampler_that_it_does(tmp_path: Path) -> None:
    folder = earlier(tmp_path / "earlier", search={"model.width": {"choice": [4, 32]}})
    sweep = sweep_of(
        search={"model.width": {"choice": [4, 8, 32]}},
        constraints={"num_parameters": {"max": 200_000}},
        warm_start=[str(folder)],
    )
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        limits = limits_of(sweep, Path())
        (donor,) = note_warm_start(sweep, store, limits)
        broken = [limits.broken(one.measured) is not None for one in donor.taken]
        assert broken == [one.answers["model.width"] == "32" for one in donor.taken]
        assert set(broken) == {True, False}
        assert Search(sweep, store, limits).propose() is not None


def test_a_folder_that_is_no_sweep_or_this_one_is_an_error(tmp_path: Path) -> None:
    said = refusal_of(tmp_path)
    assert said == (
        f"warm_start.0: {tmp_path}: is not a results folder of a sweep (it needs sweep.yaml and ledger.jsonl)"
    )
    folder = earlier(tmp_path / "x")
    with pytest.raises(ConfigError, match=r"is this sweep's own results folder; --extend adds trials to it"):
        read_warm_start(sweep_of(warm_start=[str(folder)]), Unlimited(), folder)


def test_a_folder_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    folder = earlier(tmp_path / "earlier", trials_per_study=1)
    with pytest.raises(ConfigError, match=r"^warm_start.1: .*: stands twice, and its trials count once; keep one"):
        read_warm_start(sweep_of(warm_start=[str(folder), f"{folder}/../earlier"]), Unlimited())


def test_another_objective_is_an_error(tmp_path: Path) -> None:
    folder = earlier(tmp_path / "earlier", objective={"metric": "validation_loss"}, trials_per_study=1)
    told = "its objective is validation_loss (min), here it is validation_accuracy (max)"
    assert told in refusal_of(folder)


def test_nothing_comparable_is_an_error_with_the_reason(tmp_path: Path) -> None:
    folder = earlier(tmp_path / "earlier", trials_per_study=2)
    other = {**TRIAL, "dataset": {"name": "digits", "train_size": 500}}
    said = refusal_of(folder, trial=other)
    assert "none of its trials can be compared: 2 trials: dataset was digits, is digits(train_size=500)" in said
    assert "outside the search space" in refusal_of(folder, search={"ema.decay": {"float": [0.9, 0.99]}})


def test_every_folder_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read_warm_start(sweep_of(warm_start=[str(tmp_path / "a"), str(tmp_path / "b")]), Unlimited())
    assert [one.path for one in error.value.problems] == ["warm_start.0", "warm_start.1"]


def test_warm_start_is_a_list_of_folders(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(sweep_of().to_yaml().replace("warm_start: []", "warm_start: results/other"))
    with pytest.raises(ConfigError, match=r"warm_start: must be a list, got the text 'results/other'"):
        load_sweep(path)
