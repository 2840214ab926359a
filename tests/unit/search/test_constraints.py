"""A search that keeps to what a trial may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.constraints import check_constraints, limits_of, refused_share
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.search.trial_budget import MOST_REFUSED
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.models import AnyModel

EPOCHS = 3
MOST = 200_000
WIDEST = 8
"""Of a ResNet-18 that has at most so many parameters."""
EPOCH = EpochMetrics(1, 1.0, 0.5, 0.5, 0.5, 0.1, 1.0, 100.0, 10)


def sweep_of(**changes: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "name": "digits",
        "trial": {
            "dataset": {"name": "digits"},
            "model": {"name": "resnet18", "width": 4},
            "optimizer": {"name": "sgd", "lr": 0.1},
            "batch_size": 64,
            "epochs": EPOCHS,
        },
        "search": {
            "optimizer.lr": {"float": [0.001, 1.0], "log": True},
            "model.width": {"choice": [2, 4, 6, 8, 16, 24, 32, 48]},
        },
        "constraints": {"num_parameters": {"max": MOST}},
        "scheduler": {"name": "none"},
        "trials_per_study": 12,
    }
    return SweepConfig.model_validate(values | changes)


def search_of(sweep: SweepConfig, store: ResultsStore) -> Search:
    return Search(sweep, store, limits_of(sweep, Path()))


def parameters(model: AnyModel) -> int:
    """Counted on a network that is really built."""
    from cifar_tune.training.datasets.digits import Digits

    network = model.build(Digits().info(Path()))
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def train(search: Search, proposal: Proposal, accuracy: float) -> None:
    for epoch in range(1, EPOCHS + 1):
        search.report(proposal.trial_id, replace(EPOCH, epoch=epoch, validation_accuracy=accuracy))
    search.end(proposal.trial_id, "completed")


def width(proposal: Proposal) -> int:
    return int(proposal.trial.model.model_dump()["width"])


def run(search: Search, value: Callable[[Proposal], float]) -> Iterator[Proposal]:
    while (proposal := search.propose()) is not None:
        train(search, proposal, value(proposal))
        yield proposal


def refused(store: ResultsStore) -> list[dict[str, Any]]:
    return [note for note in store.notes("proposed") if note["seed"] is None]


def test_no_trial_breaks_a_limit_although_wider_nets_are_better(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        proposals = list(run(search_of(sweep_of(), store), lambda one: width(one) / 48))
        assert len(proposals) == 12
        assert all(parameters(one.trial.model) <= MOST for one in proposals)
        notes = refused(store)
        assert notes
        assert all(note["refused"].endswith("is above max 200,000") for note in notes)
        assert all(note["values"]["model.width"] > WIDEST for note in notes)


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "random"])
def test_a_model_learns_where_the_limit_lies(tmp_path: Path, sampler: str) -> None:
    """A sixth of the widths is allowed: chance is refused five times of six to the end, a model less often."""
    changes = {
        "sampler": {"name": sampler},
        "search": {"model.width": {"int": [2, 42]}},
        "trials_per_study": 14 if sampler == "gp" else 30,
    }
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        list(run(search_of(sweep_of(**changes), store), lambda one: 1 - abs(width(one) - 6) / 48))
        rejected = [note["seed"] is None for note in store.notes("proposed")][-20:]
    assert (sum(rejected) < 13) == (sampler != "random")


@pytest.mark.parametrize("deaths", [(1, 4, 5, 9)])
def test_a_search_under_constraints_that_is_rebuilt_goes_on_as_it_would_have(
    tmp_path: Path, deaths: tuple[int, ...]
) -> None:
    with ResultsStore.create(tmp_path / "whole", sweep_name="digits") as store:
        expected = list(run(search_of(sweep_of(), store), lambda one: width(one) / 48))
        notes = list(store.notes("proposed"))
    store = ResultsStore.create(tmp_path / "broken", sweep_name="digits")
    search = search_of(sweep_of(), store)
    found = []
    while (proposal := search.propose()) is not None:
        if len(found) in deaths:
            store.close()
            store = ResultsStore.open(tmp_path / "broken")
            search = search_of(sweep_of(), store)
            assert search.unfinished() == (proposal,)
        train(search, proposal, width(proposal) / 48)
        found.append(proposal)
    assert found == expected
    assert list(store.notes("proposed")) == notes
    store.close()


def test_a_study_that_finds_nothing_to_train_ends_and_says_why_also_when_rebuilt(tmp_path: Path) -> None:
    sweep = sweep_of(search={"model.width": {"int": [16, 48]}}, sampler={"name": "random"})
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = search_of(sweep, store)
        assert len(list(run(search, lambda _: 0.5))) == 1
        assert search.exhausted
        assert list(search.exhausted_studies()) == ["all"]
        assert search.exhausted_studies()["all"].startswith("num_parameters ")
        assert len(refused(store)) == MOST_REFUSED
        again = search_of(sweep, store)
        assert again.exhausted
        assert again.exhausted_studies() == search.exhausted_studies()
        assert again.propose() is None
        assert len(refused(store)) == MOST_REFUSED


def memory_sweep() -> SweepConfig:
    return sweep_of(constraints={"peak_memory_bytes": {"max": 1000}})


def test_a_trial_that_takes_too_much_memory_is_stopped_and_is_never_the_best(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = search_of(memory_sweep(), store)
        small, large = search.propose(), search.propose()
        assert small is not None
        assert large is not None
        search.report(small.trial_id, replace(EPOCH, peak_memory_bytes=1000))
        heavy = replace(EPOCH, peak_memory_bytes=1001, validation_accuracy=0.99)
        decision = search.report(large.trial_id, heavy)
        assert decision.action == "stop"
        assert decision.reason == "peak_memory_bytes 1,001 is above max 1,000"
        assert search.report(large.trial_id, heavy) == decision
        search.end(large.trial_id, "stopped", decision.reason)
        for known in (search, search_of(memory_sweep(), store)):
            best = known.progress().best
            assert best is not None
            assert best.trial_id == small.trial_id
            assert known.recommend() == small.trial_id


def test_a_driver_that_dies_before_it_ends_a_trial_of_too_much_memory_ends_it_when_resumed(tmp_path: Path) -> None:
    store = ResultsStore.create(tmp_path / "x", sweep_name="digits")
    search = search_of(memory_sweep(), store)
    proposal = search.propose()
    assert proposal is not None
    search.report(proposal.trial_id, replace(EPOCH, peak_memory_bytes=2000))
    store.close()
    with ResultsStore.open(tmp_path / "x") as store:
        assert search_of(memory_sweep(), store).unfinished() == ()
        row = store.trial(proposal.trial_id)
    assert (row["status"], row["status_reason"]) == ("stopped", "peak_memory_bytes 2,000 is above max 1,000")


def test_a_baseline_that_breaks_a_limit_is_named_for_each_cell_before_any_work() -> None:
    sweep = sweep_of(search={}, grid={"model.width": [4, 16, 32]})
    with pytest.raises(ConfigError) as error:
        check_constraints(sweep, Path())
    first, second = str(error.value).splitlines()
    assert first.startswith(
        "constraints: the baseline with model.width = 16 breaks them, and every study begins with it: num_parameters "
    )
    assert "model.width = 32" in second
    check_constraints(sweep_of(), Path())


def test_floating_point_operations_are_limited_too() -> None:
    sweep = sweep_of(constraints={"flops_per_image": {"max": 1000}})
    with pytest.raises(ConfigError, match=r"flops_per_image [\d,]+ is above max 1,000"):
        check_constraints(sweep, Path())


def test_a_plan_knows_the_share_of_random_proposals_that_are_refused() -> None:
    """Half of the widths make nets that are too large; 64 draws tell to three standard errors of 6 %."""
    assert abs(refused_share(sweep_of(), Path()) - 0.5) < 0.19


def test_counting_does_not_touch_the_global_generator() -> None:
    before = torch.get_rng_state()
    check_constraints(sweep_of(), Path())
    assert torch.equal(torch.get_rng_state(), before)
