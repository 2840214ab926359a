"""What a sampler is shown of the past."""

from __future__ import annotations

import random

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from cifar_tune.search.studies.observations import Observation, State, TrialHistory

LR = {"lr": FloatDistribution(0.0, 1.0)}


def memory_of(*trials: tuple[State, list[float]], epochs: int = 3, most: int = 10) -> TrialHistory:
    memory = TrialHistory(epochs, most)
    for number, (state, values) in enumerate(trials):
        place = memory.add(Observation(f"t{number}", {"lr": number / 100}, LR, {}))
        for epoch, value in enumerate(values, start=1):
            memory[place].curve.add(epoch, value)
        if state != "running":
            memory.end(place, state)
    return memory


def test_a_trial_that_trains_counts_by_its_expected_final_value() -> None:
    shown = memory_of(("completed", [0.1, 0.4, 0.5]), ("running", [0.3])).shown(completed_only=False)
    assert [one.state for one in shown] == [TrialState.COMPLETE, TrialState.COMPLETE]
    assert [one.value for one in shown] == pytest.approx([0.5, 0.7])


def test_a_sampler_that_counts_settled_trials_sees_the_others_as_running() -> None:
    shown = memory_of(("completed", [0.1, 0.4, 0.5]), ("running", [0.3])).shown(completed_only=True)
    assert [one.state for one in shown] == [TrialState.COMPLETE, TrialState.RUNNING]


def test_a_trial_without_a_value_is_running_and_a_diverged_one_the_worst() -> None:
    shown = memory_of(("stopped", [0.2]), ("running", []), ("diverged", [0.9]), ("stopped", [0.4])).shown(
        completed_only=False
    )
    assert [one.value for one in shown] == [0.2, None, 0.2, 0.4]
    assert shown[1].state == TrialState.RUNNING


def test_failed_trials_are_not_shown() -> None:
    shown = memory_of(("failed", [0.9]), ("completed", [0.1, 0.2, 0.3])).shown(completed_only=False)
    assert [one.params for one in shown] == [{"lr": 0.01}]


def test_of_many_trials_the_best_the_latest_and_those_that_train_are_shown() -> None:
    generator = random.Random(0)
    values = [generator.random() for _ in range(200)]
    trials: list[tuple[State, list[float]]] = [("running" if n == 7 else "stopped", [v]) for n, v in enumerate(values)]
    numbers = [round(one.params["lr"] * 100) for one in memory_of(*trials, most=20).shown(completed_only=False)]
    best = sorted((n for n in range(200) if n != 7), key=lambda n: -values[n])[:5]
    assert numbers == sorted({*best, 7, *range(185, 200)})


def test_a_trial_that_was_stopped_and_trains_again_leaves_no_trace_of_its_pause() -> None:
    generator = random.Random(1)
    values = [generator.random() for _ in range(60)]
    paused = memory_of(*[("stopped", [value]) for value in values], most=20)
    never = memory_of(*[("running" if n in (3, 50) else "stopped", [value]) for n, value in enumerate(values)], most=20)
    for place in (3, 50):
        paused.resume(place)
    assert [one.params for one in paused.shown(completed_only=True)] == [
        one.params for one in never.shown(completed_only=True)
    ]
    for memory in (paused, never):
        memory[3].curve.add(2, 0.9)
        memory.end(3, "stopped")
    assert [one.value for one in paused.shown(completed_only=True)] == [
        one.value for one in never.shown(completed_only=True)
    ]


def test_the_best_trial_expected_is_neither_diverged_nor_failed() -> None:
    memory = memory_of(("diverged", [0.9]), ("failed", [0.8]), ("stopped", [0.3]), ("running", [0.2]))
    assert memory.expected_best() == (0.3, "t2")
    assert memory_of(("running", [])).expected_best() is None
