"""A search by several objectives: proposals, rungs and the front, driven without Ray."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cifar_tune.config.objectives import FOR_SEVERAL
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.pareto import non_dominated, ranks
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.schedulers.decision import Decision
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 9
OBJECTIVES = [{"metric": "validation_accuracy"}, {"metric": "num_parameters"}, {"metric": "train_seconds"}]
FEW: dict[str, Any] = {"trials_per_study": 13, "objective": OBJECTIVES[:2]}

each_sampler = pytest.mark.parametrize(
    "sampler",
    [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in FOR_SEVERAL["sampler"]],
)
"""A Gaussian process takes a second or more for a proposal."""


def sweep_of(sampler: str = "tpe", **changes: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "name": "digits",
        "trial": {
            "dataset": {"name": "digits"},
            "model": {"name": "resnet18", "width": 8},
            "optimizer": {"name": "sgd", "lr": 0.1},
            "batch_size": 64,
            "epochs": EPOCHS,
        },
        "search": {"optimizer.lr": {"float": [0.001, 1.0], "log": True}, "model.width": {"int": [4, 64]}},
        "objective": OBJECTIVES,
        "sampler": {"name": sampler, **({"population_size": 6} if sampler == "nsga2" else {})},
        "scheduler": {"name": "asha", "grace_epochs": 1, "reduction_factor": 3},
        "trials_per_study": 20,
    }
    return SweepConfig.model_validate(values | changes)


def width(proposal: Proposal) -> int:
    found: int = proposal.trial.model_dump()["model"]["width"]
    return found


def metrics(proposal: Proposal, epoch: int) -> EpochMetrics:
    """Best at a learning rate of 0.05, and the better the wider the network is; a wider one takes longer."""
    fit = math.exp(-abs(math.log(proposal.trial.optimizer.lr / 0.05)) / 3) * (1 - 1 / width(proposal))
    accuracy = fit * epoch / (epoch + 1)
    return EpochMetrics(epoch, 1.0, 0.5, 1 - accuracy, accuracy, 0.1, width(proposal) / 10 + 1, 100.0, 10)


def report(search: Search, store: ResultsStore, proposal: Proposal, epoch: int) -> Decision:
    """As the dispatcher does: facts first."""
    store.update_trial(proposal.trial_id, num_parameters=width(proposal) ** 2)
    return search.report(proposal.trial_id, metrics(proposal, epoch))


def train(search: Search, store: ResultsStore, proposal: Proposal) -> None:
    for epoch in range(1, EPOCHS + 1):
        decision = report(search, store, proposal, epoch)
        if decision.action == "stop":
            search.end(proposal.trial_id, "stopped", decision.reason)
            return
    search.end(proposal.trial_id, "completed")


def proposals_of(search: Search) -> Iterator[Proposal]:
    while (proposal := search.propose()) is not None:
        yield proposal


def run(folder: Path, sweep: SweepConfig) -> tuple[list[Proposal], Search]:
    with ResultsStore.create(folder, sweep_name="digits") as store:
        search = Search(sweep, store)
        proposals = []
        for proposal in proposals_of(search):
            train(search, store, proposal)
            proposals.append(proposal)
    return proposals, search


def signed_values(folder: Path) -> pd.DataFrame:
    """Each trial and epoch with its three objectives, higher being better, from the two tables alone."""
    trials = pd.read_parquet(folder / "trials.parquet").set_index("trial_id")
    epochs = pd.read_parquet(folder / "epochs.parquet")
    epochs["accuracy"] = epochs["validation_accuracy"]
    epochs["parameters"] = -epochs["trial_id"].map(trials["num_parameters"]).astype(float)
    epochs["seconds"] = -epochs.groupby("trial_id")["epoch_seconds"].cumsum()
    return epochs


@each_sampler
def test_a_search_that_dies_and_is_rebuilt_makes_the_same_proposals_and_decisions(tmp_path: Path, sampler: str) -> None:
    sweep = sweep_of(sampler, **FEW if sampler == "gp" else {})
    expected, whole = run(tmp_path / "whole", sweep)
    store = ResultsStore.create(tmp_path / "broken", sweep_name="digits")
    search = Search(sweep, store)
    found = []
    while (proposal := search.propose()) is not None:
        if len(found) in (0, 3, 11, 12, 19):
            report(search, store, proposal, 1)
            store.close()
            store = ResultsStore.open(tmp_path / "broken")
            search = Search(sweep, store)
        if proposal in search.unfinished():
            train(search, store, proposal)
        found.append(proposal)
    store.close()
    assert found == expected
    assert search.progress() == whole.progress()
    columns = ["trial_id", "epoch", "decision", "rung", "rung_size", "rung_rank", "rung_front"]
    tables = [pd.read_parquet(tmp_path / name / "epochs.parquet")[columns] for name in ("whole", "broken")]
    pd.testing.assert_frame_equal(*tables)


@each_sampler
def test_the_same_seed_gives_the_same_proposals_and_another_seed_others(tmp_path: Path, sampler: str) -> None:
    first, again, other = (
        [one.trial.optimizer.lr for one in run(tmp_path / str(place), sweep_of(sampler, seed=seed, **FEW))[0]]
        for place, seed in enumerate((3, 3, 4))
    )
    assert first == again
    assert first[1:] != other[1:]


@each_sampler
def test_a_search_rebuilt_while_trials_overlap_proposes_the_same_next(tmp_path: Path, sampler: str) -> None:
    """Three workers, whose trials end in another order than they began, and more trials than a sampler is shown."""
    sweep = sweep_of(sampler, trials_per_study=90, objective=OBJECTIVES[:2])
    with ResultsStore.create(tmp_path / "whole", sweep_name="digits") as store:
        search = Search(sweep, store)
        live: list[tuple[Proposal, int]] = []
        for number in range(2, 86):
            while len(live) < 3:
                proposal = search.propose()
                assert proposal is not None
                live.insert(number % 3, (proposal, 1))
            while len(live) == 3:
                one, epoch = live.pop(number % 2)
                decision = report(search, store, one, epoch)
                if decision.action == "stop" or epoch == EPOCHS:
                    search.end(one.trial_id, "stopped" if decision.action == "stop" else "completed", decision.reason)
                else:
                    live.append((one, epoch + 1))
        shutil.copytree(tmp_path / "whole", tmp_path / "copy")
        with ResultsStore.open(tmp_path / "copy") as copied:
            rebuilt = Search(sweep, copied)
            assert rebuilt.progress() == search.progress()
            assert rebuilt.propose() == search.propose()


def test_every_decision_follows_from_the_tables_alone(tmp_path: Path) -> None:
    run(tmp_path / "x", sweep_of(trials_per_study=40))
    epochs = signed_values(tmp_path / "x")
    for rung in (1, 3):
        reached = epochs[epochs["rung"] == rung].sort_values("rung_size")
        points = reached[["accuracy", "parameters", "seconds"]].to_numpy()
        assert reached["rung_size"].tolist() == [*range(1, len(points) + 1)]
        expected = [ranks(points[:size])[-1] for size in range(1, len(points) + 1)]
        assert reached["rung_rank"].tolist() == expected
        goes_on = [rank <= max(1, size // 3) for size, rank in enumerate(expected, start=1)]
        assert (reached["decision"] == "continue").tolist() == goes_on
        assert not all(goes_on)
        assert reached["rung_cutoff"].isna().all()


def test_progress_shows_the_front_of_the_completed_trials_and_its_ends(tmp_path: Path) -> None:
    proposals, search = run(tmp_path / "x", sweep_of(trials_per_study=40))
    epochs = signed_values(tmp_path / "x")
    last = epochs[epochs["epoch"] == EPOCHS]
    points = last[["accuracy", "parameters", "seconds"]].to_numpy()
    front = search.progress().front
    assert front is not None
    assert 1 < front.size == non_dominated(points).sum()
    assert [one.metric for one in front.extremes] == [one["metric"] for one in OBJECTIVES]
    assert [one.value for one in front.extremes] == pytest.approx((points.max(axis=0) * [1, -1, -1]).tolist())
    by_name = {one.trial_id: one for one in proposals}
    assert front.extremes[1].varied["model.width"] == width(by_name[front.extremes[1].trial_id])
    assert search.progress().best is None
    assert search.progress().usable


def test_before_a_trial_completes_the_front_is_empty_and_before_an_epoch_there_is_none(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = Search(sweep_of(), store)
        proposal = search.propose()
        assert proposal is not None
        assert search.progress().front is None
        assert not search.progress().usable
        report(search, store, proposal, 1)
        front = search.progress().front
        assert front is not None
        assert (front.size, front.extremes) == (0, ())


def test_a_diverged_trial_leaves_the_study_able_to_go_on(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = Search(sweep_of(), store)
        for number, proposal in enumerate(proposals_of(search)):
            if number % 3 == 0:
                search.end(proposal.trial_id, "diverged", "training loss is not finite")
            else:
                train(search, store, proposal)
        assert search.progress().counts["diverged"] == 7


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_model_covers_more_of_the_space_of_objectives_than_chance(tmp_path: Path, sampler: str) -> None:
    """By the share of proposals near the best learning rate, which no objective trades off."""
    changes: dict[str, Any] = {"scheduler": {"name": "none"}, "trials_per_study": 30, "objective": OBJECTIVES[:2]}
    near = {}
    for name in (sampler, "random"):
        proposals, _ = run(tmp_path / name, sweep_of(name, **changes))
        near[name] = np.mean([abs(math.log(one.trial.optimizer.lr / 0.05)) < 1 for one in proposals[10:]])
    assert near[sampler] > near["random"]


def test_a_list_of_one_objective_is_that_objective(tmp_path: Path) -> None:
    single = {"metric": "validation_accuracy"}
    assert sweep_of(objective=[single]) == sweep_of(objective=single)
    assert sweep_of(objective=[single]).to_yaml() == sweep_of(objective=single).to_yaml()
    plain, _ = run(tmp_path / "plain", sweep_of(objective=single))
    listed, search = run(tmp_path / "listed", sweep_of(objective=[single]))
    assert plain == listed
    assert search.progress().front is None
