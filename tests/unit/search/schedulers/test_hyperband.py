"""HyperBand's brackets, against the table of the paper and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.config.schedulers import Hyperband
from cifar_tune.search.schedulers.hyperband import Brackets, Shape, fill, shapes


def test_brackets_are_those_of_the_paper() -> None:
    """Li et al. 2018, table 1: R = 81, eta = 3; the last entry of each bracket, at R, is not a rung."""
    assert shapes(Hyperband(), 81) == (
        Shape(81, (1, 3, 9, 27)),
        Shape(34, (3, 9, 27)),
        Shape(15, (9, 27)),
        Shape(8, (27,)),
        Shape(5, ()),
    )


@given(grace=st.integers(1, 12), factor=st.integers(2, 5), epochs=st.integers(1, 300))
def test_rungs_rise_from_the_grace_period_to_below_the_last_epoch(grace: int, factor: int, epochs: int) -> None:
    for shape in shapes(Hyperband(grace_epochs=grace, reduction_factor=factor), epochs):
        assert list(shape.rungs) == sorted(set(shape.rungs))
        assert all(grace <= rung < epochs for rung in shape.rungs)


def test_trials_fill_one_bracket_after_the_other_round_after_round() -> None:
    assert [held for held, _ in fill(Hyperband(), 9, 30)] == [9, 5, 3, 9, 4]
    assert fill(Hyperband(), 9, 4) == [(4, (1, 3))]


def bracket_of(values: list[float], epochs: int = 9) -> Brackets:
    """Trials that have started, the first `len(values)` of them at the first rung."""
    scheduler = Brackets(Hyperband(), epochs, 1)
    for number in range(9):
        scheduler.start(f"t{number}")
    for number, value in enumerate(values):
        assert scheduler.report(f"t{number}", 1, value).action == "stop"
        scheduler.end(f"t{number}", stopped=True)
    return scheduler


def test_a_rung_waits_for_all_of_its_trials_and_then_lets_the_best_third_go_on() -> None:
    scheduler = bracket_of([0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.4, 0.5])
    assert scheduler.promotable(closed=True) is None
    last = scheduler.report("t8", 1, 0.6)
    assert (last.action, last.rung_rank, last.rung_size, last.rung_cutoff) == ("stop", 4, 9, 0.7)
    scheduler.end("t8", stopped=True)
    promoted = []
    while (trial_id := scheduler.promotable(closed=False)) is not None:
        scheduler.start(trial_id)
        promoted.append(trial_id)
    assert promoted == ["t1", "t3", "t5"]


def test_a_trial_that_diverged_is_not_waited_for() -> None:
    scheduler = bracket_of([0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.4, 0.5])
    scheduler.end("t8", stopped=False)
    assert scheduler.promotable(closed=False) == "t1"


def test_the_last_to_come_goes_on_at_once_if_it_is_good_enough() -> None:
    scheduler = bracket_of([0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.4, 0.5])
    assert scheduler.report("t8", 1, 0.95).action == "continue"


@pytest.mark.parametrize("trials", [1, 2, 4, 8])
def test_a_bracket_that_is_never_filled_closes_with_what_it_has(trials: int) -> None:
    scheduler = Brackets(Hyperband(), 9, 1)
    epochs = {f"t{number}": 0 for number in range(trials)}
    for place, name in enumerate(epochs):
        scheduler.start(name)
        scheduler.report(name, 1, place / 10)
        scheduler.end(name, stopped=True)
    assert scheduler.promotable(closed=False) is None
    while (promoted := scheduler.promotable(closed=True)) is not None:
        epochs[promoted] = 3 if not epochs[promoted] else 9
        scheduler.start(promoted)
        scheduler.report(promoted, epochs[promoted], epochs[promoted])
        scheduler.end(promoted, stopped=epochs[promoted] < 9)
    assert sorted(epochs.values())[-1] == 9
    assert sum(reached > 0 for reached in epochs.values()) == max(1, trials // 3)
    assert sum(reached == 9 for reached in epochs.values()) == 1
