"""Rungs that rank by non-dominated front, against a sort of the whole rung."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tune.config.schedulers import Asha, NoScheduler
from cifar_tune.pareto import fronts, ranks
from cifar_tune.search.schedulers import build_scheduler
from cifar_tune.search.schedulers.decision import CONTINUE
from cifar_tune.search.schedulers.pareto import Fronts, ParetoAsha

few = st.integers(0, 5).map(float)
many = st.floats(0, 1, allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(*[st.lists(st.tuples(*[values] * m), min_size=1, max_size=16) for values in (few, many) for m in (2, 3)])
)
def test_fronts_kept_point_by_point_are_those_of_a_sort_of_all(points: list[tuple[float, ...]]) -> None:
    kept = Fronts()
    for size in range(1, len(points) + 1):
        seen = np.array(points[:size])
        assert kept.add(seen[-1]) == (fronts(seen)[-1], ranks(seen)[-1])
        assert len(kept) == size


@settings(deadline=None, max_examples=40)
@given(
    trials=st.lists(st.tuples(many, few), min_size=1, max_size=16),
    factor=st.integers(2, 4),
)
def test_a_trial_goes_on_if_it_is_in_the_first_part_of_all_at_its_rung_so_far(
    trials: list[tuple[float, float]], factor: int
) -> None:
    scheduler = ParetoAsha(Asha(grace_epochs=2, reduction_factor=factor), 9, signs=(1, -1), seed=0)
    for number, (accuracy, size) in enumerate(trials, start=1):
        name = f"t{number:04}"
        assert scheduler.report(name, 1, accuracy, size) == CONTINUE
        decision = scheduler.report(name, 2, accuracy, size)
        seen = np.array(trials[:number]) * [1, -1]
        rank = ranks(seen)[-1]
        assert (decision.rung, decision.rung_size, decision.rung_cutoff) == (2, number, None)
        assert (decision.rung_rank, decision.rung_front) == (rank, fronts(seen)[-1])
        goes_on = rank <= max(1, number // factor)
        assert decision.action == ("continue" if goes_on else "stop")


def test_a_trial_that_is_best_in_one_objective_is_never_stopped() -> None:
    scheduler = ParetoAsha(Asha(grace_epochs=1, reduction_factor=3), 3, signs=(1, -1), seed=0)
    for number in range(1, 30):
        assert scheduler.report(f"small{number}", 1, 0.1, 1000 - number).action == "continue"
        assert scheduler.report(f"good{number}", 1, 0.5 + number / 100, 5000).action == "continue"


def test_the_reason_of_a_stop_names_the_front() -> None:
    scheduler = ParetoAsha(Asha(grace_epochs=1), 9, signs=(1, -1), seed=0)
    scheduler.report("a", 1, 0.9, 10)
    assert scheduler.report("b", 1, 0.8, 20).reason == "place 2 of 2 at epoch 1, on front 2 of the objectives"


def test_brackets_are_ranked_apart() -> None:
    scheduler = ParetoAsha(Asha(grace_epochs=1, brackets=2), 9, signs=(1, -1), seed=0)
    first = {f"t{number}": scheduler.report(f"t{number}", 1, number / 50, number) for number in range(40)}
    drawn = [one for one in first.values() if one.rung == 1]
    assert 0 < len(drawn) < 40
    assert [one.rung_size for one in drawn] == [*range(1, len(drawn) + 1)]
    assert {one.bracket for one in drawn} == {0}


@pytest.mark.parametrize("config", [Asha(grace_epochs=1), NoScheduler()], ids=lambda one: one.name)
def test_every_scheduler_that_takes_several_objectives_is_built(config: Asha | NoScheduler) -> None:
    scheduler = build_scheduler(config, epochs=3, signs=(1, -1, -1), seed=0)
    assert scheduler.report("a", 1, 0.5, 10.0, 3.0).action == "continue"


def test_the_last_of_a_thousand_trials_at_a_rung_has_the_place_that_ranking_all_at_once_gives() -> None:
    points = np.random.default_rng(0).random((1_000, 2))
    kept = Fronts()
    places = [kept.add(point) for point in points]
    assert places[-1] == (fronts(points)[-1], ranks(points)[-1])
