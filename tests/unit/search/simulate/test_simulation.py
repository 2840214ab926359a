"""A replay against runs whose outcome is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from cifar_tune.config.objective import Objective
from cifar_tune.config.ranges import FloatDomain
from cifar_tune.config.samplers import AnySampler, Random, Tpe
from cifar_tune.config.schedulers import AnyScheduler, Asha, AshaPromotion, Hyperband, MedianStopping, NoScheduler
from cifar_tune.search.simulate.recordings import Recording, Run
from cifar_tune.search.simulate.regret import bootstrap_interval, interquartile_mean, measure_regret, regrets
from cifar_tune.search.simulate.simulation import RecordedSweep, replay

ACCURACY = Objective()


def recording_of(runs: Sequence[Run]) -> Recording:
    return Recording("x", runs, {"x": FloatDomain.model_validate({"float": (0.0, 1.0)})})


def smooth(count: int = 60, epochs: int = 9) -> Recording:
    """Final value 1 - |x - 0.3|, approached as 1 / epoch."""
    return recording_of(
        [
            Run(
                {"x": x},
                epochs,
                tuple((1 - abs(x - 0.3)) * (1 - 0.5 / epoch) for epoch in range(1, epochs + 1)),
                (1.0,) * epochs,
                False,
            )
            for x in np.linspace(0, 1, count).tolist()
        ]
    )


def sweep_of(recording: Recording, sampler: AnySampler, scheduler: AnyScheduler, seed: int = 0) -> RecordedSweep:
    return RecordedSweep(recording, seed, ACCURACY, sampler, scheduler)


def test_the_run_returned_is_the_best_seen_and_nothing_before_the_first_epoch_ends() -> None:
    runs = [Run({"x": 0.0}, 2, (0.1, 0.2), (1.0, 1.0), False), Run({"x": 1.0}, 2, (0.3, 0.4), (5.0, 5.0), False)]
    sweep = sweep_of(recording_of(runs), Random(), NoScheduler())
    assert replay(sweep, workers=2, moments=[0.5, 1.0, 4.9, 5.0, 10.0]) == [None, 0, 0, 1, 1]


def test_a_worker_takes_the_next_run_when_its_own_ends_until_all_are_used() -> None:
    runs = [Run({"x": x / 4}, 1, (x / 4,), (1.0,), False) for x in range(5)]
    returned = replay(sweep_of(recording_of(runs), Random(), NoScheduler()), workers=1, moments=[1, 2, 3, 4, 5, 6])
    finals = [runs[run].final for run in returned if run is not None]
    assert finals == sorted(finals)
    assert returned[4:] == [4, 4]


def test_a_diverged_run_costs_its_time_and_is_not_returned() -> None:
    runs = [Run({"x": 0.0}, 3, (0.9,), (1.0, 1.0), True), Run({"x": 1.0}, 3, (0.1, 0.2, 0.3), (1.0,) * 3, False)]
    sweep = sweep_of(recording_of(runs), Random(), NoScheduler())
    returned = replay(sweep, workers=1, moments=[1.0, 2.0, 3.0, 5.0])
    assert returned[-1] == 1


def test_a_shorter_run_is_compared_at_its_share_of_its_own_epochs() -> None:
    """Both are the same curve at another pace; the short one must not be stopped for being at epoch 3 of 9."""
    long = Run({"x": 0.0}, 9, tuple(epoch / 9 for epoch in range(1, 10)), (1.0,) * 9, False)
    short = Run({"x": 1.0}, 3, (1.2 / 3, 2.2 / 3, 1.1), (3.0,) * 3, False)
    returned = replay(sweep_of(recording_of([long, short]), Random(), Asha(grace_epochs=3)), workers=2, moments=[9.0])
    assert returned == [1]


@pytest.mark.parametrize("scheduler", [AshaPromotion(reduction_factor=2), Hyperband(reduction_factor=2)])
def test_a_paused_run_that_goes_on_costs_only_its_remaining_epochs(scheduler: AnyScheduler) -> None:
    """First epochs of one second each, and ten for the second epoch of the better run: there, at 12 s, it diverges."""
    better = Run({"x": 0.0}, 2, (0.9,), (1.0, 10.0), True)
    other = Run({"x": 1.0}, 2, (0.1, 0.2), (1.0, 10.0), False)
    for seed in range(4):
        sweep = sweep_of(recording_of([better, other]), Random(), scheduler, seed)
        assert replay(sweep, workers=1, moments=[2.0, 11.9, 12.0]) == [0, 0, 1]


@pytest.mark.parametrize("scheduler", [AshaPromotion(), Hyperband(), MedianStopping(), Asha(brackets=3)])
def test_every_scheduler_finds_a_good_run_in_a_fraction_of_the_time_of_all(scheduler: AnyScheduler) -> None:
    recording = smooth()
    (found,) = replay(sweep_of(recording, Random(), scheduler), workers=4, moments=[60 * 9 / 4 * 0.75])
    assert found is not None
    assert regrets(recording, ACCURACY, [found]) <= [0.1]


def test_the_same_seed_gives_the_same_replay_and_another_seed_another() -> None:
    recording, moments = smooth(), list(range(1, 60))
    first, again, other = (
        replay(sweep_of(recording, Tpe(), Asha(), seed), workers=4, moments=moments) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_early_stopping_and_a_model_reach_the_best_sooner_than_chance() -> None:
    recording = smooth()
    chance, ours = (
        measure_regret(recording, ACCURACY, *how, workers=4, repetitions=5, budget_trials=16)
        for how in ((Random(), NoScheduler()), (Tpe(), Asha()))
    )
    assert ours.reached(chance.iqm[-1]) <= 0.5
    assert ours.budget_seconds == 16 * 9 / 4


def test_regret_is_the_best_final_value_minus_that_of_the_run_returned() -> None:
    runs = [Run({"x": 0.0}, 1, (value,), (1.0,), False) for value in (0.2, 0.5, 0.9)]
    runs.append(Run({"x": 0.0}, 2, (0.99,), (1.0, 1.0), True))
    assert regrets(recording_of(runs), ACCURACY, [None, 0, 3, 1, 2]) == pytest.approx([0.7, 0.7, 0.7, 0.4, 0.0])
    loss = Objective(metric="validation_loss", mode="min")
    assert regrets(recording_of(runs), loss, [2, 0]) == pytest.approx([0.7, 0.0])


def test_the_interquartile_mean_leaves_a_quarter_out_on_either_side() -> None:
    assert interquartile_mean(np.array([[0.0], [1.0], [2.0], [100.0]])).tolist() == [1.5]
    assert interquartile_mean(np.array([[3.0]])).tolist() == [3.0]


def test_the_interval_holds_the_mean_and_shrinks_with_repetitions() -> None:
    generator = np.random.default_rng(0)
    widths = []
    for count in (20, 500):
        table = generator.normal(size=(count, 1))
        low, high = bootstrap_interval(table, 0)
        assert low[0] < interquartile_mean(table)[0] < high[0]
        widths.append(high[0] - low[0])
    assert widths[1] < widths[0] / 3


def test_what_is_never_reached_is_reached_after_infinite_time() -> None:
    regret = measure_regret(smooth(6), ACCURACY, Random(), NoScheduler(), workers=1, repetitions=1, budget_trials=1)
    assert regret.reached(-1.0) == math.inf
    assert regret.seconds[regret.at(0.25)] == pytest.approx(regret.budget_seconds / 4)
